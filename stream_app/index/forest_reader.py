"""Read Annoy's forests faster than Annoy does: the same walk over the same file, compiled here by numba.

Annoy computes the distance of every candidate as soon as it is met, a cache miss for each. Here the walk only gathers
candidates; which of them are worth a look at their vectors is somebody else's decision (`sieve`). What it waits for is
memory, so it asks for nodes before it needs them.

The file is an array of nodes, of which Annoy 1.17 (https://github.com/spotify/annoy) writes, in words of 32 bits:

    euclidean   descendants, offset, two children, the plane     (a leaf: descendants, offset, then its items)
    angular     descendants, two children, the plane             (a leaf: descendants, then its items)
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from stream_app.errors import SegmentCorrupt
from stream_app.index.compiled import compiled
from stream_app.index.machine import bits_of, float_of, prefetch

SCRATCH_MIN: Final = 1 << 12
NO_ROOM: Final = -1
SIGN: Final = np.uint32(1 << 31)
LINE_WORDS: Final = 16  # of a cache line


class Layout(NamedTuple):
    """Where in a node things lie, in words."""

    children: int
    plane: int
    offset: int  # of the plane; 0 where planes go through the origin, which no node has there


LAYOUTS = {"euclidean": Layout(children=2, plane=4, offset=1), "angular": Layout(children=1, plane=3, offset=0)}


class Walk(NamedTuple):
    """What a walk through the forest met."""

    candidates: np.ndarray  # int32 [n], each once, in no order
    visits: int  # nodes whose plane was compared with the query


class ForestReader:
    """A forest that Annoy saved; any number of threads may search it at once."""

    def __init__(self, path: Path, dimensions: int, metric: str) -> None:
        """Map the file; raises SegmentCorrupt when it is not one of these dimensions."""
        layout = LAYOUTS[metric]
        node_words = layout.plane + dimensions
        size = path.stat().st_size
        if not size or size % (4 * node_words):
            raise SegmentCorrupt(
                f"{path} is no forest of {dimensions} dimensions",
                expected=f"nodes of {4 * node_words} bytes",
                received=f"{size} bytes",
            )
        self.layout = layout
        self.nodes = np.asarray(np.memmap(path, dtype=np.int32, mode="r")).reshape(-1, node_words)
        self._numbers = self.nodes.view(np.float32)
        self.roots, self.item_count = _roots(self.nodes, layout)
        self._local = threading.local()

    @property
    def tree_count(self) -> int:
        """The number of trees."""
        return len(self.roots)

    def walk(self, query: np.ndarray, search_k: int, tree_count: int | None = None) -> Walk:
        """The items that Annoy would compare with `query` (float32 [dimensions]).

        They come from the leaves that lie nearest by the planes on the way to them, until `search_k` were met, of
        the first `tree_count` trees: as many as Annoy would ask if it had no more.
        """
        forest = self.nodes, self._numbers, self.layout, self.roots[:tree_count], self.item_count
        # A leaf that is begun is taken whole, so that more than search_k items may be met.
        room = search_k + self.nodes.shape[1]
        while True:
            scratch = self._scratch(room)
            count, visits = walk_into(*forest, query, search_k, *scratch)
            if count != NO_ROOM:
                return Walk(scratch.found[:count].copy(), visits)
            room = 2 * len(scratch.waiting)

    def _scratch(self, room: int) -> _Scratch:
        scratch = getattr(self._local, "scratch", None)
        if scratch is None or len(scratch.found) < room:
            self._local.scratch = scratch = _Scratch.of(max(SCRATCH_MIN, room), self.item_count)
        return scratch


class _Scratch(NamedTuple):
    """What one thread writes on while it walks."""

    found: np.ndarray  # int32 [room]
    stamps: np.ndarray  # uint8 [items]: the walk that met the item last
    last_stamp: np.ndarray  # uint8 [1]
    waiting: np.ndarray  # uint64 [room]: a heap of nodes by priority

    @classmethod
    def of(cls, room: int, item_count: int) -> _Scratch:
        return cls(
            np.empty(room, np.int32), np.zeros(item_count, np.uint8), np.zeros(1, np.uint8), np.zeros(room, np.uint64)
        )


def _roots(nodes: np.ndarray, layout: Layout) -> tuple[np.ndarray, int]:
    """The roots, as Annoy finds them: the nodes at the end that have the most descendants; and how many items."""
    most = nodes[-1, 0]
    first = len(nodes)
    while first > 0 and nodes[first - 1, 0] == most:
        first -= 1
    rows = np.arange(len(nodes) - 1, first - 1, -1, dtype=np.int32)
    # The roots are written twice, and the last of the first time stands before the copies.
    if len(rows) > 1 and nodes[rows[0], layout.children] == nodes[rows[-1], layout.children]:
        rows = rows[:-1]
    return rows, int(most)


@compiled()
def walk_into(nodes, numbers, layout, roots, item_count, query, search_k, found, stamps, last_stamp, waiting):  # type: ignore[no-untyped-def]
    """`ForestReader.walk` for compiled code: how many were met, NO_ROOM when there was too little, and visits."""
    leaf_items_max = nodes.shape[1] - layout.children
    stamp = _next_stamp(stamps, last_stamp)
    size = met = count = visits = 0
    if len(roots) >= len(waiting) or search_k + leaf_items_max > len(found):
        return NO_ROOM, visits
    for root in roots:
        size = _push(waiting, size, _key(np.float32(np.inf), root))
    while met < search_k and size > 0:
        key = waiting[0]
        size = _pop(waiting, size)
        _prefetch_node(numbers, np.int64(np.uint32(waiting[0])))
        while True:
            at = np.int64(np.uint32(key))
            descendants = nodes[at, 0]
            if descendants == 1 and at < item_count:
                met += 1
                count = _take(found, stamps, stamp, count, at)
                break
            if descendants <= leaf_items_max:
                met += descendants
                for place in range(layout.children, layout.children + descendants):
                    count = _take(found, stamps, stamp, count, nodes[at, place])
                break
            visits += 1
            if size + 2 >= len(waiting):
                return NO_ROOM, visits
            left, right = nodes[at, layout.children], nodes[at, layout.children + 1]
            _prefetch_node(numbers, left)
            _prefetch_node(numbers, right)
            margin = _margin(numbers[at], layout.plane, query)
            if layout.offset:
                margin += numbers[at, layout.offset]
            near, far = (right, left) if margin > 0 else (left, right)
            reach = _priority(key)
            size = _push(waiting, size, _key(min(reach, -abs(margin)), far))
            key = _key(min(reach, abs(margin)), near)
            if waiting[0] > key:
                size = _push(waiting, size, key)
                break  # another node is nearer; else the walk goes down without the heap
    return count, visits


@compiled(sums_in_any_order=True)
def _margin(node, plane, query):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for place in range(len(query)):
        total += node[plane + place] * query[place]
    return total


@compiled()
def _prefetch_node(numbers, node):  # type: ignore[no-untyped-def]
    for place in range(0, numbers.shape[1], LINE_WORDS):
        prefetch(numbers, node, place)


@compiled()
def _next_stamp(stamps, last_stamp):  # type: ignore[no-untyped-def]
    """A stamp that no item has."""
    if last_stamp[0] == 255:
        stamps[:] = 0
        last_stamp[0] = 0
    last_stamp[0] += 1
    return last_stamp[0]


@compiled()
def _take(found, stamps, stamp, count, item):  # type: ignore[no-untyped-def]
    """Add an item unless it was found before."""
    found[count] = item
    is_new = stamps[item] != stamp
    stamps[item] = stamp
    return count + is_new


@compiled()
def _key(priority, node):  # type: ignore[no-untyped-def]
    """One number that orders as Annoy orders its queue: by priority, of equal ones the higher node first."""
    bits = bits_of(priority)
    bits = np.uint32(~bits if bits & SIGN else bits | SIGN)
    return (np.uint64(bits) << np.uint64(32)) | np.uint64(node)


@compiled()
def _priority(key):  # type: ignore[no-untyped-def]
    bits = np.uint32(key >> np.uint64(32))
    return float_of(np.uint32(bits ^ SIGN if bits & SIGN else ~bits))


@compiled()
def _push(waiting, size, key):  # type: ignore[no-untyped-def]
    _rise(waiting, size, key)
    return size + 1


@compiled()
def _pop(waiting, size):  # type: ignore[no-untyped-def]
    """Take the top off: the hole sinks to the bottom, and the last key rises from there, as most are small."""
    size -= 1
    key = waiting[size]
    waiting[size] = 0  # a sibling that loses against any other
    place, below = 0, 1
    while below < size:
        below += waiting[below + 1] > waiting[below]
        waiting[place] = waiting[below]
        place, below = below, 2 * below + 1
    _rise(waiting, place, key)
    return size


@compiled()
def _rise(waiting, place, key):  # type: ignore[no-untyped-def]
    """Put a key into an empty place of the heap, or as far above it as it belongs."""
    while place > 0:
        above = (place - 1) >> 1
        if waiting[above] >= key:
            break
        waiting[place] = waiting[above]
        place = above
    waiting[place] = key
