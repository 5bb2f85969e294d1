"""Joins everything into the Faust app of one worker; nothing else in the house knows all the rooms."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import faust

from agents.cataloguing import CatalogueRoom, declare_cataloguing
from agents.collecting import declare_collecting
from agents.embedding import EmbeddedRow, EmbeddingRoom, declare_embedding
from agents.indexing import IndexingRoom, declare_indexing
from agents.owning import OwnersRoom, declare_owning
from agents.querying import QueryRoom, declare_querying
from models.encoder import AsyncEncoder
from models.space import Space
from stream_app import topics
from stream_app.application_room import ApplicationRoom
from stream_app.arrivals import Arrivals
from stream_app.candidates import CandidateSource
from stream_app.catalogue import PhotoRow, UserRow
from stream_app.changes import AlbumChanges, ChangeRoom
from stream_app.collection_tables import collection_tables
from stream_app.contract.operations import Handlers, handlers_of
from stream_app.dead_letters import DeadLetters
from stream_app.embedded_log import kept_path, until_kept
from stream_app.embedding_log import EmbeddingLog
from stream_app.encoder_queue import CountedEncoder
from stream_app.faust_app import faust_app, raw_topic, row_table
from stream_app.findable_photos import FindablePhotos
from stream_app.freshness import Freshness
from stream_app.gallery_answers import GalleryAnswers
from stream_app.housekeeping import erase_deleted, follow_assignment, keep_house, readiness
from stream_app.index.buckets import RedisBuckets
from stream_app.lazy_producer import LazyProducer
from stream_app.live_album import AlbumRoom, LiveAlbum
from stream_app.live_collections import CollectionRoom, LiveCollections
from stream_app.live_index import LiveIndex
from stream_app.live_sample import LiveSample
from stream_app.photo_answers import Classification, PhotoAnswers
from stream_app.photo_labels import LABEL_BATCH_BYTES, LabelLog, Labels, NoLabels
from stream_app.photo_search import PhotoSearch, SearchRoom
from stream_app.photographer_answers import PhotographerAnswers
from stream_app.photos import PhotoReader
from stream_app.portfolios import PhotoOwner
from stream_app.query_replies import QueryDesk
from stream_app.quest_answers import QuestAnswers
from stream_app.redis_client import connect, first_planes
from stream_app.reply_topics import ReplyTopics
from stream_app.roots import PublishedRoots
from stream_app.sent_images import ImageDesk
from stream_app.settings import Settings
from stream_app.stream_lag import positions_of
from stream_app.tables import PartitionRows, RowTable
from stream_app.tag_index import TagIndex
from stream_app.uploads import UploadStore
from stream_app.web.ops_views import attach_ops
from stream_app.web.photo_types import require_readable_photo
from stream_app.web.server import application_options, attach_web
from stream_app.word_answers import WordAnswers
from stream_app.worker_watch import WatchRoom, WorkerWatch


def create_app(settings: Settings, space: Space, encoder: AsyncEncoder, log_id: str) -> faust.App:
    """The app of one worker in the role `all`; the topics must exist before it starts.

    `log_id` names the broker's cluster: shards that were filled from another one are begun anew.
    """
    app, encoder = faust_app(settings, application_options(settings)), CountedEncoder(encoder)
    activity = raw_topic(app, topics.activity_topic(settings))
    embeddings_topic = raw_topic(app, topics.embeddings_topic(settings, space.vision_id))
    embeddings = EmbeddingLog(embeddings_topic, embeddings_topic.get_topic_name(), settings)
    dead_letters = DeadLetters(raw_topic(app, topics.dead_letters_topic(settings)))
    uploads = UploadStore(settings.data_dir / "uploads")
    reader = PhotoReader(
        roots=PublishedRoots(settings, always=[uploads.root]),
        bytes_max=settings.photo_bytes_max,
        private_addresses_allowed=settings.private_addresses_allowed,
        timeout_seconds=settings.fetch_timeout_seconds,
    )
    tags = TagIndex()
    photos: RowTable[PhotoRow] = row_table(app, "photos", PhotoRow, settings, watch=tags.note)
    embedded: RowTable[EmbeddedRow] = row_table(app, "embedded", EmbeddedRow, settings)
    redis_client = connect(settings)
    planes = first_planes(settings, space)
    buckets = RedisBuckets(redis_client, space_id=space.space_id, planes=planes)
    index = LiveIndex(settings, space, embeddings, buckets)
    freshness = Freshness()
    app.sensors.add(Arrivals(topics.activity_topic(settings), freshness))

    users: PartitionRows[UserRow] = PartitionRows(
        app,
        "users",
        partition_count=settings.partition_count,
        to_bytes=UserRow.to_bytes,
        from_bytes=UserRow.from_bytes,
    )
    declare_cataloguing(app, CatalogueRoom(activity, photos, users, dead_letters, settings.partition_count), settings)
    embedding_room = EmbeddingRoom(encoder, reader, embeddings, embedded, dead_letters, index.is_removed)
    declare_embedding(app, activity, embedding_room, settings)
    indexing_room = IndexingRoom(
        index, photos, embeddings, dead_letters, space.vision_id, _labels(app, settings, space), freshness
    )
    declare_indexing(app, embeddings_topic, indexing_room, settings)

    collections = join_collections(app, settings, activity, photos, dead_letters)

    follow_assignment(app, index, embeddings.name, log_id, tags, photos)
    keep_house(app, settings, encoder, index, reader, redis_client)
    kept = _kept(settings, embeddings.name)
    changes = AlbumChanges(ChangeRoom(photos, index, uploads, activity, embeddings, kept))
    erase_deleted(app, changes, index)
    room = AlbumRoom(
        space=space,
        index=index,
        rows=photos,
        changes=changes,
        failure=lambda photo_id: row.failure if (row := embedded.get(photo_id)) else None,
        reader=reader,
        ready=lambda: readiness(app, index),
    )
    album = LiveAlbum(room)
    findable = FindablePhotos(album, index, changes)
    handlers = _handlers(space, findable, ImageDesk(space, encoder, reader), collections, tags)
    attach_web(app.web.web_app, album, handlers, settings)
    query_desk = QueryDesk(handlers, lambda image: require_readable_photo(image, "image"), settings.queries_at_once)
    _answer_queries(app, QueryRoom(query_desk, ReplyTopics(settings), dead_letters, index.opened), settings)
    looked_at = settings, space, index, encoder, redis_client, freshness
    watched = WatchRoom(*looked_at, embeddings.name, partial(positions_of, app), room.ready)
    attach_ops(app.web.web_app, WorkerWatch(watched))
    app.web.blueprints.add("/faust", "faust.web.apps.stats:blueprint")
    return app


def _handlers(
    space: Space, photos: FindablePhotos, images: ImageDesk, collections: LiveCollections, tags: TagIndex
) -> Handlers:
    """What answers each operation of the contract."""
    room = ApplicationRoom(space, photos, collections, LiveSample(photos.index))
    return handlers_of(
        (
            PhotoSearch(SearchRoom(space, photos, images, CandidateSource(photos.index, tags), tags)),
            PhotoAnswers(photos.album),
            Classification(space, photos.album, images),
            WordAnswers(photos.album.vocabulary),
            GalleryAnswers(room),
            QuestAnswers(room),
            PhotographerAnswers(room),
        )
    )


def join_collections(
    app: faust.App,
    settings: Settings,
    activity: faust.Topic,
    photos: RowTable[PhotoRow],
    dead_letters: DeadLetters,
) -> LiveCollections:
    """The tables and agents of galleries, quests and portfolios, and the room that is asked for them."""
    tables, portfolios = collection_tables(app, settings.partition_count)
    collection_activity = raw_topic(app, topics.collections_topic(settings))
    declare_collecting(app, collection_activity, tables, dead_letters, settings)
    owners: RowTable[PhotoOwner] = row_table(app, "owners", PhotoOwner, settings)
    news = raw_topic(app, topics.owners_topic(settings))
    declare_owning(app, activity, OwnersRoom(photos, owners, news, portfolios, dead_letters), settings)
    kept = {kind: _kept(settings, table.changelog) for kind, table in tables.items()} if _is_kept(settings) else None
    return LiveCollections(CollectionRoom(tables, portfolios, collection_activity, settings.partition_count, kept))


def _labels(app: faust.App, settings: Settings, space: Space) -> Labels:
    if not settings.labels_produced:
        return NoLabels()
    producer = LazyProducer(settings, max_batch_size=LABEL_BATCH_BYTES)

    async def stop(*_: Any, **__: Any) -> None:
        await producer.stop()

    app.on_before_shutdown.connect(stop, weak=False)
    return LabelLog(topics.labels_topic(settings), space, producer)


def _answer_queries(app: faust.App, room: QueryRoom, settings: Settings) -> None:
    declare_querying(app, raw_topic(app, topics.queries_topic(settings)), room)

    async def stop(*_: Any, **__: Any) -> None:
        await room.held.stop()
        await room.replies.stop()

    app.on_before_shutdown.connect(stop, weak=False)


def _kept(settings: Settings, topic: str) -> Callable[[int, int], Awaitable[None]]:
    """Waits until an offset outlives the embedded broker, where `sightline up` keeps its log; else not at all."""

    async def at_once(partition: int, offset: int) -> None:
        await asyncio.sleep(0)

    async def until_on_disk(partition: int, offset: int) -> None:
        await until_kept(settings, topic, partition, offset)

    return until_on_disk if _is_kept(settings) else at_once


def _is_kept(settings: Settings) -> bool:
    return settings.embedded_broker and kept_path(settings).exists()
