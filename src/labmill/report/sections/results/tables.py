"""Scores: every variant, class, seed and lost run, and what they cost."""

from labmill.report.claims.findings import findings
from labmill.report.number_format import DASH, format_of, percent
from labmill.report.results import StudyResults
from labmill.report.row_pictures import interval_pictures
from labmill.report.table import Table
from labmill.report.text import Markdown, escape
from labmill.stats.margins import Verdict
from labmill.stats.significance import Mean
from labmill.study.metrics import metric

SCORES = ("test_macro_f1", "validation_accuracy", "train_accuracy")


def results(results: StudyResults) -> Table | None:
    """Return every variant's scores: mean over seeds, interval, number of seeds."""
    asked = [f"test_{name}" for name in results.study.get("metrics", ())]
    columns = [c for c in (*asked, *SCORES) if filled(results, c)]
    means = {v: results.mean(v, "test_accuracy") for v in results.variants}
    best, behind = standing(results)
    rows = []
    ranked = findings(results).ranked

    def key(variant: str) -> tuple[bool, float]:
        mean = means[variant]
        return variant not in ranked, -mean.estimate if mean else 1.0

    order = sorted(means, key=key)
    values = {
        v: (m, results.values(v, "test_accuracy")) for v in order if (m := means[v])
    }
    drawn = interval_pictures("accuracy", values)
    for variant in order:
        mean = means[variant]
        accuracy, interval = with_interval(mean)
        if variant == best:
            accuracy = Markdown(f"**{escape(accuracy)}**")
        elif variant in behind:
            accuracy = Markdown(f"[{escape(accuracy)}]{{.lesser}}")
        others = [results.mean(variant, column) for column in columns]
        scores = [
            format_of(column)(other.estimate) if other else "–"
            for column, other in zip(columns, others, strict=True)
        ]
        seeds = mean.n if mean else 0
        picture = drawn.get(variant, DASH)
        rows.append(
            [results.label(variant), accuracy, interval, picture, seeds, *scores]
        )
    head = [
        "Variant",
        "Test accuracy",
        "95 % interval",
        "Interval and seeds",
        "Seeds",
        # In words that a narrow column need not break.
        *(metric(c).title.removesuffix(" accuracy") for c in columns),
    ]
    caption = "Accuracy by variant: means over seeds, in descending order."
    if best:
        caption += " Bold: the first." + (
            " Grey: shown to be behind it." if behind else ""
        )
    if 0 < (last := len(order) - len(ranked)) < len(order):
        caption += f" The last {f'{last} are' if last > 1 else 'one is'} not ranked."
    return Table(head, rows, caption)


def standing(results: StudyResults) -> tuple[str | None, set[str]]:
    """Return the first variant, if it leads any, and those that it is shown to lead."""
    outcomes = findings(results).leading()
    behind = {
        outcome.comparison.rows[1]
        for outcome in outcomes
        if outcome.test.verdict is Verdict.HIGHER
    }
    return (outcomes[0].comparison.rows[0] if outcomes else None), behind


def with_interval(mean: Mean | None) -> tuple[str, str]:
    """Return a mean accuracy, and its interval in percent."""
    if mean is None:
        return "–", "–"
    if mean.low is None or mean.high is None:
        return percent(mean.estimate), "–"
    return percent(mean.estimate), f"{100 * mean.low:.1f} to {100 * mean.high:.1f}"


def filled(results: StudyResults, column: str) -> bool:
    """Return True if any variant has that metric."""
    return any(results.values(variant, column) for variant in results.variants)
