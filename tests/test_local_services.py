"""The private broker and Redis server, and that nothing of them stays behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from stream_app.errors import ServiceUnavailable, SettingsError
from stream_app.local_services import LocalServices, check_port_free, faust_settings
from stream_app.settings import Settings

PARENT = """
import signal, sys
from pathlib import Path
from stream_app.local_services import LocalServices
from stream_app.settings import Settings
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background begins without it
with LocalServices(Settings(data_dir=Path(sys.argv[1]))) as settings:
    print(settings.broker_url, settings.redis_url, flush=True)
    sys.stdin.read()
"""


def ports_of(*urls: str) -> list[int]:
    """The ports in addresses."""
    return [int(url.removesuffix("/0").rpartition(":")[2]) for url in urls]


def listens(port: int) -> bool:
    """Whether anybody answers there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def all_gone(ports: list[int]) -> bool:
    """Whether nobody listens any more, given a moment."""
    deadline = time.monotonic() + 20
    while any(map(listens, ports)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(listens, ports))


class TestLifeAndDeath:
    """They live as long as the block, or the process."""

    def test_both_answer_inside_the_block_and_are_gone_after_it(self, tmp_path):
        """The addresses are filled in."""
        with LocalServices(Settings(data_dir=tmp_path)) as settings:
            ports = ports_of(settings.broker_url, settings.redis_url)
            answered = redis.Redis.from_url(settings.redis_url).ping()

            assert settings.embedded_broker and answered and all(map(listens, ports))
        assert not any(map(listens, ports))

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_they_end_with_a_parent_that_is_killed(self, tmp_path, number):
        """Also when it had no chance to say so."""
        with subprocess.Popen(
            [sys.executable, "-c", PARENT, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        ) as parent:
            ports = ports_of(*parent.stdout.readline().decode().split())
            before = all(map(listens, ports))
            parent.send_signal(number)
            parent.wait(60)

        assert before
        assert all_gone(ports)

    def test_a_given_service_is_not_started(self, tmp_path):
        """Only what is missing."""
        given = Settings(data_dir=tmp_path, broker_url="kafka://elsewhere:9092")
        with LocalServices(given) as settings:
            assert settings.broker_url == "kafka://elsewhere:9092"
            assert not settings.embedded_broker
            assert settings.redis_url

    def test_a_service_that_dies_is_named(self, tmp_path):
        """So that `sightline up` can say why it ends."""
        services = LocalServices(Settings(data_dir=tmp_path, broker_url="kafka://elsewhere:9092"))
        with services as settings:
            services.check()
            with redis.Redis.from_url(settings.redis_url) as client:
                client.shutdown(nosave=True)
            assert all_gone(ports_of(settings.redis_url))

            with pytest.raises(ServiceUnavailable, match="private redis server does not run"):
                while True:
                    services.check()


class TestTheDataFolder:
    """One Sightline for each."""

    def test_a_second_one_is_refused_and_the_first_goes_on(self, tmp_path):
        """By a lock that dies with its holder."""
        given = Settings(data_dir=tmp_path, broker_url="kafka://elsewhere:9092")
        with LocalServices(given) as settings:
            with pytest.raises(SettingsError, match=f"held by process {os.getpid()}"):
                with LocalServices(given):
                    pass
            assert redis.Redis.from_url(settings.redis_url).ping()
        with LocalServices(given):
            pass

    def test_a_folder_that_cannot_be_made_is_one_clear_error(self, tmp_path):
        """A file lies in its place."""
        tmp_path.joinpath("file").write_text("")

        with pytest.raises(SettingsError, match="SIGHTLINE_DATA_DIR"):
            with LocalServices(Settings(data_dir=tmp_path / "file" / "data")):
                pass

    def test_everything_it_writes_lies_below_it(self, tmp_path, monkeypatch):
        """The home folder stays as it was."""
        home = tmp_path / "home"
        home.mkdir()
        monkeypatch.setenv("HOME", str(home))
        with LocalServices(Settings(data_dir=tmp_path / "data")):
            pass

        assert list(home.iterdir()) == []


class TestPorts:
    """`check_port_free`."""

    def test_a_taken_port_is_named_with_what_to_do(self):
        """Before anything else is started."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with pytest.raises(SettingsError, match=rf"127[.]0[.]0[.]1:{port}.*already in use.*--port"):
                check_port_free("127.0.0.1", port)
        check_port_free("127.0.0.1", port)


def test_a_real_broker_gets_no_workarounds():
    """They cost speed; only the transport that loses nothing is for every broker."""
    assert set(faust_settings(Settings(broker_url="kafka://a:1"))) == {"broker_consumer", "broker_producer"}
    assert faust_settings(Settings(broker_url="kafka://a:1", embedded_broker=True))["producer_max_batch_size"] == 1


def test_the_watchdog_imports_nothing_of_ours():
    """It is run by its path, without any package."""
    text = Path(__file__).parent.parent.joinpath("stream_app/watchdog.py").read_text()

    assert "import stream_app" not in text and "from stream_app" not in text
