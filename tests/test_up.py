"""`sightline up`: one command with private services, what it keeps, and what it says when it cannot start."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import pytest
from album_process import AlbumProcess, children_of, colour_folder, colour_photo, until, write_events

from stream_app import topics
from stream_app.embedded_log import kept_path
from stream_app.folders import folder_photo_id
from stream_app.settings import Settings


@pytest.fixture
def own_settings(tiny_bundle, tmp_path):
    """Settings without any service: all are private."""
    return Settings(data_dir=tmp_path / "data", bundle=str(tiny_bundle), seal_interval_seconds=1.0)


@pytest.fixture
def up(own_settings, tmp_path):
    """A running `sightline up` with twelve photos, of which all is kept that must outlive its broker."""
    photos = colour_folder(tmp_path / "photos", 3)
    album = AlbumProcess(own_settings, "up", "--photos", str(photos))
    try:
        album.ready().until_findable(12)
        until(lambda: _kept_counts(own_settings).get("embedded") == 12, what="the last row on the disk")
        yield album
    finally:
        album.stop()


def _kept_counts(settings: Settings) -> dict[str, int]:
    """How many rows of each table lie on the disk; a row is kept after the embedding that it is about."""
    names = {topics.changelog_topic(settings, table): table for table in topics.TABLES}
    with closing(sqlite3.connect(kept_path(settings))) as database:
        counts = database.execute("SELECT topic, count(*) FROM newest GROUP BY topic").fetchall()
    return {names[topic]: count for topic, count in counts if topic in names}


class TestWhatIsKept:
    """The broker's log is in memory; what must outlive it is not."""

    def test_everything_comes_back_and_nothing_that_was_deleted(self, up, tmp_path):
        """Deleted over HTTP, uploaded over HTTP, then all processes end and start again."""
        red = str(folder_photo_id("red-0.png"))
        _, reply = up.send("POST", "/api/photos?name=mine.png", colour_photo("blue", 50))
        up.until_findable(13)
        status, _ = up.send("DELETE", f"/api/photos/{red}")
        before = {photo_id: name for photo_id, (name, _) in up.album().items()}
        up.kill()
        until(lambda: not _listens(up.port), what="the worker ends with its parent")
        up.start_again().ready().until_findable(12)

        # What was uploaded a moment before the end is published again, and is listed when that has been worked on.
        until(lambda: {photo_id: name for photo_id, (name, _) in up.album().items()} == before, what="the same album")
        assert status == 204
        assert reply["photo_id"] in before
        assert up.status(f"/api/photos/{red}") == 404
        assert up.metric("sightline_photos_embedded_total") == 0

    def test_a_user_stays_deleted(self, up, tmp_path):
        """What they uploaded before it is not let in afterwards either."""
        url = (tmp_path / "photos" / "red-0.png").as_uri()
        upload = {"type": "photo.uploaded", "photo_id": 1, "user_id": 9, "time": 1000, "url": url}
        deletion = {"type": "user.deleted", "user_id": 9, "time": 2000}
        up.run("publish", str(write_events(tmp_path / "events.jsonl", [deletion])))
        until(lambda: _kept_counts(up.settings).get("users") == 4, what="the deletion in every partition on the disk")
        up.kill()
        until(lambda: not _listens(up.port), what="the worker ends with its parent")
        up.start_again().ready().until_findable(12)
        events = [upload, upload | {"photo_id": 2, "time": 3000}]
        up.run("publish", str(write_events(tmp_path / "events.jsonl", events)))
        until(lambda: up.status("/api/photos/2") == 200 and len(up.album()) == 13, what="what was uploaded since")

        assert up.status("/api/photos/1") == 404

    def test_the_folder_is_followed(self, up, tmp_path):
        """New, changed and vanished files."""
        (tmp_path / "photos" / "red-0.png").unlink()
        (tmp_path / "photos" / "later.png").write_bytes(colour_photo("yellow", 60))
        (tmp_path / "photos" / "red-1.png").write_bytes(colour_photo("green", 61))
        until(lambda: "later.png" in up.names("/api/search?q=yellow&k=20"), what="the new file")
        until(lambda: up.status(f"/api/photos/{folder_photo_id('red-0.png')}") == 404, what="the vanished file")
        until(lambda: "red-1.png" in up.names("/api/search?q=green&k=4"), what="the changed file")

        until(lambda: up.photo_count() == 12, what="as many photos as before")

    def test_a_killed_worker_is_started_again(self, up):
        """While the broker and Redis live on."""
        up.end_worker(signal.SIGKILL)
        up.until_findable(12)

        assert up.metric("sightline_photos_embedded_total") == 0

    def test_a_broker_that_hangs_is_replaced(self, up):
        """It lives, but answers nothing: all begins anew with what was kept of its log."""
        services = [each for pid, _ in children_of(up.process.pid) for each in children_of(pid)]
        os.kill(next(pid for pid, command in services if "tansu broker" in command), signal.SIGSTOP)
        until(lambda: not _listens(up.port), what="the end of the worker")
        up.ready().until_findable(12)

        assert up.metric("sightline_photos_embedded_total") == 0

    def test_a_second_one_on_the_same_folder_is_refused(self, up, own_settings):
        """Two brokers would keep two truths in one file."""
        said = refused(own_settings, "up")

        assert "data folder" in said or str(own_settings.data_dir) in said


