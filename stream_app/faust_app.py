"""Faust as we use it: one app's settings, topics of raw bytes, and tables of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faust
from faust.sensors.prometheus import FaustMetrics, PrometheusMonitor
from prometheus_client import REGISTRY

from stream_app.local_services import faust_settings
from stream_app.settings import Settings
from stream_app.tables import RowTable


def faust_app(settings: Settings, web_options: dict[str, Any]) -> faust.App:
    """An app without agents; `web_options` are what its web application is made with."""
    options: dict[str, Any] = {
        "broker": settings.broker_url,
        "store": settings.tables_store,
        "datadir": settings.data_dir / "faust",
        "topic_partitions": settings.partition_count,
        "topic_replication_factor": settings.replication_factor,
        "web_host": settings.web_host,
        "web_bind": settings.web_host,
        "web_port": settings.web_port,
        "web_application_options": web_options,
        "web_stats_enabled": False,  # mounted at /faust instead, since the album's page is at /
        "web_tables_enabled": False,
        "web_router_enabled": False,
        "worker_redirect_stdouts": False,
        "broker_commit_interval": 1.0,
        # Faust would wait at its end, and at a rebalance, for events that sit in a buffer nobody reads any
        # more. They are not acknowledged, so the next owner gets them.
        "stream_wait_empty": False,
        # Faust waits a minute before the partitions of a killed worker are given to another one.
        "broker_session_timeout": 10.0,
        "broker_heartbeat_interval": 3.0,
        "autodiscover": False,
    }
    app = faust.App(settings.app_id, **(options | faust_settings(settings)))
    app.web.blueprints = type(app.web.blueprints)()
    app.monitor = PrometheusMonitor(metrics=_faust_metrics())
    return app


_registered: list[FaustMetrics] = []


def _faust_metrics() -> FaustMetrics:
    """Faust's metrics, registered once a process: Prometheus' registry refuses a name twice."""
    if not _registered:
        _registered.append(FaustMetrics.create(REGISTRY, "faust"))
    return _registered[0]


def raw_topic(app: faust.App, name: str) -> faust.Topic:
    """A topic of raw bytes: decoding is the agents' work, so that a bad message becomes a dead letter."""
    return app.topic(
        name,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        allow_empty=True,
    )


def row_table(
    app: faust.App, name: str, row: Any, settings: Settings, watch: Callable[[Any], None] | None = None
) -> RowTable[Any]:
    """A table of rows of the class `row`; `watch` is told of each that is written."""
    return RowTable(
        app,
        name,
        partition_count=settings.partition_count,
        to_bytes=row.to_bytes,
        from_bytes=row.from_bytes,
        watch=watch,
    )
