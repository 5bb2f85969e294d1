"""The judgement of galleries, quests and photographers as a person and a program read it: report.md and report.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.zero_shot_metrics import paired_bootstrap
from stream_app.application_judgement import (
    CHANCE,
    GALLERY_RECALL,
    LABEL_ONLY,
    ORACLE,
    PHOTOGRAPHER_NDCG,
    QUEST_NDCG,
    Outcomes,
)
from stream_app.gallery_suggestions import MEAN, THEMES

ALL = "all"
QUEST_MEASURES = (
    "ROC-AUC",
    QUEST_NDCG,
    "flag precision",
    "flag recall",
    "unsure",
    "repetitions found",
    "repetitions imagined",
    "repetitions by looks found",
    "repetitions by looks imagined",
)


@dataclass(frozen=True)
class Judgement:
    """Everything that was found, and on what."""

    facts: dict[str, str]
    galleries: Outcomes
    quests: Outcomes
    photographers: Outcomes


@dataclass(frozen=True)
class Difference:
    """Of two contenders over the same galleries: the mean, and its 95 % interval by paired bootstrap."""

    better: str
    than: str
    mean: float
    low: float
    high: float


def write_report(judgement: Judgement, folder: Path) -> Path:
    """Write report.md and report.json; returns the former."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(as_json(judgement), indent=1), encoding="utf-8")
    report = folder / "report.md"
    report.write_text(as_markdown(judgement), encoding="utf-8")
    return report


def differences(galleries: Outcomes) -> list[Difference]:
    """Themes against everything else; none where no gallery was judged."""
    found = []
    for other in (MEAN, LABEL_ONLY, CHANCE):
        if galleries.kinds:
            by_gallery = galleries.of(THEMES, GALLERY_RECALL) - galleries.of(other, GALLERY_RECALL)
            found.append(Difference(THEMES, other, float(by_gallery.mean()), *paired_bootstrap(by_gallery)))
    return found


def as_json(judgement: Judgement) -> dict[str, Any]:
    """The means of the report, and every single value."""
    return {
        "facts": judgement.facts,
        "galleries": {
            "recall": {
                name: {kind: _mean(judgement.galleries, name, GALLERY_RECALL, kind) for kind in _kinds(judgement)}
                for name in judgement.galleries.contenders
            },
            "differences": [vars(each) for each in differences(judgement.galleries)],
            "values": _values(judgement.galleries),
        },
        "quests": {"means": _means(judgement.quests), "values": _values(judgement.quests)},
        "photographers": {"means": _means(judgement.photographers), "values": _values(judgement.photographers)},
    }


def as_markdown(judgement: Judgement) -> str:
    """The tables, each with the sentence that it needs to be read rightly."""
    parts = ["# Applications", "\n".join(f"- {name}: {value}" for name, value in judgement.facts.items())]
    if judgement.galleries.kinds:
        parts += ["## Galleries: members that were left out", _GALLERIES, _gallery_table(judgement)]
        parts += [_difference_table(judgement.galleries)]
    if judgement.quests.kinds:
        parts += ["## Quests: on topic or off", _QUESTS, _quest_table(judgement.quests)]
    if judgement.photographers.kinds:
        parts += ["## Photographers for an assignment", _PHOTOGRAPHERS, _photographer_table(judgement.photographers)]
    return "\n\n".join(parts) + "\n"


_GALLERIES = (
    f"{GALLERY_RECALL} of the members left out, and in brackets over that of the label oracle, which draws at random "
    "among photos of the gallery's labels. Label only draws among photos in which the network sees what it sees in "
    "most members. Of draws the figures are what is to be expected of them."
)
_QUESTS = (
    "Means over quests. A flag says off topic; unsure is the share of submissions of which neither is said. "
    "Repetitions are known by their file, or by looks alone, without it; imagined is the share of submissions that "
    "repeat nothing and are said to. Label only counts the examples in which the network sees "
    "what it sees in the submission."
)
_PHOTOGRAPHERS = (
    f"{PHOTOGRAPHER_NDCG}; a photographer's relevance is the share of the portfolio that shows the label asked for. "
    "Label only ranks by the share in which the network sees what it sees in the examples."
)


def _gallery_table(judgement: Judgement) -> str:
    galleries, kinds = judgement.galleries, _kinds(judgement)
    rows = []
    for name in galleries.contenders:
        rows.append([name])
        for kind in kinds:
            recall = _mean(galleries, name, GALLERY_RECALL, kind)
            most = _mean(galleries, ORACLE, GALLERY_RECALL, kind)
            rows[-1].append(f"{_shown(recall)} ({(recall or 0) / most:.2f})" if most else _shown(recall))
    return _table(["contender", *(f"{kind}" for kind in kinds)], rows)


def _difference_table(galleries: Outcomes) -> str:
    rows = [
        [
            f"{each.better} against {each.than}",
            f"{each.mean:+.4f}",
            f"{each.low:+.4f} to {each.high:+.4f}",
            "better" if each.low > 0 else "worse" if each.high < 0 else "undecided",
        ]
        for each in differences(galleries)
    ]
    return _table(["paired by gallery", "difference", "95 % interval", "holds"], rows)


def _quest_table(quests: Outcomes) -> str:
    rows = [[name, *(_shown(_mean(quests, name, measure)) for measure in QUEST_MEASURES)] for name in quests.contenders]
    return _table(["brief", *QUEST_MEASURES], rows)


def _photographer_table(photographers: Outcomes) -> str:
    rows = [[name, _shown(_mean(photographers, name, PHOTOGRAPHER_NDCG))] for name in photographers.contenders]
    return _table(["model, brief", PHOTOGRAPHER_NDCG], rows)


def _kinds(judgement: Judgement) -> list[str]:
    return [ALL, *dict.fromkeys(judgement.galleries.kinds)]


def _mean(outcomes: Outcomes, contender: str, measure: str, kind: str = ALL) -> float | None:
    if (contender, measure) not in outcomes.values:
        return None
    values = outcomes.of(contender, measure, None if kind == ALL else kind)
    return float(np.mean(values)) if len(values) else None


def _means(outcomes: Outcomes) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    for contender, measure in outcomes.values:
        found.setdefault(contender, {})[measure] = _mean(outcomes, contender, measure)
    return found


def _values(outcomes: Outcomes) -> dict[str, Any]:
    values = {f"{contender}/{measure}": each for (contender, measure), each in outcomes.values.items()}
    return {"kinds": outcomes.kinds, **values}


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---", *("---:" for _ in heading[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
