"""Runs one command for exactly as long as the process that started this one lives, even if that one is killed.

`python watchdog.py COMMAND...`: the parent holds the other end of standard input and never writes to it. The
kernel closes that end however the parent dies, which works the same on Linux and macOS and leaves no process
behind. It knows nothing of Sightline and imports nothing of it, so that it starts in a few milliseconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

STOP_SECONDS_MAX = 5.0


def main() -> None:
    """Run the command given as arguments and exit with its code."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    threading.Thread(target=_stop_with_parent, args=(child,), daemon=True).start()
    code = child.wait()
    # Not sys.exit: the thread may still hang in its read, and the interpreter would wait for its buffers.
    os._exit(code if code >= 0 else 128 - code)


def _stop_with_parent(child: subprocess.Popen[bytes]) -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    child.terminate()
    try:
        child.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    main()
