"""Where each class of a network lies among the words, learnt from the classes' tags and no photo at all.

The first guess is a weighted mean of a class's tags. It is then moved so that each tag finds its own classes before
the others: for a tag word v the softmax over all classes c of <t_c, v> / T should fall on the classes that have the
tag, and every pair of a class and one of its tags counts by how likely a person is to use the word in that meaning.
This is the ranking idea of DeViSE (Frome et al. 2013) with a contrastive loss, on classes instead of photos.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.tags import ClassTags, Word
from models.words import Vocabulary

TAG_DECAY = 0.8  # weight of a tag in the first guess for each step up
GENERAL_SHARE_MAX = 0.3  # a tag of more than this share of all classes ("entity", "object") tells them not apart
SENSE_DECAY = 0.5  # weight of a word's next meaning
PHRASE_RANK = 100_000  # a phrase counts as if it were a word as rare as this
TEMPERATURE = 0.08
STEPS = 100
LEARNING_RATE = 0.02


class TagWords(NamedTuple):
    """Every tag word with its vector, the classes that have it, and what it counts."""

    vectors: np.ndarray  # float32 [tags, w], unit rows
    targets: np.ndarray  # float32 [classes, tags]: evenly over the classes that have the tag, columns add up to 1
    weights: np.ndarray  # float32 [tags], adding up to 1


def derive_tag_vectors(
    classes: Sequence[ClassTags], vocabulary: Vocabulary, *, steps: int = STEPS, temperature: float = TEMPERATURE
) -> np.ndarray:
    """One unit vector, float32 [classes, w], per class; deterministic."""
    general = general_tags(classes)
    first_guess = mean_tag_vectors(classes, vocabulary, general)
    words = tag_words(classes, vocabulary, general)
    return train(first_guess, words, steps, temperature) if len(words.weights) else first_guess


def general_tags(classes: Sequence[ClassTags]) -> set[tuple[Word, ...]]:
    """The tags that too many classes share; what one class alone has is never too much."""
    spread = Counter(names for each in classes for names in {names for _, names in each.tags})
    return {names for names, count in spread.items() if count > max(1, GENERAL_SHARE_MAX * len(classes))}


def mean_tag_vectors(
    classes: Sequence[ClassTags], vocabulary: Vocabulary, general: set[tuple[Word, ...]]
) -> np.ndarray:
    """The weighted mean of each class's tags, float32 [classes, w], unit rows."""
    meanings = {names: _meaning(names, vocabulary) for each in classes for _, names in each.tags}
    zero = np.zeros(vocabulary.dimensions, np.float32)
    rows = [
        sum((TAG_DECAY**steps * meanings[names] for steps, names in each.tags if names not in general), start=zero)
        for each in classes
    ]
    return _unit(np.stack(rows))


def tag_words(classes: Sequence[ClassTags], vocabulary: Vocabulary, general: set[tuple[Word, ...]]) -> TagWords:
    """All words of all tags that the vocabulary knows, each once per meaning."""
    having: dict[tuple[Word, ...], list[int]] = {}
    for ordinal, each in enumerate(classes):
        for _, names in each.tags:
            having.setdefault(names, []).append(ordinal)
    vectors, targets, weights = [], [], []
    for names in (names for names in having if names not in general):
        target = np.zeros(len(classes), np.float32)
        target[having[names]] = 1.0 / len(having[names])
        for word in names:
            if (vector := vocabulary.phrase(word.text)[0]) is not None:
                vectors.append(vector)
                targets.append(target)
                weights.append(len(having[names]) * _weight(word, vocabulary))
    if not vectors:
        return TagWords(np.empty((0, vocabulary.dimensions)), np.empty((len(classes), 0)), np.empty(0))
    total = np.array(weights, np.float32)
    return TagWords(np.stack(vectors), np.stack(targets, axis=1), total / total.sum())


def train(first_guess: np.ndarray, words: TagWords, steps: int, temperature: float = TEMPERATURE) -> np.ndarray:
    """Adam on the contrastive loss, all tags in each step, with a rate that falls to zero; unit rows [classes, w]."""
    vectors, mean, square = first_guess.copy(), np.zeros_like(first_guess), np.zeros_like(first_guess)
    for step in range(steps):
        gradient = loss_gradient(vectors, words, temperature)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        change = (mean / (1 - 0.9 ** (step + 1))) / (np.sqrt(square / (1 - 0.99 ** (step + 1))) + 1e-8)
        vectors -= np.float32(LEARNING_RATE * (1 - step / steps)) * change
    return _unit(vectors)


def loss_gradient(vectors: np.ndarray, words: TagWords, temperature: float = TEMPERATURE) -> np.ndarray:
    """The gradient, float32 [classes, w], of the weighted cross-entropy between targets and softmax of cosines."""
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    unit = vectors / lengths
    scores = unit @ (words.vectors.T / np.float32(temperature))  # [classes, tags]
    scores -= scores.max(axis=0)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=0)
    scores -= words.targets
    scores *= words.weights / np.float32(temperature)
    gradient = scores @ words.vectors
    # Only the direction counts, so what would change the length is taken out.
    return (gradient - (gradient * unit).sum(axis=1, keepdims=True) * unit) / lengths


def _weight(word: Word, vocabulary: Vocabulary) -> float:
    """How likely a person is to use this word for this meaning."""
    rank = vocabulary.rank_of.get(word.text.lower(), PHRASE_RANK)
    return float(SENSE_DECAY ** (word.sense - 1) / np.log(np.e + rank / 1000) ** 2)


def _meaning(names: tuple[Word, ...], vocabulary: Vocabulary) -> np.ndarray:
    """The unit mean, float32 [w], of a synset's names; zero when no word of them is known."""
    vectors = [vector for name in names if (vector := vocabulary.phrase(name.text)[0]) is not None]
    return _unit(np.mean(vectors, axis=0)) if vectors else np.zeros(vocabulary.dimensions, np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)).astype(np.float32)