class TestItStartsAllTheSame:
    """What an accident left behind is nobody's fault."""

    def test_an_upload_that_was_never_finished(self, own_settings):
        """It lies in the store, hidden, and is no photo to publish."""
        leftover = own_settings.data_dir / "uploads" / "0123456789abcdef" / ".unfinished"
        leftover.parent.mkdir(parents=True)
        leftover.write_bytes(colour_photo("red", 1)[:100])
        album = AlbumProcess(own_settings, "up")
        try:
            album.ready().send("POST", "/api/photos?name=mine.png", colour_photo("blue", 50))
            album.until_findable(1)
        finally:
            code = album.stop()

        assert code == 0


class TestItCannotStart:
    """One clear line, and nothing hangs."""

    def test_a_missing_folder(self, own_settings, tmp_path):
        """Named, with what to do."""
        assert "nowhere" in refused(own_settings, "up", "--photos", str(tmp_path / "nowhere"))

    def test_an_empty_folder(self, own_settings, tmp_path):
        """No photo in it."""
        (tmp_path / "empty").mkdir()

        assert "empty" in refused(own_settings, "up", "--photos", str(tmp_path / "empty"))

    def test_a_taken_port(self, own_settings):
        """Somebody else listens there."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            said = refused(own_settings, "up", "--port", str(server.getsockname()[1]))

        assert "--port" in said

    def test_a_setting_that_is_no_number(self, own_settings):
        """The environment is checked before anything starts."""
        assert "SIGHTLINE_WEB_PORT" in refused(own_settings, "up", SIGHTLINE_WEB_PORT="many")

    def test_a_worker_without_services(self, own_settings):
        """It names the setting and the command that needs none."""
        assert "sightline up" in refused(own_settings, "worker")

    def test_a_broker_that_is_not_there(self, own_settings):
        """It says which address did not answer."""
        unreachable = replace(own_settings, broker_url="kafka://127.0.0.1:9", redis_url="redis://127.0.0.1:9")

        assert "127.0.0.1:9" in refused(unreachable, "worker")


def refused(settings: Settings, *arguments: str, **environment: str) -> str:
    """The one line that a command says before it ends with a failure."""
    command = [sys.executable, "-m", "stream_app.cli", *arguments]
    variables = os.environ | settings.to_environment() | environment
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 2, done.stderr
    [line] = [each for each in done.stderr.splitlines() if each.startswith("sightline:")]
    return line


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
