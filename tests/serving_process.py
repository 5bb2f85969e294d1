"""How tests start the servers of serving_servers.py, end them, and read what they were asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from stream_app.local_services import free_port

PROGRAM = Path(__file__).with_name("serving_servers.py")


class ServingProcess:
    """Both servers around one bundle, in a process of their own; the ports stay when it is started again."""

    def __init__(self, bundle_dir: Path, folder: Path, **options: Any) -> None:
        self._bundle_dir = bundle_dir
        self.grpc_port, self.rest_port = free_port(), free_port()
        self.journal_path = folder / f"journal-{self.grpc_port}.jsonl"
        self._process: subprocess.Popen[str] | None = None
        self.start(**options)

    def address(self, kind: str, model: str = "sightline") -> str:
        """What SIGHTLINE_ENCODER is to be."""
        return f"{kind}://127.0.0.1:{self.grpc_port if kind == 'grpc' else self.rest_port}/{model}"

    def start(self, **options: Any) -> None:
        """Start the servers, with faults as options; returns when both answer."""
        command = [sys.executable, str(PROGRAM), str(self._bundle_dir), "--journal", str(self.journal_path)]
        command += ["--grpc-port", str(self.grpc_port), "--rest-port", str(self.rest_port)]
        for name, value in options.items():
            flag = f"--{name.replace('_', '-')}"
            command += [flag, str(value)]
        quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        errors_path = self.journal_path.with_suffix(".err")
        with errors_path.open("w") as errors:
            self._process = subprocess.Popen(
                command, env=quiet, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "serving\n", errors_path.read_text()

    def misbehave(self, **faults: Any) -> None:
        """Change the faults of the running servers, and begin the journal anew; none without arguments."""
        body = json.dumps(faults).encode()
        url = f"http://127.0.0.1:{self.rest_port}/faults"
        with urllib.request.urlopen(urllib.request.Request(url, body, method="PUT"), timeout=30):
            self.journal_path.write_text("")

    def kill(self) -> None:
        """`kill -9`: connections break, and afterwards nobody listens."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def journal(self) -> list[dict[str, Any]]:
        """Every request so far, over all starts: protocol, photos, outcome."""
        return [json.loads(line) for line in self.journal_path.read_text().splitlines()]

    def outcomes(self) -> Counter[str]:
        """How often which outcome was given."""
        return Counter(each["outcome"] for each in self.journal())
