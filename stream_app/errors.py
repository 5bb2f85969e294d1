"""The errors of Sightline: each says what was expected, what came, and what to do."""

from __future__ import annotations

from typing import Any


class SightlineError(Exception):
    """A problem that a person can act on.

    `problem` is one plain sentence. `expected`, `received` and `remedy` are optional and short; together
    they make the single line that a terminal, a log or a problem+json body shows.
    """

    def __init__(
        self,
        problem: str,
        *,
        expected: str | None = None,
        received: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.expected = expected
        self.received = received
        self.remedy = remedy
        super().__init__(problem, expected, received, remedy)

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickle calls an exception with its arguments alone, and these are keywords.
        words = {"expected": self.expected, "received": self.received, "remedy": self.remedy}
        return _restored, (type(self), self.problem, words)

    def __str__(self) -> str:
        parts = [self.problem]
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.received:
            parts.append(f"received {self.received}")
        line = "; ".join(parts)
        return f"{line}. {self.remedy}" if self.remedy else line


def _restored(kind: type[SightlineError], problem: str, words: dict[str, str | None]) -> SightlineError:
    return kind(problem, **words)


class SettingsError(SightlineError):
    """A setting or a command-line argument cannot be used."""


class EventRejected(SightlineError):
    """A message on an activity topic is not a valid event."""


class PhotoRejected(SightlineError):
    """A photo cannot be read: missing, forbidden, too large, damaged, or no image at all."""


class PhotoUnreachable(SightlineError):
    """A photo could not be fetched just now (time-out, refused, 5xx); trying again may help."""


class QueryRejected(SightlineError):
    """A request that cannot be answered as it stands."""


class RequestMalformed(QueryRejected):
    """A request is not as the contract says: something is missing, out of range, or of the wrong kind."""


class IdempotencyKeyReused(SightlineError):
    """An Idempotency-Key came with another request than before."""


class UnknownWords(QueryRejected):
    """A query has no word that the vocabulary knows."""


class PhotoNotFound(SightlineError):
    """No such photo, or it was deleted."""


class CollectionNotFound(SightlineError):
    """No such gallery, quest or portfolio, or it was deleted; one that is empty is found."""


class VectorRejected(SightlineError):
    """A vector has the wrong length, or is not finite, or is zero."""


class SegmentCorrupt(SightlineError):
    """A file of the index is damaged; the message names it."""


class LayoutRejected(SightlineError):
    """A layout of the LSH buckets is damaged or for other vectors, or there are too few vectors to fit one."""


class RecordCorrupt(SightlineError):
    """Bytes on the embeddings topic are no embedding record."""


class BundleError(SightlineError):
    """A model bundle is missing, damaged, or does not fit."""


class WordsRejected(SightlineError):
    """Words cannot be read, or there is nothing to learn words from."""


class EncoderFailed(SightlineError):
    """The encoder process died or answered with an error; the photos were not at fault as far as is known."""


class EncoderUnavailable(EncoderFailed):
    """The encoder is away or of no use for now; no photo is at fault, and whoever can wait for it should."""


class ServiceUnavailable(SightlineError):
    """Kafka, Redis or a process of ours does not answer."""


class TrainingRejected(SightlineError):
    """What a model should be trained or judged on cannot be used: no tags, one class, numbers that are not finite."""
