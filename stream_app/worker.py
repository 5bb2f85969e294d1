"""One worker process: model bundle, topics, Faust app, in the order in which they need each other."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import faust
from aiohttp import web
from aiohttp.http import HttpProcessingError

from models.manifest import read_manifest
from models.shelf import DEFAULT, ensure_bundle, find_bundle
from models.space import Space
from stream_app.app import create_app
from stream_app.encoders import check_encoder, make_encoder
from stream_app.errors import SettingsError, SightlineError
from stream_app.index import warm_up
from stream_app.local_services import check_port_free, made
from stream_app.settings import Settings
from stream_app.topics import create_topics, log_id, topic_specs

log = logging.getLogger(__name__)


def bundle_dir(settings: Settings) -> Path:
    """The folder of the model bundle, built first if it is the default one and not there yet."""
    bundles_dir = settings.data_dir / "bundles"
    if settings.bundle == DEFAULT:
        return ensure_bundle(bundles_dir)
    if (folder := find_bundle(settings.bundle, bundles_dir)) is not None:
        return folder
    raise SettingsError(
        "The model bundle cannot be found",
        expected="SIGHTLINE_BUNDLE as a folder with a bundle.json, or the name of one below data_dir/bundles",
        received=repr(settings.bundle),
        remedy="`sightline bundles list` shows those that there are.",
    )


def run_worker(settings: Settings) -> None:
    """Run one worker until it is told to stop; returns through SystemExit with its exit code."""
    _require_services(settings)
    check_port_free(settings.web_host, settings.web_port)
    made(settings.data_dir)
    folder = bundle_dir(settings)
    asyncio.run(check_encoder(settings, folder))
    asyncio.run(create_topics(settings, topic_specs(settings, read_manifest(folder).vision_id)))
    cluster = asyncio.run(log_id(settings))
    if not warm_up.is_done():
        log.warning("The search is being compiled, once; this takes some seconds.")
        warm_up.main()
    app = create_app(settings, Space.load(folder), make_encoder(settings, folder), cluster)
    # Faust says at every batch of rows that its buffer is being used.
    logging.getLogger("faust.transport.producer").setLevel(logging.ERROR)
    level = settings.log_level.upper()
    if level != "DEBUG":
        say_expected_problems_in_one_line()
    worker = faust.Worker(app, loglevel=level, stdout=sys.stderr, quiet=True, redirect_stdouts=False)
    worker.spinner = None  # it writes escape codes even when it is quiet
    raise worker.execute_from_commandline()


def say_expected_problems_in_one_line() -> None:
    """A traceback says nothing more of an error that already says what to do, or of a client that speaks no HTTP."""
    make_record = logging.getLogRecordFactory()

    def make_short_record(*arguments: Any, **keywords: Any) -> logging.LogRecord:
        record = make_record(*arguments, **keywords)
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, (SightlineError, HttpProcessingError, web.RequestPayloadError)):
            said = " ".join(str(error).split())
            record.msg, record.args, record.exc_info = "%s", (f"{record.getMessage()}: {said}",), None
        return record

    logging.setLogRecordFactory(make_short_record)


def _require_services(settings: Settings) -> None:
    for name in ("broker_url", "redis_url"):
        if not getattr(settings, name):
            raise SettingsError(
                f"SIGHTLINE_{name.upper()} is not set",
                expected="the address of a running service",
                received="nothing",
                remedy="Set it, or use `sightline up`, which starts a private one.",
            )
