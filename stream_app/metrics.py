"""What the worker counts for Prometheus, beside what Faust's own monitor counts."""

from __future__ import annotations

import math

from prometheus_client import Counter, Gauge, Histogram

ACTIVITY_ACCEPTED = Counter("sightline_activity_accepted", "Events of photo activity that the agents were given")
PHOTOS_EMBEDDED = Counter("sightline_photos_embedded", "Photos that went through the encoder")
PHOTOS_REJECTED = Counter("sightline_photos_rejected", "Events that became dead letters", ["stage"])
EMBEDDINGS_INDEXED = Counter("sightline_embeddings_indexed", "Records of the embeddings topic that were indexed")
PHOTOS_FINDABLE = Gauge("sightline_photos_findable", "Photos that a search can find in this worker's shards")
SEARCH_SECONDS = Histogram(
    "sightline_search_seconds",
    "Time of a search, from the query vector to the hits",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
)
ENCODER_REQUEST_SECONDS = Histogram(
    "sightline_encoder_request_seconds",
    "Time of a request to TF Serving; outcome is answered, not_finite, away, unfit, refused, wrong or cancelled",
    ["outcome"],
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0),
)
ENCODER_CIRCUIT_OPEN = Gauge(
    "sightline_encoder_circuit_open", "1 while TF Serving is not asked, since it failed several times in a row"
)
QUERIES_ANSWERED = Counter(
    "sightline_queries_answered", "Requests answered over Kafka, by the status that HTTP would have had", ["status"]
)
FRESHNESS_SECONDS = Histogram(
    "sightline_freshness_seconds",
    "Time from a photo's activity, by the broker's clock, to the moment that a search can find it",
    buckets=(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 300.0, 1800.0),
)
STREAM_LAG = Gauge(
    "sightline_stream_lag",
    "Messages of a partition that are not finished; stream is activity, embeddings or collections",
    ["stream", "partition"],
)
ENCODER_PHOTOS = Gauge("sightline_encoder_photos", "Photos that were handed to the encoder and are not answered yet")
SEARCH_RECALL = Gauge(
    "sightline_search_recall",
    "Share of the ten nearest that searches found, against exact ones; query is photo or words",
    ["query"],
)
SHARD_ROWS = Gauge(
    "sightline_shard_rows",
    "Rows of a shard; kind is memtable, exact, signatures, cells or forest",
    ["partition", "kind"],
)
REDIS_REACHABLE = Gauge("sightline_redis_reachable", "1 while Redis answers")
REDIS_WRITES_WAITING = Gauge("sightline_redis_writes_waiting", "Records that Redis has not confirmed yet")
THUMBNAILS = Counter("sightline_thumbnails", "Thumbnails asked for; outcome is kept, made or failed", ["outcome"])
for _outcome in ("kept", "made", "failed"):  # zero is worth knowing, too
    THUMBNAILS.labels(_outcome)
THUMBNAIL_BYTES = Gauge("sightline_thumbnail_bytes", "All thumbnails on disk, once they were counted")
THUMBNAIL_BYTES.set(math.nan)
