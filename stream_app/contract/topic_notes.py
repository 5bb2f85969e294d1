"""What the topics are for, in words for whoever sends to them or reads from them."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class TopicNote:
    """A topic as others see it: whether they send (in), read (out), or leave it to the workers (own)."""

    pattern: str
    direction: str
    key: str
    value: str
    meaning: str


#: By names without SIGHTLINE_TOPIC_PREFIX; the first that fits is taken.
TOPIC_NOTES: tuple[TopicNote, ...] = (
    TopicNote(
        "photo-activity",
        "in",
        "the photo's id in decimals, or nothing",
        "JSON, one event",
        "What happens to photos. Events may come late, twice, or in any order: the newest version of each fact wins. "
        "What cannot be worked on becomes a dead letter.",
    ),
    TopicNote(
        "collection-activity",
        "in",
        "the collection's id in decimals",
        "JSON, one event",
        "What happens to galleries and quests. Photos that are not in the album yet count once they arrive.",
    ),
    TopicNote(
        "photo-queries",
        "in",
        "anything",
        "JSON, one request or many",
        "Requests by the names of the API's operations, with the same fields and answers as over HTTP; each answer "
        "goes to the topic that its request names.",
    ),
    TopicNote(
        r"photo-labels",
        "out",
        "the photo's id in decimals",
        "JSON",
        "Words and labels of every findable photo, unless SIGHTLINE_LABELS_PRODUCED is false.",
    ),
    TopicNote(
        r"photo-embeddings\..*",
        "out",
        "the photo's id in decimals",
        "bytes, one record",
        "The durable truth: the image embedding of each photo by one vision model, or its deletion. Every index is "
        "made anew from it.",
    ),
    TopicNote(
        "photo-owners",
        "own",
        "the photographer's id in decimals",
        "JSON",
        "Whose photo each one is, from those who know photos to those who know photographers.",
    ),
    TopicNote(
        "dead-letters",
        "out",
        "that of the message",
        "the message as it came",
        "Messages that could not be worked on, with reason, stage, topic, partition and offset in their headers; "
        "`sightline dead-letters replay` sends them again.",
    ),
    TopicNote(r".*-changelog", "own", "that of the row", "the row", "The rows of a table of the workers."),
    TopicNote(
        r"photo-replies",
        "out",
        "that of the request",
        "JSON",
        "Answers to requests, each on the topic that its request names and its caller has made.",
    ),
)


def note_of(topic: str) -> TopicNote | None:
    """The note on a topic by its name without prefix."""
    return next((each for each in TOPIC_NOTES if re.fullmatch(each.pattern, topic)), None)
