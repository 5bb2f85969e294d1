"""What work costs: processor seconds with those of ended children, and peak memory with that of children (Linux)."""

from __future__ import annotations

import os
import re
import resource
import threading
import time
from pathlib import Path

SAMPLE_SECONDS = 0.05
MB = 1e6


def cpu_seconds() -> float:
    """Used so far by this process and by all children that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def peak_mb(pid: int | str = "self") -> float:
    """The most memory that a process ever held (VmHWM)."""
    return _kib(_read(f"/proc/{pid}/status"), "VmHWM") * 1024 / MB


def forget_peak() -> float:
    """Let this process's peak be what it holds now, which is answered in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_mb()


def resident_mb() -> float:
    """What this process holds now, mapped files included."""
    return _kib(_read("/proc/self/status"), "VmRSS") * 1024 / MB


def own_mb() -> float:
    """What this process holds now apart from mapped file pages, which are the system's to drop."""
    return _kib(_read("/proc/self/smaps_rollup"), "Anonymous") * 1024 / MB


class ChildrenWatch:
    """Looks at the processes below this one until `stop`, which says how much they ever held together."""

    def __init__(self) -> None:
        self._peak = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """The largest sum of the children's peaks that was seen, in MB."""
        self._ended.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        own = _read("/proc/self/cmdline")
        while not self._ended.wait(SAMPLE_SECONDS):
            # A child that was forked and runs nothing else yet still shows this process's memory as its own.
            children = [pid for pid in below(os.getpid()) if _read(f"/proc/{pid}/cmdline") != own]
            self._peak = max(self._peak, sum(peak_mb(pid) for pid in children))


def below(pid: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        for child in _read(f"{task}/children").split():
            found += [int(child), *below(int(child))]
    return found


def size_mb(place: Path) -> float:
    """Of a file, or of all files in a folder."""
    return sum(each.stat().st_size for each in (place.rglob("*") if place.is_dir() else [place])) / MB


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return ""


def _kib(text: str, field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) if found else 0
