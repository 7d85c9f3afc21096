"""Proposed edits: prediction against measurement, trials, and which edit is accepted."""

from collections.abc import Sequence
from typing import Any

from labmill.architecture_edits.records import Edit, EditRanking, TriedEdit
from labmill.report.claims.claim import Claim, Kind, Phrase, Statement, capital, claim
from labmill.report.number_format import decimals
from labmill.report.results import StudyResults
from labmill.report.sections.architecture_edits.tried import (
    Tried,
    in_full,
    saved,
    timed,
)
from labmill.stats.significance import LEAST_SEEDS

TIMED = "For {label:name}, the steps of {n:edits} and of the unchanged network were timed in turns"
PREDICTED = Statement(
    TIMED
    + ". Savings predicted from the profile correlate with the measured ones with "
    "r = {estimate:fixed.2} (mean error {predicted_error:points}); savings predicted from "
    "counted operations with r = {operations:fixed.2} ({operations_error:points}). The "
    "prediction farthest off is that of “{off:text}”: {predicted:percent.0} predicted, "
    "{measured:percent.0} measured."
)
PREDICTED_FEW = Statement(
    TIMED + ": too few, or too much alike, for a correlation with the prediction."
)
TRIED = Statement(
    "Of {n:edits} of {label:name} trained for {epochs:epochs}, {kept} by no "
    "other, nor by the unchanged network, in measured time and validation accuracy: "
    "{names:list.99}. Trained in full with all seeds: {full:list.99}.{left}"
)
LEFT = " Not: {left:list.99}; the study confirms {confirm:spelled}."
SAVING = (
    "{saved:percent.0} of a training step (95\N{NO-BREAK SPACE}% interval "
    "{low:percent.0} to {high:percent.0}"
)
EDIT = Statement(
    "{edit:text} ({lines:lines} changed in {label:name}) saves " + SAVING + ", {pairs} "
    "pairs of steps; predicted {predicted:percent.0}) and changes test accuracy by "
    "{estimate:signed}{limit}. {judgement}"
)
VERDICT = Statement(
    "The smallest accepted change of {label:name} is: {edit:text}. It saves "
    + SAVING
    + ") and changes test accuracy by {estimate:signed}{limit}."
)
NO_VERDICT = Statement(
    "No change of {label:name} is accepted: of the {n} that were trained in full, none has "
    "both a saving outside the noise of its timing and a loss of accuracy that is certainly "
    "below {tolerance:round_points}.{nearest}"
)
NEAREST = (
    " Closest is: {edit:text}. It saves " + SAVING + ") and changes test accuracy by "
    "{estimate:signed}{limit}.{power}"
)
LIMIT = (
    " (95\N{NO-BREAK SPACE}% sure: not below {least:signed}; {n:seeds}, corrected for "
    "{tried:edits})"
)
TOO_FEW = "Too few seeds to accept it: fewer than {least:spelled}."
INACCURATE = (
    "It is not accepted: a loss of {tolerance:round_points} is not excluded.{power}"
)
POWER = (
    " With this spread, an edit that changes nothing would be accepted in {power:percent.0} "
    "of repetitions{seeds}."
)
MORE = "; about {n} seeds would make that 80\N{NO-BREAK SPACE}%"
NOISE = "It is not accepted: the saving is not outside the timing's noise, {floor:points.1}."
ACCEPTED = "It is accepted: the loss is certainly below {tolerance:round_points}."


def make_claims(results: StudyResults) -> list[Claim]:
    """Return prediction and measurement, every edit trained in full, and the verdict."""
    claims: list[Claim] = []
    for variant, rankings in results.rankings.items():
        claims.append(prediction_claim(results, variant, rankings.edits))
        if confirmed := rankings.confirmed:
            claims.append(tried_claim(results, variant, confirmed.ranking))
        tried = in_full(results, variant)
        claims += [edit_claim(results, variant, one, len(tried)) for one in tried]
        if tried:
            claims.append(verdict_claim(results, variant, tried))
    return claims


def prediction_claim(
    results: StudyResults, variant: str, proposed: EditRanking
) -> Claim:
    """Return how predicted and measured savings go together."""
    found = proposed.correlation
    known = found.predicted is not None and found.operations is not None
    values: dict[str, Any] = {}
    if known:
        off = max(
            timed(proposed), key=lambda e: abs(saved(e).saving - e.predicted.saving)
        )
        values = {
            "operations": found.operations,
            "predicted_error": found.predicted_error,
            "operations_error": found.operations_error,
            "off": off.words,
            "predicted": off.predicted.saving,
            "measured": saved(off).saving,
        }
    file = results.summary["edits"][variant]["edits"]
    return claim(
        PREDICTED if known else PREDICTED_FEW,
        f"edits:{variant}:prediction",
        [{"file": file, "field": name} for name in ("correlation", "ranking")],
        kind=Kind.EDIT,
        about=variant,
        n=found.n,
        estimate=found.predicted,
        label=results.label(variant),
        **values,
    )


