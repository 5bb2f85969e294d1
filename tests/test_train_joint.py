"""`sightline train joint`: from photos and tags to a bundle whose joint embedding has a trained projection in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from colours import colour_photo

from models.encoder import LocalEncoder
from models.grids import GRIDS
from models.joint_training import TaggedPhotos, train_joint
from models.linear_projection import unit
from models.linear_training import TrainingPlan, train_linear
from stream_app.cli import main
from stream_app.errors import EventRejected, TrainingRejected
from stream_app.tagged_sources import tagged_of_events


class World:
    """A space of eight words and a network that knows none of them; photos lie linearly about their tag."""

    vocabulary_size, dimensions = 24, 12

    def __init__(self) -> None:
        from models.words import Vocabulary

        rng = np.random.default_rng(5)
        self.words = [f"word{number}" for number in range(self.vocabulary_size)]
        self.vocabulary = Vocabulary(self.words, unit(rng.normal(size=(self.vocabulary_size, 8))))
        self.mixing = rng.normal(size=(8, self.dimensions))
        self.classifier = rng.normal(size=(self.dimensions, 3)).astype(np.float32)
        self.mean_embedding = np.zeros(self.dimensions, np.float32)
        self.tag_vectors = unit(rng.normal(size=(3, 8)))

    def project(self, image_embeddings: np.ndarray, label_indices: np.ndarray, label_scores: np.ndarray) -> np.ndarray:
        return self.tag_vectors[label_indices[:, 0]]

    def photos(self, per_tag: int = 12) -> TaggedPhotos:
        rng = np.random.default_rng(6)
        numbers = np.repeat(np.arange(self.vocabulary_size), per_tag)
        embeddings = self.vocabulary.vectors[numbers] @ self.mixing + 0.2 * rng.normal(size=(len(numbers), 12))
        labels = np.zeros((len(numbers), 1), int)
        return TaggedPhotos(
            embeddings.astype(np.float32), labels, np.ones((len(numbers), 1)), [[self.words[each]] for each in numbers]
        )


@pytest.fixture(scope="module")
def world() -> World:
    return World()


class TestTraining:
    @pytest.mark.parametrize("loss", [each for each in GRIDS if each != "prototypes"])
    def test_what_the_network_has_no_class_for_is_learnt_from_tags(self, world: World, loss: str):
        """The space knows none of these words; the projection finds most of those held out, and is used."""
        training = train_joint(world.photos(), world, loss=loss)  # type: ignore[arg-type]

        assert training.validation[training.weight] > training.validation[0.0] + 0.1
        assert training.weight > 0
        assert training.examples == 24 * 12 and training.tags == 24

    def test_the_same_seed_gives_the_same_projection(self, world: World):
        first, second = (train_joint(world.photos(), world, seed=3) for _ in range(2))  # type: ignore[arg-type]

        np.testing.assert_array_equal(first.projection.weights, second.projection.weights)

    def test_unknown_tags_are_counted_and_left_out(self, world: World):
        photos = world.photos()
        tagged = TaggedPhotos(
            photos.image_embeddings, photos.label_indices, photos.label_scores, [[*each, "qqq"] for each in photos.tags]
        )

        training = train_joint(tagged, world)  # type: ignore[arg-type]

        assert training.unknown_tags == {"qqq": len(photos)} and training.tags == 24

    def test_tags_that_nobody_knows_are_refused_by_name(self, world: World):
        photos = world.photos()
        nonsense = TaggedPhotos(photos.image_embeddings, photos.label_indices, photos.label_scores, [["qqq"]] * 288)

        with pytest.raises(TrainingRejected, match="received 0: none; unknown: qqq"):
            train_joint(nonsense, world)  # type: ignore[arg-type]

    def test_one_tag_alone_teaches_nothing(self, world: World):
        photos = world.photos()
        same = TaggedPhotos(photos.image_embeddings, photos.label_indices, photos.label_scores, [["word1"]] * 288)

        with pytest.raises(TrainingRejected, match="at least 5 different tags"):
            train_joint(same, world)  # type: ignore[arg-type]

    def test_a_photo_that_is_not_a_number_is_refused(self, world: World):
        photos = world.photos()
        photos.image_embeddings[3, 2] = np.nan

        with pytest.raises(TrainingRejected, match="not finite"):
            train_joint(photos, world)  # type: ignore[arg-type]

    def test_an_unknown_loss_is_refused(self, world: World):
        with pytest.raises(TrainingRejected, match="received magic"):
            train_joint(world.photos(), world, loss="magic")  # type: ignore[arg-type]

    def test_losses_are_logged_for_tensorboard(self, world: World, tmp_path: Path):
        photos = world.photos()
        train_linear(
            photos.image_embeddings,
            np.repeat(np.arange(24), 12),
            world.vocabulary.vectors,
            TrainingPlan(epochs_max=2),
            validate=lambda projection: 0.0,
            log_dir=tmp_path / "logs",
        )

        assert list((tmp_path / "logs").glob("events.out.tfevents.*"))


class TestSources:
    def test_events_name_photos_beside_the_file(self, tiny_bundle: Path, tmp_path: Path):
        (tmp_path / "a.png").write_bytes(colour_photo("red"))
        (tmp_path / "events.jsonl").write_text('{"url": "a.png", "tags": ["red", "warm"]}\n\n{"url": "a.png"}\n')
        counts: list[int] = []

        photos = tagged_of_events(tmp_path / "events.jsonl", LocalEncoder(tiny_bundle), say=counts.append)

        assert list(photos.tags) == [["red", "warm"]] and counts == [1]

    @pytest.mark.parametrize(
        ("line", "complaint"),
        [
            ("nonsense", "Line 1"),
            ('{"tags": ["a"]}', "Line 1"),
            ('{"url": "gone.png", "tags": ["a"]}', "line 1"),
            ('{"url": "http://example.com/a.png", "tags": ["a"]}', "--topic"),
        ],
    )
    def test_a_line_that_cannot_be_used_is_named(self, line: str, complaint: str, tiny_bundle: Path, tmp_path: Path):
        (tmp_path / "events.jsonl").write_text(line)

        with pytest.raises(EventRejected, match=complaint):
            tagged_of_events(tmp_path / "events.jsonl", LocalEncoder(tiny_bundle), say=lambda count: None)


class TestCommand:
    def test_it_asks_for_one_source(self, tmp_path: Path):
        result = CliRunner().invoke(main, ["train", "joint", "--out", str(tmp_path / "bundle")])

        assert result.exit_code == 2 and "expected either SOURCE or --topic" in result.output
