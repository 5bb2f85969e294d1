"""Learn word vectors from tags or text: skip-gram with negative sampling (Mikolov et al. 2013), by gensim.

The sentences are read once, with phrases joined, into a file of words that the epochs then run over: a photo's tags
need no second look at the stream, and a text none at its spelling.
"""

from __future__ import annotations

import logging
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from models.word_tags import Sentences, TagCounts, Together, open_tags
from models.wordnet_text import WordNetText, is_wordnet
from stream_app.errors import WordsRejected

SENTENCE_WORDS_MAX = 10_000  # gensim forgets what comes after
COMMON_WORDS = 20_000  # the directions that all words share are sought among these
LINES_PER_REPORT = 2_000
PHRASE_COUNT_MIN = 5
PHRASE_NPMI_MIN = 0.7  # of 1: "ice cream", "tire swing"; at .6 "dogs run" is a phrase, too

Progress = Callable[[str, float], None]  # what is being done, and the share of it that is


@dataclass(frozen=True)
class WordPlan:
    """How words are learnt."""

    dimensions: int = 200
    epochs: int = 20
    window: int = 5
    negative: int = 5
    min_count: int = 2  # words that come less often are left out
    words_max: int | None = None  # and so are the rarest ones beyond so many
    sample: float = 1e-3  # of words that make up more of the text than this, many are passed over; 0 passes none
    phrases: bool = False
    common_directions: int = 2  # taken out of all vectors (Mu and Viswanath 2018)
    workers: int = 2
    seed: int = 1


@dataclass(frozen=True)
class TrainedWords:
    """Words, the most frequent first, with their vectors and how they came about."""

    words: list[str]
    vectors: np.ndarray  # float32 [n, d]
    counts: list[int]
    source: TagCounts
    token_count: int
    rare_words: int  # words left out, which were seen `rare_tokens` times together
    rare_tokens: int
    seconds: float  # of the epochs alone
    words_per_second: float


def sentences_of(*sources: Path, separator: str | None = None, paragraphs: bool = False) -> Sentences:
    """The sentences of files, of folders of texts, and of WordNet's folder, one after another."""

    def opened(source: Path) -> Sentences:
        return WordNetText(source) if is_wordnet(source) else open_tags(source, separator, paragraphs=paragraphs)

    return Together([opened(each) for each in sources])


def train_words(sentences: Sentences, plan: WordPlan, progress: Progress | None = None) -> TrainedWords:
    """Vectors for the words of the sentences; the same ones each time with one worker on the same machine.

    Raises WordsRejected when the sentences hold no two different words that come often enough.
    """
    say = progress or (lambda doing, share: None)
    logging.getLogger("gensim").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.txt"
        seen, line_count = _gather(sentences, corpus, plan, say)
        kept = _frequent(seen, plan)
        if len(kept) < 2:
            raise _too_little(seen, plan, sentences.counts)
        return _learn(_Lines(corpus, line_count, plan.epochs, say), kept, seen, plan, sentences.counts)


def _gather(sentences: Sentences, corpus: Path, plan: WordPlan, say: Progress) -> tuple[Counter[str], int]:
    """Write the words to `corpus`, a sentence a line; what was seen how often, and the number of lines."""
    seen: Counter[str] = Counter()
    line_count = 0
    try:
        joined = _with_phrases(sentences, plan, say) if plan.phrases else sentences
        with corpus.open("w", encoding="utf-8", newline="\n") as file:
            for line_count, sentence in enumerate(_in_pieces(joined), start=1):
                seen.update(sentence)
                _write_line(file, sentence)
                if line_count % LINES_PER_REPORT == 0:
                    say(f"Reading: {line_count:,} sentences", 0.0)
    except (OSError, EOFError, zlib.error) as error:
        raise WordsRejected("The text cannot be read to its end", received=str(error)) from error
    return seen, line_count


def _write_line(file: TextIO, sentence: list[str]) -> None:
    file.write(" ".join(sentence) + "\n")


