"""What the worker says about itself while it starts."""

from __future__ import annotations

import faust

from stream_app.housekeeping import readiness


async def test_a_worker_whose_consumer_has_not_begun_is_not_ready_yet() -> None:
    """The web is asked before Faust's consumer runs: that is an answer, not an accident."""
    app = faust.App("starting", broker="kafka://127.0.0.1:1")

    assert readiness(app, index=None) == (False, "partitions are being assigned")
