"""What the embed agent writes of a photo, and what it says when it cannot: on a real broker, with a real network."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import faust
import pytest
from colours import colour_photo
from faust_events import faust_event
from hypothesis import given
from hypothesis import strategies as st

from agents.embedding import EmbeddedRow, EmbeddingRoom, EmbedFailures, embed_batch
from models.bundle import read_manifest
from models.encoder import Encoding, LocalEncoder
from stream_app import topics
from stream_app.activity import Event, PhotoDeleted, PhotoUploaded
from stream_app.catalogue import Failure
from stream_app.dead_letters import DeadLetters, list_dead_letters
from stream_app.embedding_log import EmbeddingLog
from stream_app.errors import PhotoRejected
from stream_app.local_services import faust_settings
from stream_app.photos import PhotoReader
from stream_app.records import PhotoEmbedded, PhotoRemoved
from stream_app.settings import Settings
from stream_app.tables import RowTable
from stream_app.versions import KIND_CHANGED, KIND_DELETED, Version

PHOTO = 7
RED = colour_photo("red")


class NetworkHere:
    """The tiny network in this process, as the agent calls it; counts the photos that it is shown."""

    def __init__(self, bundle: Path) -> None:
        self._encoder = LocalEncoder(bundle)
        self.seen = 0

    async def start(self) -> None:
        """There is no process to start."""

    async def encode_images(self, images: Sequence[bytes]) -> list[Encoding | PhotoRejected]:
        self.seen += len(images)
        return self._encoder.encode_images(images)

    async def close(self) -> None:
        """There is no process to end."""


class Agent:
    """The agent's plain function over real topics; each batch that it works on is given to it by hand."""

    def __init__(self, app: faust.App, settings: Settings, vision_id: str) -> None:
        self._offsets = itertools.count(1)
        self.removed: dict[int, Version] = {}
        self.removed_at_look: dict[int, Version] = {}
        self._looks = itertools.count(1)
        self.network = NetworkHere(Path(settings.bundle))
        self._activity = _topic(app, topics.activity_topic(settings))
        name = topics.embeddings_topic(settings, vision_id)
        roots = [Path(settings.photo_roots)]
        self.room = EmbeddingRoom(
            encoder=self.network,
            reader=PhotoReader(roots=lambda: roots, bytes_max=1_000_000, private_addresses_allowed=False),
            embeddings=EmbeddingLog(_topic(app, name), name, settings),
            rows=RowTable(
                app,
                "embedded",
                partition_count=settings.partition_count,
                to_bytes=EmbeddedRow.to_bytes,
                from_bytes=EmbeddedRow.from_bytes,
            ),
            dead_letters=DeadLetters(_topic(app, topics.dead_letters_topic(settings))),
            is_removed=self._is_removed,
        )

    def _is_removed(self, photo_id: int, since: Version) -> bool:
        """As the index answers it; `removed_at_look` says at which look into the log a deletion of PHOTO appears."""
        if deletion := self.removed_at_look.get(next(self._looks)):
            self.removed[PHOTO] = deletion
        return self.removed.get(photo_id, since) > since

    def event(self, activity: Event) -> Any:
        """As Faust brings it, at the next offset of partition 1."""
        return faust_event(activity, self._activity, offset=next(self._offsets))

    async def work_on(self, *activities: Event) -> EmbeddedRow:
        """One batch of these events; returns the row of the photo after it."""
        await embed_batch([self.event(each) for each in activities], self.room)
        return self.row()

    def row(self, photo_id: int = PHOTO) -> EmbeddedRow:
        """What the table has of a photo."""
        return self.room.rows.get(photo_id) or EmbeddedRow()

    async def written(self) -> list[Any]:
        """Every record on the embeddings topic."""
        end = await self.room.embeddings.end_offset(1)
        return [record async for _, record in self.room.embeddings.read(1, 0, end)]


def _topic(app: faust.App, name: str) -> faust.Topic:
    return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


@pytest.fixture
def settings(log_settings: Settings, tiny_bundle: Path, tmp_path: Path) -> Settings:
    """With the test's own folder published; the agent needs no Redis."""
    return replace(log_settings, bundle=str(tiny_bundle), photo_roots=str(tmp_path))


