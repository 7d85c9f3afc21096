"""Predicted against measured influence of single units."""

from labmill.pruning.records import Influence
from labmill.report.claims.claim import Claim, Phrase, Statement, claim
from labmill.report.results import StudyResults
from labmill.stats.significance import rank_interval

INFLUENCE = Statement(
    "Predicted and measured influence of the {n:units} of {layer:name} in {label:name} (one "
    "seed): removing one unit costs {least:signed} to {most:signed} of validation accuracy. "
    "The rank correlation (Spearman) of the prediction with the rise of the validation "
    "loss is {correlations:list}{random}."
)
RANDOM = "; not shown to differ from a random order: {names:names}"


def influence_claims(results: StudyResults) -> list[Claim]:
    """Return one claim per variant and layer."""
    claims = []
    for run, record in results.analysed_runs(Influence):
        for layer, found in record.layers.items():
            units = len(found.loss_rise)
            rhos = {n: one.loss_rise for n, one in found.rank_correlation.items()}
            ends = {name: correlation_interval(r, units) for name, r in rhos.items()}
            unclear = [n for n, e in ends.items() if e is None or e[0] <= 0 <= e[1]]
            claims.append(
                claim(
                    INFLUENCE,
                    f"influence:{run.variant}:{layer}",
                    [
                        run.source("influence", f"layers.{layer}.{field}")
                        for field in ("rank_correlation", "accuracy_drop")
                    ],
                    n=units,
                    least=min(found.accuracy_drop),
                    most=max(found.accuracy_drop),
                    layer=layer,
                    label=run.label,
                    correlations=[rho(n, r, ends[n]) for n, r in rhos.items()],
                    random=Phrase(RANDOM, names=unclear) if unclear else None,
                )
            )
    return claims


def rho(name: str, value: float | None, ends: tuple[float, float] | None) -> Phrase:
    """Return a correlation with its interval."""
    text = "undefined for {name:name}"
    if value is not None:
        text = "{value:fixed.2} for {name:name}"
    if value is not None and ends is not None:
        text = (
            "{value:fixed.2} (95\N{NO-BREAK SPACE}% interval {low:fixed.2} to "
            "{high:fixed.2}) for {name:name}"
        )
    low, high = ends or (None, None)
    return Phrase(text, name=name, value=value, low=low, high=high)


def correlation_interval(value: float | None, n: int) -> tuple[float, float] | None:
    """Return the 95 % interval of Spearman's rank correlation over `n` pairs.

    A perfect one counts as 0.999. None for fewer than five pairs.
    """
    if value is None or n < 5:
        return None
    return rank_interval(max(-0.999, min(0.999, value)), n)
