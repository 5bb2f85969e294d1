"""Galleries, quests and portfolios, from the event to the answer, on a real broker."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace

import pytest
from collection_worker import CollectionWorker

from stream_app import kafka, topics
from stream_app.activity import Metadata, PhotoUploaded
from stream_app.catalogue import PhotoRow, with_event
from stream_app.collection_events import BriefChanged, CollectionDeleted, PhotoEntered, PhotoLeft
from stream_app.dead_letters import list_dead_letters, replay_dead_letters
from stream_app.embedded_log import LogKeeper, holds, kept_path
from stream_app.errors import CollectionNotFound, EventRejected, ServiceUnavailable
from stream_app.records import photo_key
from stream_app.settings import Settings
from stream_app.versions import Version

ADA, BEN = 5, 6


def event(kind: str, **fields: object) -> tuple[bytes, bytes]:
    """Key and value of an event."""
    own_id = next(fields[name] for name in ("gallery_id", "quest_id", "photo_id") if name in fields)
    return str(own_id).encode(), json.dumps({"type": kind} | fields).encode()


def uploaded(photo_id: int, time_ms: int, **fields: object) -> tuple[bytes, bytes]:
    """Key and value of an upload."""
    return event("photo.uploaded", photo_id=photo_id, time=time_ms, url=f"https://example.org/{photo_id}.jpg", **fields)


def upload_by(user_id: int, photo_id: int) -> tuple[PhotoUploaded, Version]:
    """An upload and its version."""
    metadata = Metadata(user_id=user_id)
    return PhotoUploaded(photo_id, photo_id, "https://example.org", None, metadata), Version(photo_id, 0, 0, photo_id)


class TestGalleriesAndQuests:
    """By events."""

    async def test_events_make_the_same_galleries_in_any_order_and_any_number(self, log_settings: Settings) -> None:
        """Over all partitions, each event sent once or twice, of photos that nobody has heard of."""
        events = []
        for gallery_id in range(20):
            events += [event("gallery.photo_added", gallery_id=gallery_id, photo_id=n, time=100 - n) for n in range(9)]
            events += [event("gallery.photo_removed", gallery_id=gallery_id, photo_id=3, time=200)]
        chance = random.Random(5)
        events += chance.sample(events, 60)
        chance.shuffle(events)
        async with CollectionWorker(log_settings) as worker:
            await worker.send("collection-activity", *events)

            for gallery_id in range(20):
                expected = tuple(n for n in range(8, -1, -1) if n != 3)
                await worker.until(lambda: worker.gallery(gallery_id) == expected, "its members")  # noqa: B023

    async def test_a_quest_shows_its_brief_and_who_submitted_what_and_how_often(self, log_settings: Settings) -> None:
        """And a gallery of the same number is another thing."""
        submitted = {"quest_id": "7", "photo_id": "1", "user_id": ADA}
        async with CollectionWorker(log_settings) as worker:
            await worker.send(
                "collection-activity",
                event("gallery.photo_added", gallery_id=7, photo_id=9),
                event("quest.photo_submitted", **submitted, time=4),
                event("quest.photo_submitted", **submitted, time=2),
                event("quest.photo_submitted", quest_id=7, photo_id=2, time=3),
                event("quest.brief_changed", quest_id=7, time=2, words="red", example_photo_ids=[8]),
                event("quest.brief_changed", quest_id=7, time=1, words="blue"),
            )
            quest = await worker.until(lambda: worker.room.quest(7).words and worker.room.quest(7), "the brief")
            again = await worker.until(lambda: worker.room.quest(7).submissions[0].again, "a submission again")

            assert (quest.words, quest.example_photo_ids) == ("red", (8,))
            assert [(each.photo_id, each.user_id) for each in quest.submissions] == [(1, ADA), (2, None)]
            assert [each.version.time_ms for each in again] == [4]
            assert worker.gallery(7) == (9,)

    async def test_what_is_no_event_is_a_dead_letter_and_the_others_go_on(self, log_settings: Settings) -> None:
        """With its reason; corrected or not, it can be sent again."""
        async with CollectionWorker(log_settings) as worker:
            await worker.send(
                "collection-activity",
                (None, b"no JSON"),
                (b"8", event("gallery.photo_added", gallery_id=7, photo_id=1)[1]),
                event("gallery.photo_added", gallery_id=7, photo_id=-1),
                event("gallery.photo_added", gallery_id=7, photo_id=2),
            )
            await worker.until(lambda: worker.gallery(7) == (2,), "the good one")
            for _ in range(2):
                letters = await list_dead_letters(log_settings)
                while len(letters) < 3:
                    letters = await list_dead_letters(log_settings)
                assert {each.stage for each in letters} == {"collect"}
                assert {each.topic for each in letters} == {topics.collections_topic(log_settings)}
                assert {each.reason.split(";")[0].split(" (")[0] for each in letters} == {
                    "The event is not JSON",
                    "The key of the message is not its gallery_id",
                    "photo_id cannot be used",
                }
                await replay_dead_letters(log_settings)

    async def test_a_worker_that_starts_again_knows_what_it_knew(self, log_settings: Settings) -> None:
        """Members, tombstones, briefs, deletions and portfolios, from the changelogs."""
        async with CollectionWorker(log_settings) as worker:
            await worker.send("photo-activity", uploaded(1, 1, user_id=ADA), uploaded(2, 2, user_id=ADA))
            await worker.send(
                "collection-activity",
                *(event("gallery.photo_added", gallery_id=g, photo_id=p, time=p) for g in range(9) for p in (1, 2, 3)),
                *(event("gallery.photo_removed", gallery_id=g, photo_id=2, time=9) for g in range(9)),
                event("gallery.deleted", gallery_id=8, time=9),
                event("quest.brief_changed", quest_id=8, words="red"),
            )
            await worker.until(lambda: len(worker.portfolio(ADA)) == 2, "the portfolio")
            await worker.until(lambda: worker.room.quest(8), "the last event of its partition")
            for gallery_id in range(8):
                await worker.until(lambda: worker.gallery(gallery_id) == (1, 3), "the gallery")  # noqa: B023
        async with CollectionWorker(log_settings, "another") as worker:
            assert [worker.gallery(each) for each in range(8)] == [(1, 3)] * 8
            assert worker.room.quest(8).words == "red"
            assert worker.portfolio(ADA) == (1, 2)
            with pytest.raises(CollectionNotFound, match="deleted"):
                worker.room.gallery(8)
            late = event("gallery.photo_added", gallery_id=3, photo_id=2, time=8)
            await worker.send("collection-activity", late, event("gallery.photo_added", gallery_id=3, photo_id=4))
            await worker.until(lambda: worker.gallery(3) == (1, 3, 4), "the late one left out")

    @pytest.mark.several_workers
    async def test_a_second_worker_takes_over_some_and_nobody_answers_wrongly(self, log_settings: Settings) -> None:
        """Each collection is known to just one of them, and to the one that remains in the end."""
        galleries = range(40)
        async with CollectionWorker(log_settings, "first") as first:
            await first.send(
                "collection-activity",
                *(event("gallery.photo_added", gallery_id=each, photo_id=1, time=1) for each in galleries),
            )
            for each in galleries:
                await first.until(lambda: first.gallery(each) == (1,), "all with one worker")  # noqa: B023
            async with CollectionWorker(log_settings, "second") as second:
                both = [first, second]
                await first.until(lambda: sum(each.knows(g) for each in both for g in galleries) == 40, "one of both")
                await first.until(lambda: second.owned_count > 0, "a share")
                await first.send(
                    "collection-activity",
                    *(event("gallery.photo_removed", gallery_id=each, photo_id=1, time=2) for each in galleries),
                )
                for each in galleries:
                    await first.until(lambda: [w.gallery(each) for w in both if w.knows(each)] == [()], "all")  # noqa: B023
                assert {each: [w.knows(each) for w in both].count(True) for each in galleries} == dict.fromkeys(
                    galleries, 1
                )
            for each in galleries:
                await first.until(lambda: first.gallery(each) == (), "all back")  # noqa: B023


class TestPortfolios:
    """From the stream of photos."""

    async def test_a_portfolio_follows_owners_and_deletions(self, log_settings: Settings) -> None:
        """In whatever order they come."""
        async with CollectionWorker(log_settings) as worker:
            await worker.send(
                "photo-activity",
                event("photo.edited", photo_id=3, time=9, user_id=ADA),
                *(uploaded(each, each, user_id=ADA) for each in (1, 2, 4)),
                uploaded(3, 3, user_id=BEN),
                uploaded(5, 5),
                event("photo.edited", photo_id=1, time=9, user_id=BEN),
                event("photo.deleted", photo_id=2, time=9),
                event("photo.deleted", photo_id=6, time=9),
                uploaded(6, 6, user_id=ADA),
            )
            await worker.until(lambda: worker.portfolio(ADA) == (3, 4), "hers")
            await worker.until(lambda: worker.portfolio(BEN) == (1,), "his")

            assert {each.user_id for each in worker.room.portfolios()} == {ADA, BEN}
            await worker.send("photo-activity", event("photo.deleted", photo_id=1, time=10))
            await worker.until(lambda: worker.portfolio(BEN) == (), "nothing left")
            assert [each.user_id for each in worker.room.portfolios()] == [ADA]

    async def test_the_portfolio_of_a_user_who_was_deleted_is_empty(self, log_settings: Settings) -> None:
        """Photos lie in all partitions; what they upload after that counts again."""
        async with CollectionWorker(log_settings) as worker:
            await worker.send("photo-activity", *(uploaded(each, each, user_id=ADA) for each in range(1, 9)))
            await worker.until(lambda: len(worker.portfolio(ADA)) == 8, "all of hers")
            await worker.send("photo-activity", (b"5", json.dumps({"type": "user.deleted", "user_id": ADA}).encode()))
            await worker.until(lambda: worker.portfolio(ADA) == (), "nothing")
            late = time.time_ns() // 1_000_000 + 60_000
            await worker.send("photo-activity", uploaded(1, late, user_id=ADA))
            await worker.until(lambda: worker.portfolio(ADA) == (1,), "the new one")

    async def test_an_album_of_before_there_were_portfolios_gets_them(self, log_settings: Settings) -> None:
        """From the rows of its photos; and what is said of these photos later is understood."""
        settings = replace(log_settings, embedded_broker=True)
        rows = [with_event(PhotoRow(each), *upload_by(ADA, each)) for each in (1, 2)]
        await topics.create_topics(settings, topics.topic_specs(settings, "none"))
        async with kafka.producer(settings) as producer:
            for row in rows:
                changelog = topics.changelog_topic(settings, "photos")
                await producer.send_and_wait(changelog, row.to_bytes(), photo_key(row.photo_id))
        async with CollectionWorker(settings) as worker:
            await worker.until(lambda: worker.portfolio(ADA) == (1, 2), "both")

            await worker.send("photo-activity", event("photo.edited", photo_id=1, time=9, user_id=BEN))
            await worker.until(lambda: worker.portfolio(BEN) == (1,), "an edit of the owner alone")
        async with CollectionWorker(settings, "another") as worker:
            await worker.until(lambda: worker.portfolio(ADA) == (2,), "what the first one may not have known")
            assert worker.portfolio(BEN) == (1,)


class TestAccepted:
    """What this worker is told directly."""

    async def test_what_was_published_is_seen_at_once(self, log_settings: Settings) -> None:
        """Each event after the one before it, within a millisecond, and the version grows each time."""
        async with CollectionWorker(log_settings) as worker:
            versions = []
            for _ in range(20):
                await worker.room.publish([PhotoEntered("gallery", 7, None, each) for each in (3, 1, 2)])
                versions.append(worker.room.gallery(7).version)
                assert worker.gallery(7) == (3, 1, 2)
                await worker.room.publish([PhotoLeft("gallery", 7, None, each) for each in (3, 1, 2)])
                versions.append(worker.room.gallery(7).version)
                assert worker.gallery(7) == ()
            await worker.room.publish([BriefChanged("quest", 7, None, "red", (3,))])
            assert worker.room.quest(7).words == "red"
            await worker.room.publish([CollectionDeleted("quest", 7, None)])
            with pytest.raises(CollectionNotFound, match="deleted"):
                worker.room.quest(7)
            await worker.room.publish([PhotoEntered("quest", 7, None, 3)])
            assert worker.room.quest(7).words == ""

            assert versions == sorted(set(versions))

    async def test_what_is_no_event_is_refused_before_anything_is_sent(self, log_settings: Settings) -> None:
        """A thousand good ones beside it make no difference."""
        async with CollectionWorker(log_settings) as worker:
            with pytest.raises(EventRejected, match="words cannot be used"):
                await worker.room.publish(
                    [PhotoEntered("quest", 7, None, 3), BriefChanged("quest", 7, None, "x" * 1_000)]
                )
            with pytest.raises(CollectionNotFound):
                worker.room.quest(7)

    async def test_an_answer_that_cannot_be_known_is_none(self, log_settings: Settings) -> None:
        """Before the tables are recovered."""
        worker = CollectionWorker(log_settings)

        with pytest.raises(ServiceUnavailable, match="not open yet"):
            worker.room.gallery(7)

    async def test_what_is_accepted_outlives_the_embedded_broker(self, log_settings: Settings) -> None:
        """It is on this machine's disk by then."""
        settings = replace(log_settings, embedded_broker=True)
        settings.data_dir.mkdir()
        specs = topics.topic_specs(settings, "none")
        await topics.create_topics(settings, specs)
        keeper = LogKeeper(settings, specs)
        await keeper.start()
        try:
            async with CollectionWorker(settings) as worker:
                await worker.room.publish([PhotoEntered("gallery", 7, None, each) for each in range(50)])

                partition = kafka.partition_of(b"7", settings.partition_count)
                assert holds(kept_path(settings), topics.changelog_topic(settings, "galleries"), partition, 49)
        finally:
            await keeper.stop()
