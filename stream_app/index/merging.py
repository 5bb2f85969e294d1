"""Finishing a large segment in a process of its own: filling an Annoy forest holds Python's lock for long.

    python -m stream_app.index.merging JOB.json

The child ends when its standard input does, so that it never outlives its parent, and it gives way to others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from stream_app.errors import ServiceUnavailable
from stream_app.index import files
from stream_app.index.finishing import Job, run

JOB = "job.json"
NICENESS = 10


class MergeProcesses:
    """Runs jobs in child processes; `stop` ends those that run."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def run(self, job: Job) -> None:
        """Do the job in a child and wait for it; raises ServiceUnavailable when the child fails."""
        path = Path(job.target) / JOB
        files.write_bytes(path, json.dumps(asdict(job)).encode())
        process = self._start(path)
        assert process.stderr is not None and process.stdin is not None
        try:
            complaint = process.stderr.read().decode(errors="replace").strip()
            code = process.wait()
        finally:
            self._end(process)
        files.remove(path)
        if code != 0:
            raise ServiceUnavailable(
                "a segment could not be written",
                received=complaint.splitlines()[-1] if complaint else f"exit code {code}",
                remedy="Nothing is lost; it is tried again.",
            )

    def stop(self) -> None:
        """End the children that run, and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def _start(self, path: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "stream_app.index.merging", str(path)]
        with self._lock:
            if self._stopped:
                raise ServiceUnavailable("the shard is closed", remedy="Open it again.")
            pipe = subprocess.PIPE
            process = subprocess.Popen(command, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe, env=_environment())
            self._running.add(process)
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(process)
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stderr):
            if stream is not None:
                stream.close()


def _environment() -> dict[str, str]:
    # The child must find this very package, wherever the parent found it.
    root = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, inherited] if inherited else [root])}


def _end_with_parent() -> None:
    # Not sys.stdin: a thread that waits inside its buffer makes the interpreter's shutdown fail.
    os.read(0, 1)
    os._exit(1)


def main() -> None:
    """The child's whole life: read the job, do it, answer by the exit code."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(NICENESS)
    run(Job(**json.loads(Path(sys.argv[1]).read_bytes())))


if __name__ == "__main__":
    main()
