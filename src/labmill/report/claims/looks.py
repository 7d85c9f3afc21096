"""Single networks that were asked more: influence of units, layers as matrix products."""

from typing import Any

from labmill.evaluation.statistics import rank_interval
from labmill.report.claims import words
from labmill.report.claims.evidence import Evidence
from labmill.report.claims.template import Plain, plain
from labmill.report.read import Row
from labmill.runtime import read_json

INFLUENCE = Plain(
    "Predicted against real influence of the {units} units of {layer} in {label}: each "
    "was removed alone, which cost {least} to {most} of validation accuracy. The rank "
    "correlation (Spearman) of the rise of the validation loss with the prediction is "
    "{correlations}{random}. One seed."
)
FORMULATED = Plain(
    "{label}, one pass over {images} images in batches of {batch} on {threads}: "
    "inference takes {inference}; training takes {training}. The logits differ by "
    "{difference} at most."
)
NAMES = {
    "library": "with the library's layers",
    "unfold": "with patches unfolded into one matrix product",
    "shifted": "with a product per position of the kernel",
}


def first_look(
    evidence: Evidence, variant: str, kind: str
) -> tuple[Row, dict[str, Any]] | None:
    """The run of a variant that was looked at, and what was found."""
    for row in evidence.runs.get(variant, {}).values():
        planned = row.record["files"].get(kind)
        path = evidence.place.path(planned) if planned else None
        if path and path.is_file() and row.usable:
            return row, read_json(path)
    return None


def influence_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """One claim per variant and layer."""
    claims = []
    for variant in (evidence.study.get("influence") or {}).get("variants", ()):
        found = first_look(evidence, variant, "influence")
        for layer, about in found[1]["layers"].items() if found else ():
            units = len(about["loss_rise"])
            rhos = {
                words.named(name): one["loss_rise"]
                for name, one in about["rank_correlation"].items()
            }
            ends = {name: correlation_interval(r, units) for name, r in rhos.items()}
            said = [f"{rho(r, ends[name])} for {name}" for name, r in rhos.items()]
            unclear = [n for n, e in ends.items() if e is None or e[0] <= 0 <= e[1]]
            claims.append(
                plain(
                    INFLUENCE,
                    f"influence:{variant}:{layer}",
                    "pruning",
                    [
                        {
                            "file": found[0].record["files"]["influence"],
                            "field": f"layers.{layer}.{field}",
                        }
                        for field in ("rank_correlation", "accuracy_drop")
                    ],
                    n=units,
                    units=units,
                    least=words.signed(min(about["accuracy_drop"]), "%", 1),
                    most=words.signed(max(about["accuracy_drop"]), "%", 1),
                    random=f"; not shown to differ from a random order: "
                    f"{words.listed(unclear)}"
                    if unclear
                    else "",
                    layer=words.named(layer),
                    label=evidence.label(variant),
                    correlations=words.listed(said),
                )
            )
    return claims


def rho(value: float | None, ends: tuple[float, float] | None) -> str:
    """A correlation and its interval in two decimals."""
    if value is None:
        return "undefined"
    told = words.fixed(value, 2)
    if ends is None:
        return told
    low, high = (words.fixed(end, 2) for end in ends)
    return f"{told} (95{words.SPACE}% interval {low} to {high})"


def correlation_interval(value: float | None, n: int) -> tuple[float, float] | None:
    """The 95 % interval of Spearman's rank correlation over `n` pairs.

    A perfect one counts as 0.999. None for fewer than five pairs.
    """
    if value is None or n < 5:
        return None
    return rank_interval(max(-0.999, min(0.999, value)), n)


def formulate_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """One claim per variant that was timed."""
    claims = []
    for variant in (evidence.study.get("formulate") or {}).get("variants", ()):
        if found := first_look(evidence, variant, "formulate"):
            row, about = found
            claims.append(
                plain(
                    FORMULATED,
                    f"formulate:{variant}",
                    "cost",
                    [
                        {"file": row.record["files"]["formulate"], "field": field}
                        for field in ("inference", "training", "largest_difference")
                    ],
                    n=min(t["n"] for t in about["inference"].values()),
                    label=evidence.label(variant),
                    images=words.count(about["images"]),
                    batch=about["batch"],
                    threads=words.number_of(about["threads"], "thread"),
                    inference=seconds(about["inference"]),
                    training=seconds(about["training"]),
                    difference=f"{max(about['largest_difference'].values()):.0e}",
                )
            )
    return claims


def seconds(times: dict[str, dict[str, float]]) -> str:
    """Medians side by side."""
    return words.listed(
        f"{words.significant(time['median_s'])}{words.SPACE}s {NAMES[name]}"
        for name, time in times.items()
    )
