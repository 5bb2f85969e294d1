"""Whole stories: real workers in processes, a real broker, a real Redis, real photos through a real network."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import pytest
from album_process import AlbumProcess, children_of, colour_folder, colour_photo, until, write_events

from stream_app.folders import folder_photo_id
from stream_app.running import with_running_services
from stream_app.settings import Settings


@pytest.fixture
def worker(settings: Settings):
    """One worker on the services of this run, ready."""
    process = AlbumProcess(settings, "worker")
    try:
        yield process.ready()
    finally:
        process.stop()


class TestAFolderBecomesAnAlbum:
    """The main job."""

    def test_published_photos_are_found_by_word_by_photo_and_by_upload(self, worker, tmp_path):
        """Everything that the page offers, once."""
        worker.run("publish", str(colour_folder(tmp_path / "photos", 5)))
        worker.until_findable(20)

        assert all(name.startswith("red") for name in worker.names("/api/search?q=red&k=5"))
        blue = str(folder_photo_id("blue-0.png"))
        assert all(name.startswith("blue") for name in worker.names(f"/api/photos/{blue}/related?k=4"))
        status, reply = worker.send("POST", "/api/search/image?k=5", colour_photo("yellow", 99))
        assert status == 200
        assert all("yellow" in hit["url"] for hit in reply["hits"])

    def test_publishing_again_embeds_nothing_again(self, worker, tmp_path):
        """An unchanged photo is looked at once."""
        photos = colour_folder(tmp_path / "photos", 3)
        worker.run("publish", str(photos))
        worker.until_findable(12)
        (photos / "red-0.png").touch()
        (photos / "new.png").write_bytes(colour_photo("red", 77))
        worker.run("publish", str(photos))
        worker.until_findable(13)

        assert worker.metric("sightline_photos_embedded_total") == 13

    def test_what_is_no_photo_becomes_a_dead_letter_and_the_others_go_on(self, worker, tmp_path):
        """A text file and a truncated photo among good ones."""
        photos = colour_folder(tmp_path / "photos", 2)
        (photos / "text.jpg").write_text("not a photo at all")
        (photos / "cut.png").write_bytes(colour_photo("red", 1)[:200])
        worker.run("publish", str(photos))
        worker.until_findable(8)
        listed = until(lambda: _lines(worker.run("dead-letters", "list"), 2), what="two dead letters")
        (photos / "cut.png").write_bytes(colour_photo("red", 1))
        worker.run("dead-letters", "replay")
        worker.until_findable(9)

        assert "text.jpg: The file is no image" in listed
        assert "cut.png: The photo is damaged" in listed


class TestUploadAndDelete:
    """Over HTTP."""

    def test_an_uploaded_photo_is_found_and_a_deleted_one_is_not(self, worker):
        """The whole life of one photo."""
        status, reply = worker.send("POST", "/api/photos?name=mine.png", colour_photo("green", 5))
        photo = reply["photo_id"]
        until(lambda: worker.status(f"/api/photos/{photo}/related") == 200, what="findable")
        found = worker.names("/api/search?q=green")
        gone, _ = worker.send("DELETE", f"/api/photos/{photo}")

        assert (status, gone) == (202, 204)
        assert found == ["mine.png"]
        assert worker.names("/api/search?q=green") == []
        assert worker.status(f"/api/photos/{photo}") == 404
        assert worker.send("DELETE", f"/api/photos/{photo}")[0] == 404

    def test_what_was_just_accepted_can_be_seen_and_deleted(self, worker):
        """Ahead of every agent: it is queued at once, and once deleted it never turns up."""
        seen = []
        for seed in range(10):
            _, reply = worker.send("POST", f"/api/photos?name={seed}.png", colour_photo("green", seed))
            address = f"/api/photos/{reply['photo_id']}"
            seen.append([worker.send(method, address)[0] for method in ("GET", "DELETE", "GET")])
        for seed in range(10, 20):
            worker.send("POST", f"/api/photos?name={seed}.png", colour_photo("green", seed))
        worker.until_findable(10)

        assert seen == [[200, 204, 404]] * 10
        assert sorted(worker.names("/api/search?q=green&k=50")) == [f"{seed}.png" for seed in range(10, 20)]
        assert worker.run("dead-letters", "list") == ""

    def test_an_upload_that_cannot_be_decoded_says_why_until_a_replay_succeeds(self, worker):
        """The state of the photo, not only a dead letter; the disk got the rest of it in the meantime."""
        whole = colour_photo("green", 5)
        status, reply = worker.send("POST", "/api/photos?name=cut.png", whole[:200])
        address = f"/api/photos/{reply['photo_id']}"
        until(lambda: worker.get(address)["state"] == "failed", what="the failure")
        failed = worker.get(address)
        related = worker.send("GET", f"{address}/related")
        Path(unquote(urlsplit(failed["url"]).path)).write_bytes(whole)
        worker.run("dead-letters", "replay")
        until(lambda: worker.get(address)["state"] == "findable", what="findable")

        assert status == 202
        assert failed["reason"].startswith("The photo is damaged")
        assert (related[0], related[1]["received"]) == (404, failed["reason"])
        assert worker.get(address)["reason"] is None

    def test_what_an_event_deletes_leaves_nothing_on_the_disk(self, worker, tmp_path):
        """The upload and its thumbnails go by themselves, at the next start at the latest."""
        photo = worker.send("POST", "/api/photos?name=mine.png", colour_photo("green", 5))[1]["photo_id"]
        until(lambda: worker.status(f"/api/photos/{photo}/related") == 200, what="findable")
        with urlopen(f"{worker.url}/api/photos/{photo}/image?side=160", timeout=30) as reply:
            thumbnail = reply.read()
        data_dir = worker.settings.data_dir
        before = [*data_dir.glob("uploads/*/*"), *data_dir.glob("thumbnails/*/*")]
        events = write_events(tmp_path / "events.jsonl", [{"type": "photo.deleted", "photo_id": photo}])
        worker.run("publish", str(events))
        until(lambda: worker.status(f"/api/photos/{photo}") == 404, what="the deletion")
        worker.stop()
        worker.start_again().ready()

        assert thumbnail and len(before) == 2
        until(lambda: not any(each.exists() for each in before), what="an empty disk")

    def test_what_the_stream_would_refuse_is_refused_at_the_door(self, worker):
        """A tag that is too long: nothing is stored, nothing is buried."""
        status, problem = worker.send("POST", f"/api/photos?name=t.png&tags={'x' * 101}", colour_photo("green", 5))

        assert (status, problem["remedy"]) == (400, "Shorten it.")
        assert problem["expected"] and problem["received"]
        assert not list((worker.settings.data_dir / "uploads").rglob("*.png"))

    def test_a_deleted_photo_stays_away_after_a_restart_and_a_second_publishing(self, worker, tmp_path):
        """The file still lies in the folder, but it is older than its deletion."""
        photos = colour_folder(tmp_path / "photos", 1)
        worker.run("publish", str(photos))
        worker.until_findable(4)
        worker.send("DELETE", f"/api/photos/{folder_photo_id('red-0.png')}")
        worker.stop()
        worker.start_again().ready()
        worker.run("publish", str(photos))
        (photos / "later.png").write_bytes(colour_photo("blue", 9))
        worker.run("publish", str(photos))
        worker.until_findable(4)

        assert "red-0.png" not in worker.names("/api/search?q=red&k=10")


class TestOrderAndRepetition:
    """Events out of order, twice, and late."""

    def test_the_newest_version_wins_everywhere(self, worker, tmp_path):
        """A deletion before its upload, a late upload, a repeated and a late edit."""
        photos = colour_folder(tmp_path / "photos", 2)
        worker.run("publish", str(photos))
        worker.until_findable(8)
        url = (photos / "blue-1.png").as_uri()
        events = [
            {"type": "photo.deleted", "photo_id": 1, "time": 2000},
            {"type": "photo.uploaded", "photo_id": 1, "time": 1000, "url": url},
            {"type": "photo.edited", "photo_id": 2, "time": 3000, "title": "newest"},
            {"type": "photo.uploaded", "photo_id": 2, "time": 1000, "url": url, "title": "oldest"},
            {"type": "photo.edited", "photo_id": 2, "time": 2000, "title": "late", "tags": ["kept"]},
            {"type": "photo.edited", "photo_id": 2, "time": 3000, "title": "newest"},
        ]
        worker.run("publish", str(write_events(tmp_path / "events.jsonl", events)))
        worker.until_findable(9)
        until(lambda: worker.get("/api/photos/2")["tags"] == ["kept"], what="the late edit")

        assert worker.status("/api/photos/1") == 404
        assert worker.get("/api/photos/2")["title"] == "newest"
        assert worker.metric("sightline_photos_embedded_total") == 9


class TestOwners:
    """What photographers may ask for besides deleting a photo."""

    def test_a_hidden_photo_is_in_no_answer_until_it_is_shown_again(self, worker, tmp_path):
        """Whoever knows its id sees that it is hidden; nobody looks at it again."""
        worker.run("publish", str(colour_folder(tmp_path / "photos", 2)))
        worker.until_findable(8)
        shown, hidden = (str(folder_photo_id(f"red-{number}.png")) for number in (0, 1))

        def set_visibility(visibility):
            event = {"type": "photo.visibility_changed", "photo_id": hidden, "visibility": visibility}
            worker.run("publish", str(write_events(tmp_path / "events.jsonl", [event])))

        set_visibility("hidden")
        until(lambda: worker.get(f"/api/photos/{hidden}")["state"] == "hidden", what="the hiding")
        paths = ("/api/search?q=red", f"/api/photos/{shown}/related")
        found = [hidden in worker.album(), *("red-1.png" in worker.names(path) for path in paths)]
        set_visibility("public")
        until(lambda: worker.get(f"/api/photos/{hidden}")["state"] == "findable", what="the showing")
        found_again = ["red-1.png" in worker.names(path) for path in paths]

        assert (found, found_again) == ([False] * 3, [True] * 2)
        assert until(lambda: hidden in worker.album(), what="the listing")
        assert worker.metric("sightline_photos_embedded_total") == 8

    def test_a_deleted_users_photos_go_and_stay_away(self, worker, tmp_path):
        """In all partitions, after a restart, and when an old upload comes late; a later one lives."""
        photos = colour_folder(tmp_path / "photos", 1)
        worker.run("publish", str(photos))
        worker.until_findable(4)
        url = (photos / "red-0.png").as_uri()

        def publish(*events):
            worker.run("publish", str(write_events(tmp_path / "events.jsonl", events)))

        def uploaded(photo_id, user_id, time):
            return {"type": "photo.uploaded", "photo_id": photo_id, "user_id": user_id, "time": time, "url": url}

        publish(*(uploaded(each, 9, 1000) for each in range(16)), uploaded(16, 8, 1000))
        worker.until_findable(21)
        publish({"type": "user.deleted", "user_id": 9, "time": 2000})
        worker.until_findable(5)
        worker.stop()
        worker.start_again().ready()
        publish(*(uploaded(each, 9, 1500) for each in range(20, 36)), uploaded(1, 9, 3000))
        until(lambda: {"1", "16"} < worker.album().keys(), what="the photos that are left")
        worker.until_findable(6)

        assert {worker.status(f"/api/photos/{each}") for each in (0, 2, *range(20, 36))} == {404}
        assert worker.run("dead-letters", "list") == ""


@pytest.fixture
def mortal(services: str, settings: Settings, tmp_path):
    """An album of 160 photos in the making, whose worker may be killed: a bare one, or one under `sightline up`.

    The private broker can hang when a client dies in the middle of a request; `sightline up` is what mends that.
    """
    photos = str(colour_folder(tmp_path / "photos", 40))
    private = replace(settings, broker_url="", redis_url="", embedded_broker=False)
    if services == "embedded":
        process = AlbumProcess(private, "up", "--photos", photos)
    else:
        process = AlbumProcess(settings, "worker")
    try:
        process.ready()
        if services == "real":
            process.run("publish", photos)
        yield process
    finally:
        process.stop()


class TestKilled:
    """`kill -9` while broker and Redis live on."""

    def test_a_worker_killed_in_the_middle_ends_in_the_same_state(self, mortal):
        """Photo for photo as if nothing had happened."""
        mortal.until_some_findable(20)
        mortal.end_worker(signal.SIGKILL)
        state = self.album_of(mortal, 160)
        mortal.end_worker(signal.SIGKILL)

        until(lambda: self.album_of(mortal, 160) == state, what="the same album")

    def album_of(self, mortal, count):
        """The whole album, once all is listed: rows come a moment after the index that `photos` counts."""
        mortal.until_findable(count)
        return until(lambda: album if len(album := mortal.album()) == count else None, what="the rows of all photos")

    @pytest.mark.several_workers
    def test_a_second_worker_that_joins_and_leaves_loses_nothing(self, mortal, tmp_path):
        """Two rebalances in the middle of the work."""
        same_services = with_running_services(mortal.settings)
        elsewhere = replace(same_services, data_dir=tmp_path / "second", photo_roots=str(tmp_path))
        second = AlbumProcess(elsewhere, "worker")
        try:
            second.ready()
        finally:
            second.stop()
        mortal.until_findable(160)

        assert mortal.run("dead-letters", "list") == ""

    def test_a_worker_told_to_stop_in_the_middle_stops_and_goes_on_later(self, mortal):
        """It waits for no event that nobody works on any more, and loses none."""
        mortal.until_some_findable(20)
        mortal.end_worker(signal.SIGTERM)

        mortal.until_findable(160)

    def test_a_killed_encoder_is_replaced(self, worker, tmp_path):
        """Its batch is encoded again by the next one."""
        worker.run("publish", str(colour_folder(tmp_path / "photos", 40)))
        worker.until_some_findable(20)
        os.kill(_encoder_of(worker.process.pid), signal.SIGKILL)
        worker.until_findable(160)

        assert worker.run("dead-letters", "list") == ""


def _encoder_of(worker: int) -> int:
    """The process id of the worker's child that encodes."""
    encoders = [pid for pid, command in children_of(worker) if "spawn_main" in command]
    assert len(encoders) == 1, children_of(worker)
    return encoders[0]


def _lines(text: str, count: int) -> str | None:
    return text if len(text.splitlines()) >= count else None
