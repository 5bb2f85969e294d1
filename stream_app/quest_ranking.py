"""A quest's submissions in order: how near each is to the brief, what is off topic, and what is a repetition.

numpy only, and no stream: vectors in, verdicts out, each with what it was judged by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stream_app.album_sample import AlbumSample
from stream_app.photo_signatures import NEAR_DUPLICATE_BITS, differing_bits

#: What a brief's words weigh beside its examples. Words alone tell least, and the mixture more than either.
WORDS_WEIGHT = 0.35
#: What the album's nearest photos weigh beside a brief of words alone; beside examples they add nothing.
NEAREST_WEIGHT = 2.0
NEAREST_PHOTOS = 10

ON_TOPIC, OFF_TOPIC, UNSURE = "on_topic", "off_topic", "unsure"
#: A chance of being on topic below the first is off topic, above the second is on topic, and between is unsure.
UNSURE_BETWEEN = (0.35, 0.65)
BACKGROUND_MIN = 30  # photos of the album that must be known before anything is called off topic

#: What photos on topic are expected to score, in deviations of the album's scores from their median, and by how many
#: submissions' weight; what comes is learnt beside it.
EXPECTED_MEAN, EXPECTED_SPREAD, EXPECTED_WEIGHT = 4.0, 1.5, 4.0
EXPECTED_SHARE, SHARE_WEIGHT = 0.5, 4.0
MEAN_MIN = 1.0
ROUNDS = 50
STEPS = 500
BULK_WIDTHS = 4.5  # of the shortest half, which reaches to .67 deviations: up to three
#: Where a larger share of the album stands higher than this, what is asked for is common in it: that share is left out
#: of what the album says of photos off topic. Of a brief that few photos suit a tenth may stand as high.
COMMON_SHARE, COMMON_HEIGHT = 0.2, EXPECTED_MEAN - EXPECTED_SPREAD
STRAY = 0.02  # the share of the album that may score anything at all


class Submission(NamedTuple):
    """A photo handed in; submissions are given in the order in which they came."""

    photo_id: int
    vector: np.ndarray  # float32 [d], its search vector
    sha256: str | None = None  # of the file
    signature: np.ndarray | None = None  # uint8 [32], see photo_signatures


class Repetition(NamedTuple):
    """Which earlier submission this one repeats, by its place, and by what it is known."""

    place: int
    reason: str  # "photo", "file" or "picture"


@dataclass(frozen=True)
class Judged:
    """A submission with its verdict and what led to it."""

    place: int  # in the order of submission
    photo_id: int
    score: float  # the cosine with the brief
    verdict: str  # ON_TOPIC, OFF_TOPIC or UNSURE
    on_topic: float | None  # the chance; None where too little of the album is known
    nearest_example: int | None  # the place of the example that it is most like
    nearest_example_score: float | None
    repeats: Repetition | None


@dataclass(frozen=True)
class Topic:
    """What tells photos on topic from others: learnt from the submissions' scores beside the album's own."""

    threshold: float | None  # the score at which either is as likely; None where nothing could be learnt
    share: float | None  # of the submissions on topic, as far as can be told
    chances: np.ndarray | None  # float [n], of each submission to be on topic


@dataclass(frozen=True)
class QuestRanking:
    """The submissions, best first and repetitions behind the rest, with what they were judged by."""

    judged: list[Judged]
    threshold: float | None
    share: float | None


def brief_vector(
    words: np.ndarray | None, examples: np.ndarray | None, nearest: np.ndarray | None = None
) -> np.ndarray:
    """The brief as a search vector, float32 [d], unit length; a ValueError when there is nothing to make one of.

    `words` float32 [d] or [w, d] are queries of words, `examples` float32 [e, d] photos; `nearest` are the album's
    photos nearest to the words (NEAREST_PHOTOS of them), which help where there are no examples.
    """
    of_words = _direction(words)
    of_examples = _direction(examples)
    if of_words is not None and of_examples is not None:
        return _unit(WORDS_WEIGHT * of_words + (1 - WORDS_WEIGHT) * of_examples)
    if of_examples is not None:
        return of_examples
    if of_words is None:
        raise ValueError("a brief needs words or examples")
    of_nearest = _direction(nearest)
    return of_words if of_nearest is None else _unit(of_words + NEAREST_WEIGHT * of_nearest)


def rank_submissions(
    brief: np.ndarray,
    submissions: Sequence[Submission],
    sample: AlbumSample,
    *,
    examples: np.ndarray | None = None,
    differing_bits_max: int = NEAR_DUPLICATE_BITS,
) -> QuestRanking:
    """Every submission, judged. `brief` is a `brief_vector`; `examples` float32 [e, d] are for the explanation."""
    if not submissions:
        return QuestRanking([], None, None)
    vectors = np.stack([each.vector for each in submissions]).astype(np.float32)
    scores = vectors @ brief
    repeated = find_repetitions(submissions, differing_bits_max)
    first = np.array([each is None for each in repeated])
    topic = learn_topic(scores, sample.scores(brief), first)
    likeness = vectors @ examples.T if examples is not None and len(examples) else None
    judged = [
        Judged(
            place,
            each.photo_id,
            float(scores[place]),
            UNSURE if topic.chances is None else verdict_of(float(topic.chances[place])),
            None if topic.chances is None else float(topic.chances[place]),
            None if likeness is None else int(likeness[place].argmax()),
            None if likeness is None else float(likeness[place].max()),
            repeated[place],
        )
        for place, each in enumerate(submissions)
    ]
    judged.sort(key=lambda each: (each.repeats is not None, -each.score, each.place))
    return QuestRanking(judged, topic.threshold, topic.share)


def verdict_of(chance: float) -> str:
    """The verdict that a chance of being on topic is worth."""
    low, high = UNSURE_BETWEEN
    return OFF_TOPIC if chance < low else ON_TOPIC if chance > high else UNSURE


def learn_topic(scores: np.ndarray, background: np.ndarray, counts: np.ndarray | None = None) -> Topic:
    """Learn from submissions' scores [n] and those of photos that nobody chose [m] what is on topic.

    What is off topic scores as the album does; what is on topic is a bell further up, whose middle, width and share
    are learnt (expectation maximisation) from whatever the album does not explain. So it holds where all are on topic
    or none is, and with one submission as well. `counts` says which submissions to learn from: repetitions tell
    nothing. Fewer than BACKGROUND_MIN photos of the album, or an album all alike, teach nothing.
    """
    centre, spread = _centre_and_spread(background)
    if len(background) < BACKGROUND_MIN or spread <= 0:
        return Topic(None, None, None)
    album = _off_topic((background - centre) / spread)
    heights = (scores - centre) / spread
    learnt = _Bell(EXPECTED_MEAN, EXPECTED_SPREAD, EXPECTED_SHARE)
    known = heights if counts is None else heights[counts]
    common = _Commonness.of(album)
    of_known = common.at(known)
    for _ in range(ROUNDS):
        learnt = learnt.improved(known, learnt.chances(known, of_known))
    steps = np.linspace(0, learnt.mean, STEPS)
    likely = learnt.chances(steps, common.at(steps)) >= 0.5
    border = steps[likely.argmax()] if likely.any() else learnt.mean
    # Beyond the bell's middle more can only be better, and below the album's only worse.
    within = np.clip(heights, 0, learnt.mean)
    chances = learnt.chances(within, common.at(within))
    return Topic(float(centre + spread * border), learnt.share, chances)


class _Commonness(NamedTuple):
    """How common scores are in the album (Gaussian kernels, Silverman's width), read off a curve of few points."""

    heights: np.ndarray  # float [STEPS], rising
    density: np.ndarray  # float [STEPS]

    @classmethod
    def of(cls, album: np.ndarray) -> _Commonness:
        """The curve of scores [m], in deviations."""
        width = max(0.9 * len(album) ** -0.2, 1e-3)
        heights = np.linspace(album.min() - 4 * width, album.max() + 4 * width, STEPS)
        return cls(heights, _normal(heights[:, None], album[None, :], width).mean(axis=1))

    def at(self, heights: np.ndarray) -> np.ndarray:
        """The density there, with a little everywhere for what the sample happens not to have."""
        found = np.interp(heights, self.heights, self.density, left=0.0, right=0.0)
        return np.asarray((1 - STRAY) * found + STRAY * _normal(heights, 0.0, EXPECTED_MEAN))


class _Bell(NamedTuple):
    """The scores of what is on topic, in deviations of the album's, and which share of the submissions that is."""

    mean: float
    spread: float
    share: float

    def chances(self, heights: np.ndarray, commonness: np.ndarray) -> np.ndarray:
        """How likely each is on topic, given how common its score is among the album's."""
        on = self.share * _normal(heights, self.mean, self.spread)
        return np.asarray(on / (on + (1 - self.share) * commonness))

    def improved(self, heights: np.ndarray, chances: np.ndarray) -> _Bell:
        """The bell that fits best what these chances say, beside what is expected."""
        total = chances.sum() + EXPECTED_WEIGHT
        mean = max(MEAN_MIN, (chances @ heights + EXPECTED_WEIGHT * EXPECTED_MEAN) / total)
        variance = (chances @ (heights - mean) ** 2 + EXPECTED_WEIGHT * EXPECTED_SPREAD**2) / total
        share = (chances.sum() + SHARE_WEIGHT * EXPECTED_SHARE) / (len(heights) + SHARE_WEIGHT)
        return _Bell(float(mean), float(np.sqrt(variance)), float(share))


def find_repetitions(
    submissions: Sequence[Submission], differing_bits_max: int = NEAR_DUPLICATE_BITS
) -> list[Repetition | None]:
    """For each submission the first one that it repeats: the same photo, the same file, or nearly the same picture."""
    photos: dict[int, int] = {}
    files: dict[str, int] = {}
    pictures: list[int] = []  # places of originals with a signature
    found: list[Repetition | None] = []
    for place, each in enumerate(submissions):
        repetition = _repetition(each, submissions, photos, files, pictures, differing_bits_max)
        found.append(repetition)
        original = place if repetition is None else repetition.place
        photos.setdefault(each.photo_id, original)
        if each.sha256 is not None:
            files.setdefault(each.sha256, original)
        if repetition is None and each.signature is not None:
            pictures.append(place)
    return found


def _repetition(
    each: Submission,
    submissions: Sequence[Submission],
    photos: dict[int, int],
    files: dict[str, int],
    pictures: list[int],
    differing_bits_max: int,
) -> Repetition | None:
    if each.photo_id in photos:
        return Repetition(photos[each.photo_id], "photo")
    if each.sha256 is not None and each.sha256 in files:
        return Repetition(files[each.sha256], "file")
    if each.signature is not None and pictures:
        known = np.stack([submissions[place].signature for place in pictures])  # type: ignore[misc]
        near = np.flatnonzero(differing_bits(known, each.signature) <= differing_bits_max)
        if len(near):
            return Repetition(pictures[int(near[0])], "picture")
    return None


def _centre_and_spread(scores: np.ndarray) -> tuple[float, float]:
    """The middle and the deviation of the bulk, which photos on topic do not move, be they a third of the album.

    Both are those round the shortest half of the scores (least median of squares, Rousseeuw 1984).
    """
    if not len(scores):
        return 0.0, 0.0
    rising = np.sort(scores)
    half = len(rising) // 2 + 1
    widths = rising[half - 1 :] - rising[: len(rising) - half + 1]
    low = int(widths.argmin())
    middle = (rising[low] + rising[low + half - 1]) / 2
    bulk = scores[np.abs(scores - middle) <= BULK_WIDTHS * widths[low] / 2]
    centre = float(np.median(bulk))
    return centre, 1.4826 * float(np.median(np.abs(bulk - centre)))


def _off_topic(album: np.ndarray) -> np.ndarray:
    """The scores of the album, in deviations from their median, without those that are on topic themselves."""
    high = album > COMMON_HEIGHT
    return album[~high] if high.mean() > COMMON_SHARE else album


def _normal(values: np.ndarray, mean: np.ndarray | float, spread: float) -> np.ndarray:
    return np.asarray(np.exp(-0.5 * ((values - mean) / spread) ** 2) / (spread * np.sqrt(2 * np.pi)))


def _direction(vectors: np.ndarray | None) -> np.ndarray | None:
    """The mean direction of rows, or of one; None when there is none."""
    if vectors is None or not np.size(vectors):
        return None
    return _unit(np.atleast_2d(np.asarray(vectors, np.float32)).mean(axis=0))


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), dtype=np.float32)