@pytest.fixture
async def agent(settings: Settings, tmp_path: Path) -> AsyncIterator[Agent]:
    """An agent whose topics are empty."""
    vision_id = read_manifest(Path(settings.bundle)).vision_id
    await topics.create_topics(settings, topics.topic_specs(settings, vision_id))
    options = faust_settings(settings) | {"broker": settings.broker_url, "datadir": tmp_path / "faust"}
    app = faust.App(settings.app_id, autodiscover=False, **options)
    async with app.producer:
        yield Agent(app, settings, vision_id)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A file that is cut short, so that it cannot be decoded."""
    path = tmp_path / "photo.png"
    path.write_bytes(RED[:60])
    return path


def uploaded(path: Path, time_ms: int = 10, sha256: str | None = None) -> PhotoUploaded:
    """An upload of what lies at the path."""
    return PhotoUploaded(PHOTO, time_ms, path.as_uri(), sha256)


class TestFailure:
    """An upload that cannot be embedded says why, in a dead letter and in its row."""

    async def test_a_photo_that_cannot_be_decoded_leaves_the_reason(
        self, agent: Agent, settings: Settings, photo: Path
    ) -> None:
        """And nothing on the embeddings topic."""
        row = await agent.work_on(uploaded(photo))
        [letter] = await list_dead_letters(settings)

        assert row.failure and row.failure.version == Version(10, KIND_CHANGED, 1, 1)
        assert row.failure.reason.startswith("The photo is damaged")
        assert letter.reason == f"{photo.as_uri()}: {row.failure.reason}"
        assert await agent.written() == []

    async def test_a_photo_that_cannot_be_read_leaves_the_reason(self, agent: Agent, tmp_path: Path) -> None:
        """It is not there."""
        row = await agent.work_on(uploaded(tmp_path / "nowhere.png"))

        assert row.failure and "cannot be read" in row.failure.reason

    async def test_a_reason_gives_no_secret_of_an_address_away(self, agent: Agent, settings: Settings) -> None:
        """A password, or the signature of a signed address: reasons stand in logs."""
        event = PhotoUploaded(PHOTO, 10, "http://me:pass@127.0.0.1/a.jpg?signature=abc")

        await agent.work_on(event)
        [letter] = await list_dead_letters(settings)

        assert letter.reason.startswith("http://127.0.0.1/a.jpg: ")
        assert "pass@" not in letter.reason and "abc" not in letter.reason

    async def test_a_failure_of_no_known_kind_leaves_the_reason(self, agent: Agent, settings: Settings) -> None:
        """As when the whole batch fails, and then the event on its own."""
        await EmbedFailures(agent.room).put(agent.event(PhotoUploaded(PHOTO, 10, "file:///x.png")), "embed", "a bug")
        await EmbedFailures(agent.room).put(agent.event(PhotoDeleted(PHOTO + 1, 10)), "embed", "a bug")

        assert agent.row() == EmbeddedRow(failure=Failure(Version(10, KIND_CHANGED, 1, 1), "a bug"))
        assert agent.row(PHOTO + 1) == EmbeddedRow()
        assert len(await list_dead_letters(settings)) == 2

    async def test_a_replayed_upload_that_succeeds_settles_its_failure(self, agent: Agent, photo: Path) -> None:
        """It comes with the time of before, and a later offset."""
        await agent.work_on(uploaded(photo, 10))
        photo.write_bytes(RED)
        row = await agent.work_on(uploaded(photo, 10))

        assert (row.failure, row.version) == (None, Version(10, KIND_CHANGED, 1, 2))
        assert [type(each) for each in await agent.written()] == [PhotoEmbedded]

    async def test_a_replayed_upload_that_fails_again_is_the_failure_of_the_replay(
        self, agent: Agent, photo: Path
    ) -> None:
        """The rows of the photos take the replay for the present upload, too."""
        await agent.work_on(uploaded(photo, 10))
        row = await agent.work_on(uploaded(photo, 10))

        assert row.failure and row.failure.version == Version(10, KIND_CHANGED, 1, 2)

    async def test_a_deletion_settles_a_failure(self, agent: Agent, photo: Path) -> None:
        """There is nothing left to explain."""
        await agent.work_on(uploaded(photo, 10))
        row = await agent.work_on(PhotoDeleted(PHOTO, 20))

        assert (row.failure, row.version) == (None, Version(20, KIND_DELETED, 1, 2))

    async def test_a_late_success_of_an_older_upload_settles_nothing(
        self, agent: Agent, photo: Path, tmp_path: Path
    ) -> None:
        """The newest upload still cannot be decoded."""
        (tmp_path / "whole.png").write_bytes(RED)
        await agent.work_on(uploaded(photo, 20))
        row = await agent.work_on(uploaded(tmp_path / "whole.png", 10))

        assert row.failure and row.failure.version.time_ms == 20
        assert row.version.time_ms == 10

    async def test_a_late_failure_of_an_older_upload_is_no_failure(
        self, agent: Agent, photo: Path, tmp_path: Path
    ) -> None:
        """Whether the newer one succeeded or failed."""
        (tmp_path / "whole.png").write_bytes(RED)
        first = await agent.work_on(uploaded(photo, 30))
        second = await agent.work_on(uploaded(photo, 20))
        third = await agent.work_on(uploaded(tmp_path / "whole.png", 50))
        fourth = await agent.work_on(uploaded(photo, 40))

        assert second == first
        assert (third.failure, fourth) == (None, third)

    async def test_a_failure_takes_nothing_from_what_was_embedded(self, agent: Agent, photo: Path) -> None:
        """The same bytes as before, sent again, need no second look."""
        photo.write_bytes(RED)
        digest = hashlib.sha256(RED).hexdigest()
        before = await agent.work_on(uploaded(photo, 10, digest))
        photo.write_bytes(RED[:60])
        during = await agent.work_on(uploaded(photo, 20))
        photo.write_bytes(RED)
        after = await agent.work_on(uploaded(photo, 30, digest))

        assert during == replace(before, failure=during.failure) != before
        assert (after.failure, after.version.time_ms) == (None, 30)
        assert agent.network.seen == 2  # the one that was cut short among them


class TestDeletedMeanwhile:
    """The album says on the embeddings topic, ahead of the agents, that a photo is gone."""

    async def test_what_was_deleted_before_it_was_looked_at_is_not_looked_at(
        self, agent: Agent, settings: Settings, photo: Path
    ) -> None:
        """Its file is gone, and that is no reason for a dead letter."""
        photo.unlink()
        agent.removed[PHOTO] = Version(20, KIND_DELETED, 1, 2)
        row = await agent.work_on(uploaded(photo, 10))

        assert row == EmbeddedRow()
        assert await list_dead_letters(settings) == []

    async def test_what_is_deleted_while_it_is_read_is_no_dead_letter(
        self, agent: Agent, settings: Settings, photo: Path
    ) -> None:
        """The deletion comes between the agent's first look at the log and the reading of the file."""
        photo.unlink()
        agent.removed_at_look = {2: Version(20, KIND_DELETED, 1, 2)}
        row = await agent.work_on(uploaded(photo, 10))

        assert row == EmbeddedRow()
        assert await list_dead_letters(settings) == []

    async def test_the_deletion_itself_is_still_written(self, agent: Agent, photo: Path) -> None:
        """The event and what the album wrote ahead of it have the same version."""
        agent.removed[PHOTO] = Version(20, KIND_DELETED, 1, 1)
        row = await agent.work_on(PhotoDeleted(PHOTO, 20))

        assert row.version == Version(20, KIND_DELETED, 1, 1)
        assert await agent.written() == [PhotoRemoved(PHOTO, row.version)]

    async def test_an_upload_after_the_deletion_is_looked_at(self, agent: Agent, photo: Path) -> None:
        """The photo is back."""
        photo.write_bytes(RED)
        agent.removed[PHOTO] = Version(5, KIND_DELETED, 1, 0)
        row = await agent.work_on(uploaded(photo, 10))

        assert row.version.time_ms == 10


versions = st.builds(Version, st.integers(0, 9), st.sampled_from([KIND_CHANGED, KIND_DELETED]), st.just(1), st.just(2))


class TestRow:
    """It outlives the worker in a changelog."""

    @given(versions, st.text("0af", max_size=4), st.none() | st.builds(Failure, versions, st.text()))
    def test_a_row_survives_the_table(self, version: Version, sha256: str, failure: Failure | None) -> None:
        """What is read back from bytes is what was written."""
        row = EmbeddedRow(version, sha256, 5, failure)

        assert EmbeddedRow.from_bytes(row.to_bytes()) == row

    def test_a_row_from_before_failures_were_noted_can_be_read(self) -> None:
        """Changelogs are older than programs."""
        assert EmbeddedRow.from_bytes(b'[[1,0,2,3],"ab",4]') == EmbeddedRow(Version(1, 0, 2, 3), "ab", 4)
