"""Read Annoy's forests faster than Annoy does: the same walk over the same file, compiled here by numba.

Annoy computes the distance of every candidate as soon as it is met, a cache miss for each. Here the walk only gathers
candidates; which of them are worth a look at their vectors is somebody else's decision (`signatures`).

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

EMPTY: Final = -1
SCRATCH_MIN: Final = 1 << 14


class _Layout(NamedTuple):
    """Where in a node things lie, in words."""

    children: int
    plane: int
    offset: int  # of the plane; 0 where planes go through the origin, which no node has there


LAYOUTS = {"euclidean": _Layout(children=2, plane=4, offset=1), "angular": _Layout(children=1, plane=3, offset=0)}


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
        self._layout = layout
        self._nodes = np.asarray(np.memmap(path, dtype=np.int32, mode="r")).reshape(-1, node_words)
        self._numbers = self._nodes.view(np.float32)
        self._roots, self.item_count = _roots(self._nodes, layout)
        self._local = threading.local()

    def candidates(self, query: np.ndarray, search_k: int) -> np.ndarray:
        """The items that Annoy would compare with `query` (float32 [dimensions]), each once: int32 [n], in no order.

        They come from the leaves that lie nearest by the planes on the way to them, until `search_k` were met.
        """
        scratch = self._scratch(search_k)
        count = _walk(self._nodes, self._numbers, self._layout, self._roots, self.item_count, query, search_k, *scratch)
        return scratch.found[:count].copy()

    def _scratch(self, search_k: int) -> _Scratch:
        # A leaf that is begun is taken whole, so that more than search_k items may be met.
        room = max(SCRATCH_MIN, search_k + self._nodes.shape[1])
        scratch = getattr(self._local, "scratch", None)
        if scratch is None or len(scratch.found) < room:
            self._local.scratch = scratch = _Scratch.of(room, len(self._roots))
        return scratch


class _Scratch(NamedTuple):
    """What one thread writes on while it walks."""

    found: np.ndarray  # int32 [room]
    seen: np.ndarray  # int32 [a power of two]: a hash set of what was found
    distances: np.ndarray  # float32 [waiting]: a heap, with the nodes beside
    waiting: np.ndarray  # int32 [waiting]

    @classmethod
    def of(cls, room: int, root_count: int) -> _Scratch:
        slots = 1 << (2 * room).bit_length()
        heap = room + 2 * root_count + 2
        return cls(
            np.empty(room, np.int32),
            np.empty(slots, np.int32),
            np.empty(heap, np.float32),
            np.empty(heap, np.int32),
        )


def _roots(nodes: np.ndarray, layout: _Layout) -> tuple[np.ndarray, int]:
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


@compiled(fastmath=True)
def _walk(nodes, numbers, layout, roots, item_count, query, search_k, found, seen, distances, waiting):  # type: ignore[no-untyped-def]
    leaf_items_max = nodes.shape[1] - layout.children
    seen[:] = EMPTY
    size = 0
    for root in roots:
        size = _push(distances, waiting, size, np.float32(np.inf), root)
    met = count = 0
    while met < search_k and size > 0:
        distance, at = distances[0], waiting[0]
        size = _pop(distances, waiting, size)
        descendants = nodes[at, 0]
        if descendants == 1 and at < item_count:
            met += 1
            count = _take(found, seen, count, at)
        elif descendants <= leaf_items_max:
            for place in range(layout.children, layout.children + descendants):
                met += 1
                count = _take(found, seen, count, nodes[at, place])
        else:
            margin = numbers[at, layout.offset] if layout.offset else np.float32(0)
            for place in range(len(query)):
                margin += numbers[at, layout.plane + place] * query[place]
            size = _push(distances, waiting, size, min(distance, margin), nodes[at, layout.children + 1])
            size = _push(distances, waiting, size, min(distance, -margin), nodes[at, layout.children])
    return count


@compiled()
def _take(found, seen, count, item):  # type: ignore[no-untyped-def]
    """Add an item that was not found before."""
    mask = len(seen) - 1
    slot = (item * 40_503) & mask  # Knuth's multiplicative hash: neighbours in a leaf are neighbours by number, too
    while seen[slot] != EMPTY:
        if seen[slot] == item:
            return count
        slot = (slot + 1) & mask
    seen[slot] = item
    found[count] = item
    return count + 1


@compiled()
def _push(distances, waiting, size, distance, node):  # type: ignore[no-untyped-def]
    """Into the heap, the farthest on top; of equal ones the higher node, as in Annoy."""
    place = size
    while place > 0:
        above = (place - 1) >> 1
        if distances[above] > distance or (distances[above] == distance and waiting[above] > node):
            break
        distances[place], waiting[place] = distances[above], waiting[above]
        place = above
    distances[place], waiting[place] = distance, node
    return size + 1


@compiled()
def _pop(distances, waiting, size):  # type: ignore[no-untyped-def]
    """Off the heap's top."""
    size -= 1
    distance, node = distances[size], waiting[size]
    place = 0
    while True:
        below = 2 * place + 1
        if below >= size:
            break
        if below + 1 < size and (
            distances[below + 1] > distances[below]
            or (distances[below + 1] == distances[below] and waiting[below + 1] > waiting[below])
        ):
            below += 1
        if distance > distances[below] or (distance == distances[below] and node > waiting[below]):
            break
        distances[place], waiting[place] = distances[below], waiting[below]
        place = below
    distances[place], waiting[place] = distance, node
    return size