def tried_claim(
    results: StudyResults, variant: str, rows: Sequence[TriedEdit]
) -> Claim:
    """Return which briefly trained edits nothing dominated, and which were confirmed."""
    edits = results.study["edits"]
    full = rows[: edits["confirm"]]
    kept = [row for row in rows if row.undominated]
    left = [row for row in kept if row not in full]
    return claim(
        TRIED,
        f"edits:{variant}:tried",
        [{"file": results.summary["edits"][variant]["confirmed"], "field": "ranking"}],
        n=len(rows),
        label=results.label(variant),
        epochs=edits["epochs"],
        kept=Phrase(
            "{kept:spelled} {verb} dominated",
            kept=len(kept),
            verb="is" if len(kept) == 1 else "are",
        ),
        names=quoted(kept) or ["none"],
        full=quoted(full),
        left=Phrase(LEFT, left=quoted(left), confirm=len(full)) if left else None,
    )


def quoted(rows: Sequence[Edit]) -> list[Phrase]:
    """Return the edits' names."""
    return [Phrase("“{name:text}”", name=row.words) for row in rows]


def edit_claim(results: StudyResults, variant: str, tried: Tried, edits: int) -> Claim:
    """Return one edit: its saving, its cost, and whether it is accepted."""
    if tried.accuracy is None:
        judgement = TOO_FEW
    elif not tried.accuracy.accepted:
        judgement = INACCURATE
    else:
        judgement = ACCEPTED if tried.saves else NOISE
    return claim(
        EDIT,
        tried.outcome.comparison.id,
        tried.inputs(),
        **values(results, variant, tried, edits),
        label=results.label(variant),
        judgement=Phrase(
            judgement,
            least=LEAST_SEEDS,
            tolerance=results.study["edits"]["tolerance"],
            floor=tried.floor,
            power=power(tried),
        ),
        lines=tried.row.changes,
        predicted=tried.row.predicted.saving,
        pairs=saved(tried.row).n,
    )


def verdict_claim(results: StudyResults, variant: str, tried: Sequence[Tried]) -> Claim:
    """Return the accepted edit of fewest lines, and of those the greatest saving."""
    accepted = [one for one in tried if one.accepted]
    if accepted:
        least = min(accepted, key=lambda t: (t.row.changes, -saved(t.row).saving))
        return claim(
            VERDICT,
            f"edits:{variant}:verdict",
            least.inputs(),
            kind=Kind.EDIT,
            about=variant,
            label=results.label(variant),
            **values(results, variant, least, len(tried)),
        )
    near = [one for one in tried if one.saves and one.accuracy]
    nearest = max(
        near, key=lambda t: t.accuracy.lower if t.accuracy else 0, default=None
    )
    return claim(
        NO_VERDICT,
        f"edits:{variant}:verdict",
        [place for one in tried for place in one.inputs()],
        kind=Kind.EDIT,
        about=variant,
        n=len(tried),
        digits=values(results, variant, nearest or tried[0], len(tried))["digits"],
        label=results.label(variant),
        tolerance=results.study["edits"]["tolerance"],
        nearest=None
        if nearest is None
        else Phrase(
            NEAREST,
            **values(results, variant, nearest, len(tried)),
            power=power(nearest),
        ),
    )


def limit(tried: Tried, edits: int) -> Phrase | None:
    """Return the lower limit of an edit's change of accuracy."""
    if tried.accuracy is None:
        return None
    n = tried.outcome.test.n
    return Phrase(LIMIT, least=tried.accuracy.lower, n=n, tried=edits)


def power(tried: Tried) -> Phrase | None:
    """Return how often an edit without effect would be accepted, where this is not."""
    found = tried.accuracy
    if found is None or found.accepted:
        return None
    more = None
    if found.seeds is not None and found.seeds > tried.outcome.test.n:
        more = Phrase(MORE, n=found.seeds)
    return Phrase(POWER, power=found.power, seeds=more)


def values(
    results: StudyResults, variant: str, tried: Tried, edits: int
) -> dict[str, Any]:
    """Return an edit's name, saving and change of accuracy, as a claim has them."""
    found, test = saved(tried.row), tried.outcome.test
    return {
        "n": test.n,
        "estimate": test.estimate,
        "limit": limit(tried, edits),
        "digits": max(1, decimals(results.test_images(variant), test.n)),
        "edit": capital(tried.row.words),
        "saved": found.saving,
        "low": found.low,
        "high": found.high,
    }
