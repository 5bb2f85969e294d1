"""The version of a photo: which of two facts about it is the newer one."""

from __future__ import annotations

import struct
from collections.abc import Collection
from itertools import chain
from typing import NamedTuple

_PACKED = struct.Struct(">QBIQ")

#: An event may claim to be at most this much later than the broker received it: a clock that runs ahead
#: must not make a photo immortal.
CLOCK_SKEW_MS_MAX = 5 * 60 * 1000


class Version(NamedTuple):
    """Orders everything that ever happened to one photo; compared field by field.

    Milliseconds since 1970, then kind (a deletion wins a tie against an upload), then the place in the log.
    """

    time_ms: int
    kind: int
    partition: int
    offset: int

    def pack(self) -> bytes:
        """21 bytes, big-endian, so that comparing the bytes compares the versions."""
        return _PACKED.pack(*self)

    @staticmethod
    def pack_many(versions: Collection[Version]) -> bytes:
        """Many, one behind the other."""
        return struct.pack(">" + "QBIQ" * len(versions), *chain.from_iterable(versions))

    @classmethod
    def unpack(cls, packed: bytes) -> Version:
        """The inverse of `pack`."""
        return cls(*_PACKED.unpack(packed))

    @classmethod
    def unpack_from(cls, packed: memoryview, ordinal: int) -> Version:
        """One of many versions that lie packed one behind the other."""
        return cls(*_PACKED.unpack_from(packed, _PACKED.size * ordinal))


KIND_CHANGED = 0
KIND_DELETED = 1

#: Older than anything that can happen.
BEFORE_ALL = Version(0, 0, 0, 0)


def version_of(time_ms: int | None, broker_time_ms: int, kind: int, partition: int, offset: int) -> Version:
    """The version of an event at `partition`/`offset`; without a time of its own it gets the broker's."""
    claimed = broker_time_ms if time_ms is None else time_ms
    return Version(max(0, min(claimed, broker_time_ms + CLOCK_SKEW_MS_MAX)), kind, partition, offset)
