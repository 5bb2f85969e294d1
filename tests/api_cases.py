"""Schemathesis over the OpenAPI document of a real worker: every check, as many cases as are asked for.

    python tests/api_cases.py 10000

Starts private services and a worker with the tiny bundle, publishes 24 photos, and runs every phase (examples,
coverage, fuzzing, stateful) with valid and invalid requests. Ends with Schemathesis' own summary and exit code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from album_process import AlbumProcess, colour_folder, until, write_events  # noqa: E402  (the project must be on the path first)

from models.bundle import build_tiny_bundle  # noqa: E402
from stream_app.local_services import LocalServices  # noqa: E402
from stream_app.settings import Settings  # noqa: E402

PHOTOS = 24
#: Operations that have something to vary: each gets its share of the cases.
VARIED_OPERATIONS = 24


@dataclass(frozen=True)
class Outcome:
    """What Schemathesis found: how many cases it made, each failure in a line, and its whole output."""

    cases: int
    failures: list[str]
    output: str

    def told(self) -> str:
        """The failures with their requests and answers, the beginning of each line."""
        lines = self.output.partition("= FAILURES =")[2].partition("= WARNINGS =")[0].splitlines()
        return "\n".join(line[:600] for line in lines if line.strip())


def fill(album: AlbumProcess, folder: Path) -> AlbumProcess:
    """Publish photos of four colours, wait until they can be found, and give them owners and tags."""
    album.run("publish", str(colour_folder(folder, PHOTOS // 4)))
    album.until_findable(PHOTOS)
    photos = album.get(f"/api/photos?k={PHOTOS}")["photos"]
    edits = [
        {"type": "photo.edited", "photo_id": each["photo_id"], "user_id": number % 3, "tags": ["red", "made"]}
        for number, each in enumerate(photos)
    ]
    album.run("publish", str(write_events(folder.with_suffix(".jsonl"), edits)))
    # The first searches of a process compile their loops, which takes its time on a machine with much else to do.
    for path in ("/api/search?q=red&tag=made", f"/api/photos/{photos[0]['photo_id']}/related?fold=1"):
        until(lambda asked=path: album.status(asked) == 200, what=path)
    return album


def run_cases(album: AlbumProcess, folder: Path, examples: int, *, seed: int = 1) -> Outcome:
    """At most `examples` cases for each operation and phase; `folder` is for what Schemathesis writes."""
    report = folder / "report.json"
    photos = album.get("/api/photos")["photos"]
    environment = {
        "SCHEMATHESIS_HOOKS": "api_hooks",
        "SIGHTLINE_TEST_PHOTO_IDS": ",".join(each["photo_id"] for each in photos),
        "PYTHONPATH": str(ROOT / "tests"),
    }
    options = ["--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure", "--no-shrink"]
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("--no-color", "--config-file", str(ROOT / "tests" / "schemathesis.toml")),
        *("run", f"{album.url}/api/openapi.json", *options),
        *("--report", "json", "--report-json-path", str(report)),
    ]
    done = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    if not report.exists():
        raise RuntimeError(f"Schemathesis did not run: {done.stdout}{done.stderr}")
    found = json.loads(report.read_text())
    return Outcome(found["test_cases"]["generated"], _failures(found), done.stdout)


def _failures(report: dict[str, Any]) -> list[str]:
    return [json.dumps(each)[:600] for each in [*report["failures"], *report["errors"]]]


def main(cases: int) -> int:
    """Run about so many cases and say what was found."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_tiny_bundle(folder / "bundle")
        with LocalServices(Settings(data_dir=folder / "services")) as services:
            settings = replace(services, data_dir=folder / "data", bundle=str(folder / "bundle"))
            settings.data_dir.mkdir()
            album = AlbumProcess(settings, "worker")
            try:
                outcome = run_cases(fill(album.ready(), folder / "photos"), folder, cases // VARIED_OPERATIONS)
            finally:
                album.stop()
    print(outcome.output)
    print(f"{outcome.cases} cases, {len(outcome.failures)} failures")
    return 1 if outcome.failures or outcome.cases < cases else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
