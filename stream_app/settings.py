"""Everything that can be set, each with its unit and its reason; read once from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from stream_app.errors import SettingsError


def _setting(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Settings:
    """The settings of one worker. The environment's name of a field is `SIGHTLINE_` and the field in capitals."""

    broker_url: str = _setting("", "Kafka, as kafka://host:port; empty: `sightline up` starts a private broker")
    redis_url: str = _setting(
        "",
        "Redis, as redis://host:port/0 or redis+cluster://host:port,…; empty: `sightline up` starts a private server",
    )
    data_dir: Path = _setting(Path("~/.sightline"), "everything Sightline keeps on this machine lies below it")
    bundle: str = _setting("default", "name of the model bundle below data_dir/bundles, or a path to one")
    app_id: str = _setting("sightline", "consumer group, and prefix of the changelog topics")
    topic_prefix: str = _setting("", "begins the name of every topic, so that several albums can share a broker")
    partition_count: int = _setting(4, "partitions of every topic; fixed once the topics exist")
    replication_factor: int = _setting(1, "replicas of every topic; 3 on a real cluster")

    web_host: str = _setting("127.0.0.1", "address the web server binds; loopback unless told otherwise")
    web_port: int = _setting(6066, "port of the web server")
    allowed_hosts: str = _setting("", "further names, comma-separated, under which browsers may reach this worker")
    upload_bytes_max: int = _setting(50_000_000, "largest body of an upload")
    thumbnail_bytes_max: int = _setting(1_000_000_000, "all thumbnails on disk; those not used for longest go first")

    photo_roots: str = _setting("", "folders, separated like PATH, below which file: photos may be read")
    private_addresses_allowed: bool = _setting(False, "whether photos may be fetched from private addresses")
    photo_bytes_max: int = _setting(100_000_000, "largest photo file that is read")
    photo_pixels_max: int = _setting(150_000_000, "largest photo that is decoded, in pixels")
    fetch_timeout_seconds: float = _setting(20.0, "how long one photo may take to arrive")

    encoder: str = _setting(
        "local", "where photos are encoded: local, or TF Serving as grpc://host:port/model or rest://…"
    )
    device: str = _setting(
        "auto", "what the local encoder runs on: auto (a GPU where there is one), cpu, gpu, or gpu:N"
    )
    mixed_precision: str = _setting(
        "false", "whether it may halve its numbers: auto (bfloat16 on a processor that has it), true (also GPUs), false"
    )
    encoder_timeout_seconds: float = _setting(10.0, "how long TF Serving may take to answer one request")
    encoder_batch_size: int = _setting(16, "photos in one request to TF Serving, at most")
    embed_batch_size: int = _setting(32, "photos that go through the encoder together")
    embed_batch_seconds: float = _setting(0.1, "how long a batch waits to fill")
    index_batch_size: int = _setting(500, "embeddings that are indexed together")
    index_batch_seconds: float = _setting(0.05, "how long a batch of embeddings waits to fill")

    labels_produced: bool = _setting(True, "whether every photo's words and labels go to the topic photo-labels")
    reply_topic_prefix: str = _setting(
        "photo-replies", "begins, behind topic_prefix, the name of every topic that replies over Kafka may go to"
    )
    reply_bytes_max: int = _setting(900_000, "largest message of a reply over Kafka; more goes into several")
    queries_at_once: int = _setting(32, "requests over Kafka that one worker works on at a time")
    collect_batch_size: int = _setting(500, "events of galleries and quests that are worked on together")
    collect_batch_seconds: float = _setting(0.02, "how long a batch of them waits to fill; suggestions wait as long")

    seal_interval_seconds: float = _setting(30.0, "how often the index looks for something to seal or merge")
    memtable_vectors_max: int = _setting(2_500, "vectors a shard keeps unsealed; a crash reads them again")
    search_recall: float = _setting(0.95, "how many of the nearest photos a search should find, of 1")
    tables_store: str = _setting("memory://", "Faust's store of the tables: memory:// or rocksdb://")
    log_level: str = _setting("WARNING", "how much a worker says: DEBUG, INFO, WARNING or ERROR")
    embedded_broker: bool = _setting(False, "set by `sightline up` when the broker is its own")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """Settings from `given`, else the environment, else the default; raises SettingsError on a wrong value."""
        environment = os.environ if environment is None else environment
        values = dict(given)
        for each in fields(cls):
            name = f"SIGHTLINE_{each.name.upper()}"
            if each.name not in values and environment.get(name, "") != "":
                values[each.name] = _cast(name, environment[name], type(each.default))
        settings = cls(**values)
        object.__setattr__(settings, "data_dir", Path(settings.data_dir).expanduser().absolute())
        return settings._checked()

    def to_environment(self) -> dict[str, str]:
        """The same settings as environment variables, for a child process."""
        return {f"SIGHTLINE_{each.name.upper()}": str(getattr(self, each.name)) for each in fields(self)}

    def _checked(self) -> Settings:
        if self.log_level.upper() not in _LOG_LEVELS:
            raise SettingsError(
                "SIGHTLINE_LOG_LEVEL cannot be used", expected=", ".join(_LOG_LEVELS), received=repr(self.log_level)
            )
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:  # also of what is not a number
                raise SettingsError(
                    f"SIGHTLINE_{name.upper()} is out of range",
                    expected=f"{low} to {high}",
                    received=str(value),
                )
        return self


_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_RANGES = (
    ("partition_count", 1, 4096),
    ("replication_factor", 1, 9),
    ("web_port", 1, 65535),
    ("embed_batch_size", 1, 1024),
    ("encoder_batch_size", 1, 1024),
    ("encoder_timeout_seconds", 0.1, 600.0),
    ("index_batch_size", 1, 100_000),
    ("collect_batch_size", 1, 100_000),
    ("memtable_vectors_max", 100, 1_000_000),
    ("search_recall", 0.5, 1.0),
    ("upload_bytes_max", 1_000, 2_000_000_000),
    ("thumbnail_bytes_max", 1_000_000, 1_000_000_000_000),
    ("photo_bytes_max", 1_000, 2_000_000_000),
    ("photo_pixels_max", 1_000_000, 2_000_000_000),
    ("fetch_timeout_seconds", 0.1, 600.0),
    ("embed_batch_seconds", 0.001, 60.0),
    ("index_batch_seconds", 0.001, 60.0),
    ("reply_bytes_max", 10_000, 100_000_000),
    ("queries_at_once", 1, 1_000),
    ("collect_batch_seconds", 0.001, 60.0),
    ("seal_interval_seconds", 0.1, 3600.0),
)


def _cast(name: str, text: str, kind: Any) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
            raise SettingsError(f"{name} cannot be used", expected="true or false", received=repr(text))
        return text.lower() in ("true", "1", "yes")
    if issubclass(kind, Path):
        return Path(text)
    try:
        return kind(text)
    except ValueError:
        raise SettingsError(
            f"{name} cannot be used", expected=f"a value of type {kind.__name__}", received=repr(text)
        ) from None
