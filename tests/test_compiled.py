"""What is compiled is kept for the next process, and never for other sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

INDEX = Path(__file__).resolve().parents[1] / "stream_app" / "index"
CALLER = """
from other.compiled import compiled
from other.callee import bent

@compiled()
def called(number):
    return bent(number)
"""
CALLEE = """
from other.compiled import compiled

@compiled()
def bent(number):
    return number + {added}
"""


def said(folder: Path) -> int:
    """What the caller answers, in a process of its own."""
    program = "from other.caller import called; print(called(1))"
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("NUMBA_CACHE_DIR", None)
    return int(subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout)


def test_a_change_of_a_function_reaches_its_callers_in_other_files(tmp_path: Path):
    """Numba by itself would go on with what the caller had compiled in."""
    package = tmp_path / "other"
    package.mkdir()
    shutil.copy(INDEX / "compiled.py", package)
    (package / "caller.py").write_text(CALLER)
    (package / "callee.py").write_text(CALLEE.format(added=1))
    before = said(tmp_path)
    kept = list(package.glob("__pycache__/compiled-*/**/*.nbc"))

    (package / "callee.py").write_text(CALLEE.format(added=2))

    assert (before, said(tmp_path)) == (2, 3)
    assert kept
