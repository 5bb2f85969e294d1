"""Uploads and deletions of the live album, on a real broker and a real Redis, ahead of agents that do not run yet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import faust
import pytest
from colours import colour_photo
from faust_events import faust_event

from agents.cataloguing import CatalogueRoom, catalogue_batch
from models.bundle import read_manifest
from models.space import Space
from stream_app import topics
from stream_app.activity import Event, PhotoDeleted
from stream_app.catalogue import PhotoRow, UserRow
from stream_app.changes import AlbumChanges, ChangeRoom
from stream_app.embedding_log import EmbeddingLog
from stream_app.errors import EventRejected, PhotoNotFound
from stream_app.index.buckets import RedisBuckets
from stream_app.live_album import AlbumRoom, LiveAlbum
from stream_app.live_index import LiveIndex
from stream_app.local_services import faust_settings
from stream_app.photos import PhotoReader
from stream_app.redis_client import connect, first_planes
from stream_app.settings import Settings
from stream_app.tables import PartitionRows, RowTable
from stream_app.uploads import UploadStore

GREEN = colour_photo("green")


@pytest.fixture
async def room(settings: Settings, tiny_bundle: Path) -> AsyncIterator[ChangeRoom]:
    """What changes work with: the shards are open, the tables are empty and stay so."""
    vision_id = read_manifest(tiny_bundle).vision_id
    await topics.create_topics(settings, topics.topic_specs(settings, vision_id))
    space = Space.load(tiny_bundle)
    options = faust_settings(settings) | {"broker": settings.broker_url, "datadir": settings.data_dir / "faust"}
    app = faust.App(settings.app_id, autodiscover=False, **options)
    embeddings = EmbeddingLog(_topic(app, name := topics.embeddings_topic(settings, vision_id)), name, settings)
    client = connect(settings)
    buckets = RedisBuckets(client, space_id=space.space_id, planes=first_planes(settings, space))
    index = LiveIndex(settings, space, embeddings, buckets)
    async with app.producer:
        await index.open(range(settings.partition_count), "log")
        yield ChangeRoom(
            rows=_rows(app, settings),
            index=index,
            uploads=UploadStore(settings.data_dir / "uploads"),
            activity=_topic(app, topics.activity_topic(settings)),
            embeddings=embeddings,
            kept=lambda partition, offset: asyncio.sleep(0),
        )
        await index.close()
    await client.aclose()


def _topic(app: faust.App, name: str) -> faust.Topic:
    return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def _rows(app: faust.App, settings: Settings) -> RowTable[PhotoRow]:
    return RowTable(
        app,
        "photos",
        partition_count=settings.partition_count,
        to_bytes=PhotoRow.to_bytes,
        from_bytes=PhotoRow.from_bytes,
    )


@pytest.fixture
def album(room: ChangeRoom, tiny_bundle: Path) -> LiveAlbum:
    """The album of a worker whose agents are behind."""
    return LiveAlbum(
        AlbumRoom(
            space=Space.load(tiny_bundle),
            index=room.index,
            rows=room.rows,
            changes=AlbumChanges(room),
            failure=lambda photo_id: None,
            reader=PhotoReader(roots=lambda: [room.uploads.root], bytes_max=1_000_000, private_addresses_allowed=False),
            ready=lambda: (True, ""),
        )
    )


def stored_files(room: ChangeRoom) -> list[Path]:
    """Everything in the store of uploads, finished or not."""
    return [each for each in room.uploads.root.rglob("*") if each.is_file()]


class TestUploading:
    async def test_an_upload_is_queued_as_soon_as_it_is_accepted(self, album: LiveAlbum) -> None:
        """With what was said of it, and with its bytes."""
        photo_id = await album.upload(GREEN, "leaf.png", {"title": "Leaf", "tags": ["a", "b"]})
        photo = await album.photo(photo_id)

        assert (photo.state, photo.title, photo.tags) == ("queued", "Leaf", ("a", "b"))
        assert photo.url.endswith("/leaf.png")
        assert (await album.image(photo_id))[0] == GREEN
        assert (await album.photos(0, 10)) == []

    @pytest.mark.parametrize("metadata", [{"tags": ["x" * 101]}, {"tags": ["x"] * 101}, {"title": "x" * 501}])
    async def test_what_the_agents_would_refuse_is_refused_and_not_stored(
        self, album: LiveAlbum, room: ChangeRoom, metadata: dict
    ) -> None:
        """202 would be a promise that nobody keeps."""
        with pytest.raises(EventRejected, match=r"expected .*; received .*\. Shorten it"):
            await album.upload(GREEN, "leaf.png", metadata)

        assert stored_files(room) == []

    async def test_a_name_of_many_bytes_is_no_trouble(self, album: LiveAlbum, room: ChangeRoom) -> None:
        """Three hundred of them in a hundred characters."""
        photo_id = await album.upload(GREEN, "海" * 100 + ".png", {})

        [path] = stored_files(room)
        assert (await album.photo(photo_id)).url == path.as_uri()


class TestDeleting:
    async def test_what_was_just_accepted_can_be_deleted(self, album: LiveAlbum, room: ChangeRoom) -> None:
        """Gone for whoever asks, and gone from the disk."""
        photo_id = await album.upload(GREEN, "leaf.png", {})
        await album.delete(photo_id)

        for asked in (album.photo(photo_id), album.image(photo_id), album.delete(photo_id)):
            with pytest.raises(PhotoNotFound):
                await asked
        assert stored_files(room) == []

    async def test_an_upload_after_the_deletion_is_there_again(self, album: LiveAlbum, room: ChangeRoom) -> None:
        """The same bytes under the same name, as often as somebody likes."""
        for _ in range(5):
            photo_id = await album.upload(GREEN, "leaf.png", {})
            await album.delete(photo_id)
        again = await album.upload(GREEN, "leaf.png", {})

        assert again == photo_id
        assert (await album.image(photo_id))[0] == GREEN

    async def test_a_deletion_never_erases_the_file_of_a_later_upload(self, album: LiveAlbum, room: ChangeRoom) -> None:
        """Both at the same time, in either order: the file is there just when the photo is."""
        photo_id = await album.upload(GREEN, "leaf.png", {})
        for deletion_first in [True, False] * 10:
            changes = [album.delete(photo_id), album.upload(GREEN, "leaf.png", {})]
            await asyncio.gather(*(changes if deletion_first else reversed(changes)))
            known = await is_known(album, photo_id)

            assert len(stored_files(room)) == known
            if not known:
                await album.upload(GREEN, "leaf.png", {})

    async def test_photos_are_changed_side_by_side(self, album: LiveAlbum) -> None:
        """Only changes of the same photo wait for each other."""
        photo_ids = await asyncio.gather(*(album.upload(GREEN, f"{each}.png", {}) for each in range(20)))
        await asyncio.gather(*(album.delete(each) for each in photo_ids[::2]))

        assert [await is_known(album, each) for each in photo_ids] == [False, True] * 10


class TestErasing:
    """A photo that is deleted by an event is not in the hands of whoever could erase its file."""

    async def test_the_upload_of_a_photo_that_an_event_deleted_is_erased(
        self, album: LiveAlbum, room: ChangeRoom
    ) -> None:
        """And no other."""
        gone, stays = [await album.upload(GREEN, name, {}) for name in ("gone.png", "stays.png")]
        await catalogue(room, PhotoDeleted(gone, now_ms() + 1))
        await AlbumChanges(room).erase_deleted()

        assert [each.name for each in stored_files(room)] == ["stays.png"]
        assert not await is_known(album, gone)
        assert await is_known(album, stays)

    async def test_what_was_uploaded_again_since_is_not_erased(self, album: LiveAlbum, room: ChangeRoom) -> None:
        """Not even by another worker, which knows of it by the time of the file only."""
        photo_id = await album.upload(GREEN, "leaf.png", {})
        await catalogue(room, PhotoDeleted(photo_id, now_ms() - 1_000))
        await AlbumChanges(room).erase_deleted()

        assert len(stored_files(room)) == 1

    async def test_a_store_that_was_never_used_is_no_trouble(self, room: ChangeRoom) -> None:
        """There is no folder yet."""
        await AlbumChanges(room).erase_deleted()


async def catalogue(room: ChangeRoom, event: Event) -> None:
    """Let the cataloguing agent take in an event that did not come from the album."""
    app, kind = room.activity.app, {"to_bytes": UserRow.to_bytes, "from_bytes": UserRow.from_bytes}
    users: PartitionRows[UserRow] = PartitionRows(app, "users", partition_count=4, **kind)
    at_work = CatalogueRoom(room.activity, room.rows, users, dead_letters=None, partition_count=4)
    await catalogue_batch([faust_event(event, room.activity, offset=1_000, time_ms=now_ms())], at_work)


def now_ms() -> int:
    """The time of this machine."""
    return time.time_ns() // 1_000_000


async def is_known(album: LiveAlbum, photo_id: int) -> bool:
    """Whether the album has the photo."""
    try:
        await album.photo(photo_id)
    except PhotoNotFound:
        return False
    return True
