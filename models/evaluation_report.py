"""An evaluation as a person and a program read it: report.md, report.json, and plots as PNG."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.calibration import ScoreBin, worth_showing
from models.related_judgement import VectorFigures
from models.zero_shot import AMONG, KS, Outcome, chance
from models.zero_shot_metrics import paired_bootstrap

BASELINES = ("ConSE(10)", "DeViSE hinge rank loss")
COMPARED_AT = (1, 5)


@dataclass(frozen=True)
class Evaluation:
    """Everything that was found, and on what."""

    facts: dict[str, Any]  # what was judged: photos, classes, ids, seeds, targets
    outcomes: list[Outcome]
    default: str  # the contender that the bundle is made with
    candidates: dict[str, int]  # how many classes there are to choose among
    vectors: list[VectorFigures]
    bins: list[ScoreBin]


@dataclass(frozen=True)
class Comparison:
    """The default against a baseline over the same splits."""

    baseline: str
    among: str
    measure: str
    times: float
    difference: float
    low: float
    high: float


def compare(outcomes: Sequence[Outcome], default: str) -> list[Comparison]:
    """Paired differences of flat hit@1 and hit@5 with a 95 % bootstrap interval over splits; none without both."""
    judged = set(_names(outcomes))
    found = []
    for baseline in (each for each in BASELINES if {each, default} <= judged and each != default):
        for among in AMONG:
            for k in COMPARED_AT:
                measure = f"flat_hit@{k}"
                ours, theirs = (_values(outcomes, name, among, measure) for name in (default, baseline))
                low, high = paired_bootstrap(ours - theirs)
                times = float(ours.mean() / max(theirs.mean(), 1e-9))
                found.append(Comparison(baseline, among, measure, times, float((ours - theirs).mean()), low, high))
    return found


def write_report(evaluation: Evaluation, folder: Path) -> Path:
    """Write report.md, report.json, zero_shot.png and calibration.png; returns the first."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(as_json(evaluation), indent=1), encoding="utf-8")
    report = folder / "report.md"
    report.write_text(as_markdown(evaluation), encoding="utf-8")
    if evaluation.outcomes:
        plot_zero_shot(evaluation, folder / "zero_shot.png")
    if evaluation.bins:
        plot_calibration(evaluation.bins, folder / "calibration.png")
    return report


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The same as the report, with every split."""
    outcomes = evaluation.outcomes
    return {
        "facts": evaluation.facts,
        "default": evaluation.default,
        "zero_shot": [
            {
                "contender": each.contender,
                "seed": each.seed,
                "settings": each.settings,
                "measures": {f"{among}/{measure}": value for (among, measure), value in each.measures.items()},
            }
            for each in outcomes
        ],
        "comparisons": [asdict(each) for each in compare(outcomes, evaluation.default)],
        "vectors": [asdict(each) for each in evaluation.vectors],
        "calibration": [each._asdict() for each in evaluation.bins],
    }


def as_markdown(evaluation: Evaluation) -> str:
    """The tables, each with the sentence that it needs to be read rightly."""
    parts = ["# Evaluation", _facts(evaluation.facts)]
    if evaluation.outcomes:
        parts += ["## Classes that training never saw", _PROTOCOL]
        for among in AMONG:
            parts += [f"### Among {evaluation.candidates[among]} classes: {among}", _zero_shot(evaluation, among)]
        if compare(evaluation.outcomes, evaluation.default):
            parts += [f"### {evaluation.default}, against the baselines", _comparisons(evaluation)]
    if evaluation.vectors:
        parts += ["## Which vector serves what", _vectors(evaluation.vectors)]
    if evaluation.bins:
        parts += ["## Is a score worth showing?", _calibration(evaluation.bins)]
    return "\n\n".join(parts) + "\n"


_PROTOCOL = (
    "In each split three fifths of the classes train, one fifth chooses each contender's settings (at most eight, by "
    "the mean of flat hit@1 and hit@5), and one fifth is shown once. ConSE and prototypes go without the network's "
    "outputs for the last two fifths. The network's features were trained with photos of all its classes, for every "
    'contender alike; "softmax that saw the classes" reads its outputs for them, which is no zero-shot at all and '
    "shows what the features hold. Figures are per cent, means over the splits ± the standard deviation."
)


def _facts(facts: dict[str, Any]) -> str:
    return "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items())


def _zero_shot(evaluation: Evaluation, among: str) -> str:
    heading = ["contender", *(f"flat hit@{k}" for k in KS), *(f"hier. precision@{k}" for k in KS)]
    rows = [["chance", *(f"{100 * chance(evaluation.candidates[among], k):.1f}" for k in KS), *("" for _ in KS)]]
    for name in _names(evaluation.outcomes):
        shown = f"**{name}**" if name == evaluation.default else name
        rows.append([shown, *(_mean_and_spread(evaluation.outcomes, name, among, f"flat_hit@{k}") for k in KS)])
        rows[-1] += [_mean_and_spread(evaluation.outcomes, name, among, f"hierarchical_precision@{k}") for k in KS]
    return _table(heading, rows)


def _mean_and_spread(outcomes: Sequence[Outcome], name: str, among: str, measure: str) -> str:
    values = 100 * _values(outcomes, name, among, measure)
    return f"{values.mean():.1f} ± {values.std():.1f}"


def _comparisons(evaluation: Evaluation) -> str:
    heading = ["against", "among", "measure", "times", "difference", "95 % interval", "holds"]
    rows = [
        [
            each.baseline,
            each.among,
            each.measure.replace("_", " "),
            f"{each.times:.2f}",
            f"{100 * each.difference:+.1f}",
            f"{100 * each.low:+.1f} to {100 * each.high:+.1f}",
            "better" if each.low > 0 else "worse" if each.high < 0 else "undecided",
        ]
        for each in compare(evaluation.outcomes, evaluation.default)
    ]
    return _table(heading, rows)


def _vectors(vectors: Sequence[VectorFigures]) -> str:
    first = vectors[0].related_precision_at_10
    heading = ["vector", "dimensions", "related precision@10", "times the first", "related mAP", "words, first 5"]
    rows = [
        [
            each.vector,
            str(each.dimensions),
            f"{each.related_precision_at_10:.3f}",
            f"{each.related_precision_at_10 / max(first, 1e-9):.2f}",
            "" if each.related_map is None else f"{each.related_map:.3f}",
            "" if each.words_at_5 is None else f"{each.words_at_5:.3f}",
        ]
        for each in vectors
    ]
    return _table(heading, rows)


def _calibration(bins: Sequence[ScoreBin]) -> str:
    lowest = worth_showing(bins)
    verdict = (
        "No score is right more often than not."
        if lowest is None
        else f"From a score of {lowest:.1f} upwards a hit is right more often than not."
    )
    rows = [[f"{each.low:.1f} to {each.low + 0.1:.1f}", f"{each.hits:,}", f"{each.right:.2f}"] for each in bins]
    return f"{verdict}\n\n" + _table(["score", "hits", "right"], rows)


def plot_zero_shot(evaluation: Evaluation, path: Path) -> None:
    """Flat hit@5 of every contender, among the held-out classes and among all, with 95 % of its splits."""
    figure, axes = _figure(len(AMONG))
    names = _names(evaluation.outcomes)
    for axis, among in zip(axes, AMONG, strict=True):
        values = [100 * _values(evaluation.outcomes, name, among, "flat_hit@5") for name in names]
        means = [each.mean() for each in values]
        spread = np.abs(np.array([np.percentile(each, [2.5, 97.5]) for each in values]).T - means)
        colours = ["#1f6f5c" if name == evaluation.default else "#9db4ad" for name in names]
        axis.barh(names, means, xerr=spread, color=colours, ecolor="#444444")
        axis.invert_yaxis()
        axis.set_xlabel(f"flat hit@5, per cent, among {evaluation.candidates[among]} classes ({among})")
    axes[1].set_yticklabels([])
    figure.savefig(path, dpi=110)


def plot_calibration(bins: Sequence[ScoreBin], path: Path) -> None:
    """The share of right hits by score."""
    figure, [axis] = _figure(1)
    axis.bar([each.low + 0.05 for each in bins], [each.right for each in bins], width=0.09, color="#1f6f5c")
    axis.axhline(0.5, color="#444444", linewidth=0.8)
    axis.set_xlabel("score (cosine of word and photo)")
    axis.set_ylabel("share of hits that are right")
    figure.savefig(path, dpi=110)


def _figure(columns: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    figure = Figure(figsize=(7 * columns, 5), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(1, columns))


def _names(outcomes: Sequence[Outcome]) -> list[str]:
    return list(dict.fromkeys(each.contender for each in outcomes))


def _values(outcomes: Sequence[Outcome], name: str, among: str, measure: str) -> np.ndarray:
    return np.array([each.measures[among, measure] for each in outcomes if each.contender == name])


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---", *("---:" for _ in heading[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
