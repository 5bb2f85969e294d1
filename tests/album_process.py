"""Real workers in processes of their own, and how the end-to-end stories speak to them."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from stream_app.settings import Settings

T = TypeVar("T")
#: What does not come within this time and so many looks does not come: on a machine with much else to do a look takes
#: longer, and so does what is waited for.
WAIT_SECONDS_MAX, LOOKS_MIN, STARVED_SECONDS_MAX = 90.0, 1_200, 600.0
#: A single command; it ends by itself.
COMMAND_SECONDS_MAX = 600.0
#: Below what systems give to outgoing connections, so that none of these takes the port before the worker listens.
PORTS = range(20_000, 32_000)

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 180, 40),
    "blue": (30, 50, 220),
    "yellow": (235, 220, 40),
}


def colour_photo(colour: str, seed: int, kind: str = "PNG") -> bytes:
    """A noisy photo of one colour; every seed gives other bytes."""
    rng = np.random.default_rng(seed)
    pixels = np.clip(np.array(COLOURS[colour]) + rng.normal(0, 12, (48, 64, 3)), 0, 255)
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, kind)
    return file.getvalue()


def colour_folder(folder: Path, per_colour: int) -> Path:
    """A folder of photos named by their colours."""
    folder.mkdir(parents=True, exist_ok=True)
    for colour in COLOURS:
        for seed in range(per_colour):
            (folder / f"{colour}-{seed}.png").write_bytes(colour_photo(colour, seed))
    return folder


def children_of(parent: int) -> list[tuple[int, str]]:
    """Process ids and command lines of the children of a process."""
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return [(int(row[0]), row[2]) for row in rows if len(row) == 3 and int(row[1]) == parent]


def until(question: Callable[[], T], *, what: str, seconds_max: float = WAIT_SECONDS_MAX) -> T:
    """The first true answer; fails with `what` and the last answer when none comes."""
    began, looks = time.monotonic(), 0
    while not (answer := question()):
        looks += 1
        waited = time.monotonic() - began
        has_time = waited < seconds_max or (looks < LOOKS_MIN and waited < STARVED_SECONDS_MAX)
        assert has_time, f"{what}: not within {waited:.0f} s, last answer {answer!r}"
        time.sleep(0.05)
    return answer


def quiet_port() -> int:
    """A free port that stays free until the process that is about to start listens on it."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class AlbumProcess:
    """One `sightline` command in a process of its own: `worker`, or `up` with its private services."""

    def __init__(self, settings: Settings, *command: str) -> None:
        self.settings = settings
        self.port = quiet_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = os.environ | settings.to_environment() | {"SIGHTLINE_WEB_PORT": str(self.port)}
        self._command = [sys.executable, "-m", "stream_app.cli", *command]
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, env=self._environment)

    def ready(self) -> AlbumProcess:
        """Wait until `/readyz` says so; fails at once when the process ends.

        One that compiles first needs more than a minute and a half on a fifth of two cores.
        """
        until(self._is_ready, what="readyz", seconds_max=STARVED_SECONDS_MAX)
        return self

    def kill(self) -> None:
        """`kill -9`, and wait until it has gone."""
        self.process.kill()
        self.process.wait()

    def end_worker(self, how: signal.Signals) -> None:
        """Send a signal to the worker alone; it is started again, by `sightline up` where that is what runs."""
        if (worker := self.worker_of_up()) is None:
            self.process.send_signal(how)
            self.process.wait(WAIT_SECONDS_MAX)
            self.start_again()
        else:
            os.kill(worker, how)
            until(lambda: self.worker_of_up() not in (None, worker), what="another worker")
        self.ready()

    def worker_of_up(self) -> int | None:
        """The process id of the worker that `sightline up` runs at this moment."""
        grandchildren = [each for pid, _ in children_of(self.process.pid) for each in children_of(pid)]
        return next((pid for pid, command in grandchildren if command.endswith("cli worker")), None)

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C and supervisors do; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(WAIT_SECONDS_MAX)
        finally:
            self.process.kill()

    def start_again(self) -> AlbumProcess:
        """The same command with the same settings once more."""
        self.process = self._start()
        return self

    def run(self, *arguments: str, **environment: str) -> str:
        """Run another `sightline` command with the same settings; returns what it printed."""
        command = [sys.executable, "-m", "stream_app.cli", *arguments]
        done = subprocess.run(
            command,
            env=self._environment | environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, path: str) -> Any:
        """The JSON answer to a GET that must succeed."""
        status, answer = self.send("GET", path)
        assert status == 200, f"{path} answered {status}: {answer}"
        return answer

    def send(self, method: str, path: str, body: bytes | None = None, kind: str = "image/png") -> tuple[int, Any]:
        """Status and JSON (or None) of any other request."""
        headers = {"Content-Type": kind} if body is not None else {}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                text = reply.read()
                return reply.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def ask(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """The JSON answer to a JSON question, which must succeed."""
        status, answer = self.send(method, path, json.dumps(body).encode(), "application/json")
        assert status == 200, answer
        return answer

    def status(self, path: str) -> int:
        """Only the status of a GET."""
        return self.send("GET", path)[0]

    def photo_count(self) -> int:
        """How many photos can be found."""
        return int(self.get("/api/stats")["photos"])

    def until_findable(self, count: int) -> AlbumProcess:
        """Wait until exactly `count` photos can be found."""
        until(lambda: self._photo_count_or_none() == count, what=f"{count} photos findable")
        return self

    def until_some_findable(self, count: int) -> AlbumProcess:
        """Wait until `count` photos can be found, or more."""
        until(lambda: (self._photo_count_or_none() or 0) >= count, what=f"some {count} photos findable")
        return self

    def until_tagged(self, *tags: str) -> AlbumProcess:
        """Returns when there is a photo with each of the tags."""
        wanted = set(tags)
        until(
            lambda: wanted <= {tag for photo in self.get("/api/photos?k=1000")["photos"] for tag in photo["tags"]},
            what=f"photos with the tags {', '.join(tags)}",
        )
        return self

    def names(self, path: str) -> list[str]:
        """The file names of the hits of a search."""
        return [hit["url"].rsplit("/", 1)[-1] for hit in self.get(path)["hits"]]

    def metric(self, name: str) -> float:
        """One number of /metrics."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=30) as reply:
            lines = reply.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def album(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """The final state, photo for photo: name, tags, and what is related to it; asked until it is answered in full.

        A worker that was killed, or whose broker hung, has a successor that is not open for a moment.
        """
        _, listed = until(lambda: self._whole_answer("/api/photos?k=1000"), what="the list of photos")
        found = {}
        for photo in listed["photos"]:
            path = f"/api/photos/{photo['photo_id']}/related?k=3"
            status, related = until(partial(self._whole_answer, path), what=path)
            if status == 200:  # else it has gone since it was listed
                hits = tuple(hit["photo_id"] for hit in related["hits"])
                found[photo["photo_id"]] = (photo["url"].rsplit("/", 1)[-1], hits)
        return found

    def _whole_answer(self, path: str) -> tuple[int, Any] | None:
        """Status and JSON of a GET, or None while nobody answers, or not from the shards themselves."""
        try:
            status, answer = self.send("GET", path)
        except (OSError, HTTPException):
            return None
        is_whole = status == 404 or (status == 200 and set(answer.get("shards", {}).values()) <= {"shard"})
        return (status, answer) if is_whole else None

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"the process ended with {self.process.returncode}"
        try:
            return self.status("/readyz") == 200
        except (OSError, HTTPException):
            return False

    def _photo_count_or_none(self) -> int | None:
        try:
            return self.photo_count()
        except (OSError, HTTPException):
            return None


def write_events(path: Path, events: Sequence[dict[str, Any]]) -> Path:
    """A JSONL file of events."""
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path
