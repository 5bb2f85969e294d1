"""`sightline up`: the services that are missing, one worker, and a published folder, for as long as it runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from models.bundle import read_manifest
from stream_app import watchdog
from stream_app.embedded_broker import BrokerHangs, check_broker
from stream_app.embedded_log import LogKeeper, restore
from stream_app.errors import ServiceUnavailable
from stream_app.folders import holds_photos
from stream_app.local_services import LocalServices, check_port_free
from stream_app.publishing import publish
from stream_app.running import noted
from stream_app.settings import Settings
from stream_app.topics import create_topics, topic_specs
from stream_app.worker import bundle_dir

#: A worker that dies so often within a minute will not get better by itself.
RESTARTS_PER_MINUTE_MAX = 5
STOP_SECONDS_MAX = 10.0
#: How many more photos are findable when the terminal says so while they still come in.
SAID_EVERY = 100

console = Console(stderr=True, highlight=False)


def run_up(settings: Settings, folders: Sequence[Path]) -> None:
    """Run until interrupted; raises a SightlineError when something cannot start."""
    check_port_free(settings.web_host, settings.web_port)
    with console.status("Looking at the model bundle; the first time, it is built…"):
        folder = bundle_dir(settings)
    services = LocalServices(settings)
    with services as complete, noted(complete):
        asyncio.run(_Supervisor(complete, services, folder, folders).run())


class _Supervisor:
    """Holds the tasks of one run together: whichever fails first ends it."""

    def __init__(self, settings: Settings, services: LocalServices, bundle: Path, folders: Sequence[Path]) -> None:
        self._settings = settings
        self._services = services
        self._specs = topic_specs(settings, read_manifest(bundle).vision_id)
        self._folders = folders
        self._stop = asyncio.Event()
        self._worker: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Start everything, wait for a signal, and stop in the order that loses nothing."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        await create_topics(self._settings, self._specs)
        keeper = None
        if self._settings.embedded_broker:
            await restore(self._settings, self._specs)
            keeper = LogKeeper(self._settings, self._specs)
            await keeper.start()
        tasks = [self._keep_worker(), self._check_services(), self._publish_folders(), self._report()]
        if keeper:
            tasks.append(keeper.failed())
        running = [asyncio.create_task(each) for each in tasks]
        try:
            await self._until_stopped(running)
        except BrokerHangs:
            await self._begin_anew()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await self._stop_worker()
            if keeper:
                # A broker that has just begun to hang must not keep us from ending.
                await asyncio.wait([asyncio.create_task(keeper.stop())], timeout=STOP_SECONDS_MAX)

    async def _until_stopped(self, running: Sequence[asyncio.Task[None]]) -> None:
        """Return on a signal; raise what made a task fail."""
        stopped = asyncio.create_task(self._stop.wait())
        pending: set[asyncio.Task[Any]] = {stopped, *running}
        while not stopped.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def _keep_worker(self) -> None:
        """Start the worker, and again when it dies: the log and Redis live on, so nothing is lost."""
        deaths: list[float] = []
        while True:
            self._worker = await asyncio.create_subprocess_exec(
                *[sys.executable, watchdog.__file__, sys.executable, "-m", "stream_app.cli", "worker"],
                stdin=asyncio.subprocess.PIPE,
                env=self._environment(),
                start_new_session=True,
            )
            code = await self._worker.wait()
            deaths = [each for each in deaths if time.monotonic() - each < 60] + [time.monotonic()]
            if len(deaths) > RESTARTS_PER_MINUTE_MAX or self._stop.is_set():
                raise ServiceUnavailable(
                    "The worker does not stay up",
                    received=f"exit code {code}, {len(deaths)} times within a minute",
                    remedy="Its last words are above; SIGHTLINE_LOG_LEVEL=INFO makes it say more.",
                )
            console.print(f"The worker ended with code {code}; starting it again.")
            await asyncio.sleep(0.5)

    def _environment(self) -> dict[str, str]:
        return os.environ | self._settings.to_environment()

    async def _begin_anew(self) -> None:
        """Become a new `sightline up`: no client of a broker that hangs can be stopped in an orderly way."""
        console.print("The private broker hangs; starting again with all that was kept of its log.")
        await asyncio.to_thread(self._services.stop)
        if self._worker and self._worker.stdin:
            self._worker.stdin.close()
            await self._worker.wait()
        os.execv(sys.executable, [sys.executable, "-m", "stream_app.cli", *sys.argv[1:]])

    async def _stop_worker(self) -> None:
        if self._worker is None or self._worker.returncode is not None:
            return
        self._worker.terminate()
        try:
            await asyncio.wait_for(self._worker.wait(), STOP_SECONDS_MAX)
        except TimeoutError:
            # Its watchdog takes this for the end of its parent and kills what will not end.
            assert self._worker.stdin is not None
            self._worker.stdin.close()
            await self._worker.wait()

    async def _check_services(self) -> None:
        while True:
            self._services.check()
            if self._settings.embedded_broker:
                await check_broker(self._settings, self._specs)
            await asyncio.sleep(1)

    async def _publish_folders(self) -> None:
        """Publish what was uploaded before, then the folders, and follow them."""
        uploads = self._settings.data_dir / "uploads"
        if holds_photos(uploads):
            await publish(self._settings, uploads, progress=False)
        await asyncio.gather(*(publish(self._settings, each, watch=True) for each in self._folders))

    async def _report(self) -> None:
        """Say where the album is as soon as it can be opened, and how many photos can be found."""
        url = f"http://{self._settings.web_host}:{self._settings.web_port}"
        while not ((stats := await asyncio.to_thread(_stats, url)) and stats["ready"]):
            await asyncio.sleep(1)
        console.print(f"Your album is open: [bold]{url}/[/bold]   (Ctrl-C stops everything)")
        said = before = -1
        while True:
            if stats := await asyncio.to_thread(_stats, url):
                now = stats["photos"]
                # Now and then while photos come in, and once more when no others follow: not a line for each.
                if now != said and (now == before or now - said >= SAID_EVERY):
                    console.print(f"{now:,} {'photo' if now == 1 else 'photos'} findable")
                    said = now
                before = now
            await asyncio.sleep(1)


def _stats(url: str) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(f"{url}/api/stats", timeout=5) as reply:
            return json.load(reply)
    except (urllib.error.URLError, OSError, ValueError):
        return None