def _with_phrases(sentences: Iterable[list[str]], plan: WordPlan, say: Progress) -> Iterable[list[str]]:
    """Sentences in which words that come together more often than by chance are one, as in new_york."""
    from gensim.models.phrases import ENGLISH_CONNECTOR_WORDS, Phrases

    say("Looking for phrases", 0.0)
    found = Phrases(
        sentences,
        min_count=max(PHRASE_COUNT_MIN, plan.min_count),
        scoring="npmi",  # gensim's default depends on how many words there are
        threshold=PHRASE_NPMI_MIN,
        connector_words=ENGLISH_CONNECTOR_WORDS,
    ).freeze()
    return (found[sentence] for sentence in sentences)


def _in_pieces(sentences: Iterable[list[str]]) -> Iterator[list[str]]:
    for sentence in sentences:
        for begin in range(0, len(sentence), SENTENCE_WORDS_MAX):
            yield sentence[begin : begin + SENTENCE_WORDS_MAX]


def _frequent(seen: Counter[str], plan: WordPlan) -> dict[str, int]:
    """The words to learn and how often they come, the most frequent first, in the order of letters among equals."""
    often = [(word, count) for word, count in seen.items() if count >= plan.min_count]
    return dict(sorted(often, key=lambda each: (-each[1], each[0]))[: plan.words_max])


class _Lines:
    """The corpus as gensim reads it, once in each epoch, saying how far it is."""

    def __init__(self, corpus: Path, count: int, epochs: int, say: Progress) -> None:
        self._corpus, self.count, self._epochs, self._say = corpus, count, epochs, say
        self._read = 0

    def __iter__(self) -> Iterator[list[str]]:
        with self._corpus.open(encoding="utf-8") as lines:
            for line in lines:
                yield line.split()
                self._read += 1
                if self._read % LINES_PER_REPORT == 0 or self._read == self.count * self._epochs:
                    epoch = min((self._read - 1) // self.count + 1, self._epochs)
                    self._say(f"Epoch {epoch} of {self._epochs}", self._read / (self.count * self._epochs))


def _learn(lines: _Lines, kept: dict[str, int], seen: Counter[str], plan: WordPlan, source: TagCounts) -> TrainedWords:
    from gensim.models import Word2Vec

    model: Any = Word2Vec(
        sg=1,
        vector_size=plan.dimensions,
        window=plan.window,
        negative=plan.negative,
        min_count=1,
        workers=plan.workers,
        seed=plan.seed,
        sample=plan.sample,
    )
    model.build_vocab_from_freq(kept, corpus_count=lines.count)
    began = time.perf_counter()
    model.train(lines, total_examples=lines.count, epochs=plan.epochs)
    seconds = time.perf_counter() - began
    rows = np.array([model.wv.key_to_index[word] for word in kept])
    token_count, kept_tokens = seen.total(), sum(kept.values())
    return TrainedWords(
        words=list(kept),
        vectors=without_common_directions(model.wv.vectors[rows], plan.common_directions),
        counts=list(kept.values()),
        source=source,
        token_count=token_count,
        rare_words=len(seen) - len(kept),
        rare_tokens=token_count - kept_tokens,
        seconds=seconds,
        words_per_second=token_count * plan.epochs / max(seconds, 1e-9),
    )


def without_common_directions(vectors: np.ndarray, count: int) -> np.ndarray:
    """Vectors less their mean and the `count` directions in which they differ most, which tell of frequency only."""
    centred = (vectors - vectors.mean(axis=0)).astype(np.float32)
    count = min(count, vectors.shape[1] // 10)  # few dimensions have none to spare
    if count == 0:
        return centred
    common = centred[:COMMON_WORDS].astype(np.float64)
    axes = np.linalg.eigh(common.T @ common)[1][:, ::-1][:, :count].astype(np.float32)
    return centred - (centred @ axes) @ axes.T


def _too_little(seen: Counter[str], plan: WordPlan, source: TagCounts) -> WordsRejected:
    often = f"{len(seen):,} different words in {source}"
    return WordsRejected(
        "There is too little to learn words from" if seen else "There are no tags to learn words from",
        expected=f"at least two words that come {plan.min_count} times or more",
        received=often,
        remedy="Give more, or lower --min-count." if seen else None,
    )
