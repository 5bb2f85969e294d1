"""How hard a segment is searched: what was measured when it was written, and what follows for a wished recall."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

#: Numbers of neighbours for which efforts are measured.
NEIGHBOURS: Final = (1, 2, 3, 5, 10, 30, 100)
#: What is only a little more than a number of neighbours is taken for it.
ROUNDED_DOWN: Final = 0.8
#: Recalls for which the least effort is looked for.
RECALLS: Final = (0.8, 0.9, 0.95, 0.98, 0.99)

#: How much harder queries from outside are searched for where no examples of them were at hand.
OUTSIDE_TIMES: Final = 4.0

EXACT, SIGNATURES, CELLS, FOREST = "exact", "signatures", "cells", "forest"

#: What a search costs, in nanoseconds, as far as choosing between efforts needs to know.
#: A visit is a node of the forest, met a centre in a leaf; scanned are the first words of a signature, among all in
#: their order, and looked at is the whole of one; kept is a vector.
VISIT_NS, MET_NS, SCANNED_NS, LOOKED_AT_NS, KEPT_NS = 45.0, 25.0, 1.0, 5.0, 40.0


class Effort(NamedTuple):
    """A way to search a segment, and the `recall` that it had on held-out queries, less its standard error.

    A walk through the first `n_trees` of the forest meets `search_k` centres, as in Annoy; with no trees all of them
    are. The `probes` cells of the nearest centres are looked into; with none, every row is looked at. Of these the
    `kept` nearest by signature are compared exactly.
    """

    n_trees: int
    search_k: int
    probes: int
    kept: int
    recall: float

    def times(self, factor: float) -> Effort:
        """The same for so many times the neighbours."""
        search_k, probes, kept = (math.ceil(each * factor) for each in (self.search_k, self.probes, self.kept))
        return self._replace(search_k=search_k, probes=probes, kept=kept)


#: Every row is compared.
NO_EFFORT: Final = Effort(0, 0, 0, 0, 1.0)
#: The numbers of an effort that say what to do.
DEEDS: Final = 4

#: For each number of neighbours the efforts by rising recall.
Efforts = Mapping[int, tuple[Effort, ...]]


@dataclass(frozen=True)
class Tuning:
    """What was chosen for one segment. `outside` is for queries that lie where no vectors do, as words do."""

    kind: str
    metric: str = ""
    n_trees: int = 0
    inside: Efforts | None = None
    outside: Efforts | None = None

    def effort(self, k: int, recall: float, *, outside: bool = False) -> Effort | None:
        """The least effort that found `recall` of the `k` nearest, else the greatest; None for an exact scan."""
        efforts = (self.outside if outside else None) or self.inside
        if not efforts:
            return None
        measured = min((each for each in efforts if each >= k), default=max(efforts))
        enough = (each for each in efforts[measured] if each.recall >= recall)
        guess = OUTSIDE_TIMES if outside and not self.outside else 1.0
        return next(enough, efforts[measured][-1]).times(guess * max(1.0, k / measured))

    def to_json(self) -> dict[str, Any]:
        """As the manifest keeps it."""
        packed = {side: _packed(getattr(self, side)) for side in ("inside", "outside")}
        return {"kind": self.kind, "metric": self.metric, "n_trees": self.n_trees, **packed}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Tuning:
        """The inverse of `to_json`."""
        sides = {side: _unpacked(body[side]) for side in ("inside", "outside")}
        return cls(body["kind"], body["metric"], body["n_trees"], **sides)

    def exact(self) -> Tuning:
        """What is left when the files that make a segment fast are damaged: every row is compared."""
        return replace(self, kind=EXACT, inside=None, outside=None)


def share_of(k: int, rows: int, total_rows: int) -> int:
    """How many of the `k` nearest of all lie in a segment of so many rows, but for one time in hundreds.

    That is, if neighbours are spread evenly; whether they were is seen when they are found.
    """
    share = rows / max(1, total_rows)
    return min(k, 1 + math.ceil(k * share + 2 * math.sqrt(k * share * (1 - share))))


def usual_share_of(k: int, rows: int, total_rows: int) -> int:
    """How many of the `k` neighbours a segment of so many of all rows has on the mean, if it has any.

    Finding these is what its effort is for. Neighbours of a query within a small segment are mostly none within all.
    """
    share = rows / max(1, total_rows)
    return max(1, math.ceil(ROUNDED_DOWN * k * share / (1 - (1 - share) ** k)))


def _packed(efforts: Efforts | None) -> dict[str, list[list[float]]] | None:
    return None if efforts is None else {str(k): [list(each) for each in row] for k, row in efforts.items()}


def _unpacked(body: Mapping[str, list[list[Any]]] | None) -> Efforts | None:
    return None if body is None else {int(k): tuple(Effort(*each) for each in row) for k, row in body.items()}
