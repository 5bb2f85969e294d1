"""Which layout of buckets a partition is served from, and which one is being filled beside it.

Each partition has a pointer of its own, a hash `{space:partition}:layout`, on the same node of a Cluster as its
buckets: a script looks at it and writes in one step, so that no write can miss a switch. The layouts themselves are
kept once, under their name; they never change.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from stream_app.errors import LayoutRejected, ServiceUnavailable
from stream_app.index.layout import layout_from_bytes, layout_to_bytes
from stream_app.index.lsh import Hyperplanes
from stream_app.index.redis_calls import answering, call
from stream_app.index.upkeep_scripts import SWITCH


class Pointer(NamedTuple):
    """Names of the layouts in use; empty where there is none."""

    serving: str = ""
    filling: str = ""

    def names(self) -> list[str]:
        """Every layout that a write goes to."""
        return [each for each in self if each]


class Layouts:
    """The layouts of one space; `client` (redis.asyncio) must not decode.

    `first` is what a partition begins with that nobody has written to yet.
    """

    def __init__(self, client: Any, *, space_id: str, first: Hyperplanes) -> None:
        self._client = client
        self._space_id = space_id
        self._first = first
        self._planes = {first.layout_id: first}
        self._pointers: dict[int, Pointer] = {}

    def key(self, partition: int, rest: str) -> str:
        """A key of a partition; all of them share a hash tag, and so a node."""
        return f"{{{self._space_id}:{partition}}}:{rest}"

    async def pointer(self, partition: int) -> Pointer:
        """As it was last seen; a script that is called with it says when it is outdated."""
        known = self._pointers.get(partition)
        return known if known and known.serving else await self.look(partition)

    async def look(self, partition: int) -> Pointer:
        """As it is now."""
        with answering():
            found = await self._client.hmget(self.key(partition, "layout"), "serving", "filling")
        self._pointers[partition] = Pointer(*((each or b"").decode() for each in found))
        return self._pointers[partition]

    async def begin(self, partition: int) -> Pointer:
        """The pointer of a partition that is about to be written to: set where there was none."""
        pointer = await self.look(partition)
        if not pointer.serving:
            await self._keep(self._first)
            with answering():
                await self._client.hsetnx(self.key(partition, "layout"), "serving", self._first.layout_id)
            pointer = await self.look(partition)
        return pointer

    async def planes(self, layout_id: str) -> Hyperplanes:
        """A layout by its name; raises ServiceUnavailable when Redis has lost it, LayoutRejected when damaged."""
        if layout_id not in self._planes:
            with answering():
                data = await self._client.get(layout_key(layout_id))
            if data is None:
                raise ServiceUnavailable(
                    f"Redis has lost the layout {layout_id}",
                    expected=f"it in the key {layout_key(layout_id)}",
                    remedy="`sightline lsh fit` makes a new one and fills it.",
                )
            planes = layout_from_bytes(data, dimensions=self._first.dimensions, source=f"Redis' {layout_id}")
            if planes.layout_id != layout_id:
                raise LayoutRejected("A layout has another name", expected=layout_id, received=planes.layout_id)
            self._planes[layout_id] = planes
        return self._planes[layout_id]

    async def announce(self, partition: int, planes: Hyperplanes) -> None:
        """From now on every write goes to `planes`, too; what was there before is for the caller to fill in."""
        await self._keep(planes)
        await self.begin(partition)
        with answering():
            await self._client.hset(self.key(partition, "layout"), "filling", planes.layout_id)

    async def switch(self, partition: int, planes: Hyperplanes) -> bool:
        """Serve the layout that was filled; False, and no change, when another one has been announced since."""
        keys = [self.key(partition, "layout")]
        before = await call(self._client, SWITCH, keys, planes.layout_id)
        return before is not None

    async def _keep(self, planes: Hyperplanes) -> None:
        self._planes[planes.layout_id] = planes
        with answering():
            await self._client.set(layout_key(planes.layout_id), layout_to_bytes(planes), nx=True)


def layout_key(layout_id: str) -> str:
    """Where a layout is kept; it serves every space of the same dimensions."""
    return f"sightline:layout:{layout_id}"
