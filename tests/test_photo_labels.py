"""The topic `photo-labels`: what a real worker says of its photos, and what it takes back."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from album_process import AlbumProcess, colour_folder, until
from jsonschema import Draft202012Validator

from models.probabilities import LABELS, WORDS, label_probabilities, log_odds, word_probabilities
from models.space import Space
from stream_app import kafka, topics
from stream_app.folders import folder_photo_id
from stream_app.lazy_producer import LazyProducer
from stream_app.photo_labels import LABEL_BATCH_BYTES, LabelLog, nearest_words
from stream_app.records import PhotoEmbedded
from stream_app.settings import Settings
from stream_app.versions import KIND_CHANGED, Version


def schema() -> Draft202012Validator:
    """The one that we publish."""
    text = files("stream_app").joinpath("schemas", "photo-labels.schema.json").read_bytes()
    return Draft202012Validator(orjson.loads(text))


async def newest(settings: Settings) -> dict[str, dict[str, Any] | None]:
    """The newest message of each photo."""
    topic = topics.labels_topic(settings)
    records = [each async for each in kafka.read_topic(settings, topic)]
    return {each.key.decode(): orjson.loads(each.value) if each.value else None for each in records}


def embedded(photo_id: int, space: Space) -> PhotoEmbedded:
    """A record as the embed agent writes it."""
    rng = np.random.default_rng(photo_id)
    image_embedding = rng.random(len(space.mean_embedding)).astype(np.float16)
    labels, scores = rng.permutation(5)[:2].astype(np.uint16), np.array([0.7, 0.2], np.float16)
    version = Version(photo_id + 1, KIND_CHANGED, 0, photo_id + 1)
    return PhotoEmbedded(photo_id, version, "file:///a.png", "", 1, 1, image_embedding, labels, scores)


class TogetherProducer(LazyProducer):
    """A producer that sends nothing before it was asked to for so many partitions."""

    def __init__(self, settings: Settings, partitions: int) -> None:
        super().__init__(settings, max_batch_size=LABEL_BATCH_BYTES)
        self._all_are_here = asyncio.Barrier(partitions)

    async def send_all(self, *where_and_what: Any) -> None:
        await self._all_are_here.wait()
        await super().send_all(*where_and_what)


class TestAWorker:
    """A real one, in a process of its own."""

    def test_every_findable_photo_is_labelled_as_it_is_classified_and_a_deleted_one_is_not(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        """The stream and the question have the same answer."""
        worker = AlbumProcess(settings, "worker")
        try:
            worker.ready().run("publish", str(colour_folder(tmp_path / "photos", 2)))
            worker.until_findable(8)
            gone = str(folder_photo_id("red-0.png"))
            worker.send("DELETE", f"/api/photos/{gone}")
            until(lambda: asyncio.run(newest(settings)).get(gone, "") is None, what="the null of a deleted photo")
            said = asyncio.run(newest(settings))
            asked = {each: worker.get(f"/api/photos/{each}/classification?k=10") for each in said if each != gone}
        finally:
            worker.stop()

        assert len(said) == 8
        for photo_id, classification in asked.items():
            message = said[photo_id]
            assert message is not None and message["photo_id"] == photo_id
            schema().validate(message)
            assert [each["name"] for each in message["labels"]] == [each["name"] for each in classification["labels"]]
            assert {each["name"] for each in message["words"]} == {each["name"] for each in classification["words"]}
            scores = [[each["score"] for each in answer["words"]] for answer in (message, classification)]
            assert np.allclose(*scores, atol=2e-3)  # the shard keeps its vectors in half the numbers

    def test_where_nobody_wants_them_there_is_no_topic(self) -> None:
        """`SIGHTLINE_LABELS_PRODUCED=false`."""
        settings = Settings(labels_produced=False)

        assert topics.labels_topic(settings) not in {each.name for each in topics.topic_specs(settings, "tiny")}


class TestTheLog:
    """`LabelLog`."""

    async def test_what_is_published_is_durable_when_it_returns(
        self, log_settings: Settings, tiny_bundle: Path
    ) -> None:
        """A photo that is gone is a null, which compaction removes."""
        space = Space.load(tiny_bundle)
        await topics.create_topics(log_settings, topics.topic_specs(log_settings, space.vision_id))
        producer = LazyProducer(log_settings, max_batch_size=LABEL_BATCH_BYTES)
        await LabelLog(topics.labels_topic(log_settings), space, producer).publish(
            {1: {7: embedded(7, space), 8: None}, 2: {9: embedded(9, space)}, 3: {}}
        )
        said = await newest(log_settings)
        await producer.stop()

        assert said["8"] is None
        assert said["7"] is not None and said["7"]["version"] == {"time_ms": 8, "partition": 0, "offset": 8}
        assert said["9"] is not None and said["9"]["space_id"] == space.space_id

    async def test_no_partition_waits_for_another(self, log_settings: Settings, tiny_bundle: Path) -> None:
        """Each is begun before any is done."""
        space = Space.load(tiny_bundle)
        await topics.create_topics(log_settings, topics.topic_specs(log_settings, space.vision_id))
        producer = TogetherProducer(log_settings, partitions=3)
        photos = {each: {each: embedded(each, space)} for each in range(3)}
        await asyncio.wait_for(LabelLog(topics.labels_topic(log_settings), space, producer).publish(photos), 60)
        said = await newest(log_settings)
        await producer.stop()

        assert said.keys() == {"0", "1", "2"}

    def test_many_photos_get_the_words_that_each_gets_alone(self, tiny_bundle: Path) -> None:
        """One product of matrices, and many."""
        space = Space.load(tiny_bundle)
        records = [embedded(each, space) for each in range(20)]
        together = nearest_words(records, space)
        alone = [nearest_words([each], space)[0] for each in records]

        assert [[word for word, _ in each] for each in together] == [[word for word, _ in each] for each in alone]


class TestProbabilities:
    """`models.probabilities`."""

    def test_a_bundle_that_was_never_measured_promises_nothing(self) -> None:
        """None rather than a number that means nothing."""
        assert label_probabilities([0.5, 0.1], "unknown") == [None, None]
        assert word_probabilities([0.5], "unknown") == [None]

    @pytest.mark.parametrize("score", [0.0, 1.0, 0.5])
    def test_probabilities_are_between_0_and_1(self, score: float) -> None:
        """Also of a softmax that rounds to all or nothing."""
        [label] = label_probabilities([score], next(iter(LABELS)))
        [word] = word_probabilities([score], next(iter(WORDS)))

        assert label is not None and word is not None and 0 < label < 1 and 0 < word < 1

    def test_the_better_score_is_the_likelier_one(self) -> None:
        """The order of an answer stays."""
        [labels, words] = [
            label_probabilities([0.9, 0.5, 0.01], next(iter(LABELS))),
            word_probabilities([0.9, 0.5, 0.01], next(iter(WORDS))),
        ]

        assert labels == sorted(labels, reverse=True) and words == sorted(words, reverse=True)

    def test_one_number_and_many_have_the_same_probability(self) -> None:
        """What is measured is what is said."""
        curve = LABELS[next(iter(LABELS))]
        scores = [0.0001, 0.2, 0.7, 0.9999]

        assert label_probabilities(scores, next(iter(LABELS))) == pytest.approx(curve.of(log_odds(np.array(scores))))

    def test_an_example_of_the_schema_fits(self) -> None:
        """What a person copies works."""
        assert [each for example in schema().schema["examples"] for each in schema().iter_errors(example)] == []
