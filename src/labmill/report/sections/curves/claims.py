"""What curves show at the end of training, and demonstrations of what goes wrong."""

import math
from typing import Any

import numpy as np

from labmill.report.claims.claim import Claim, Phrase, Statement, capital, claim
from labmill.report.results import StudyResults
from labmill.report.runs import Run
from labmill.report.text import named
from labmill.search.curves import Rows, curve, generalisation_gap, oscillation

GAPS = Statement(
    "Training accuracy less validation accuracy at the end of training is {least:signed} "
    "({first:name}) to {most:signed} ({last:name}); means over seeds, of {n:variants}."
)
OVERFITS = Statement(
    "The validation loss of {label:name} rises after its minimum in {seeds}: from "
    "{least:significant.2} after epoch {epoch:span} to {end:significant.2} after epoch "
    "{last:span}, while the training loss goes from {train_then:significant.2} to "
    "{train_end:significant.2} and validation accuracy from {accuracy_then:percent} to "
    "{accuracy_end:percent}.{guess}"
)
GUESS = (
    " Guessing costs {guess:significant.2}: on some images the network is wrong {how}."
)
CERTAIN = "and almost certain"
RUNAWAY = "and its outputs are very far apart"
# Above so many times the loss of guessing its size is explained, above the other by outputs.
EXPLODED, FAR = 3, 30
DEMONSTRATION = Statement(
    "{label}: after {epochs:epochs}{diverged} the training loss is {end:significant.2}, "
    "{estimate:significant.2} times that of {reference} after {other_epochs:epochs} "
    "({other_end:significant.2}), {reached}. Of the movement of its training loss {undone} "
    "goes back up, of its validation loss {undone_validation} ({reference}: {other_undone} "
    "and {other_undone_validation}).{gap}{other_gap} One seed each."
)
UNFINISHED = Statement(
    "{reference:name} was not trained to its end: in its last epoch the training loss still "
    "fell by {estimate:percent.0}, so a smaller loss elsewhere is no sign of a good setting."
)
# A smaller rise of the validation loss, as a share of the loss of guessing, is none.
NOTICED = 0.001
# A fall of the training loss in one epoch, as a share, from which training is unfinished.
STILL_FALLING = 0.03
ROSE = (
    " The validation loss of {label} rose by {rise:significant.2} after epoch {epoch}, "
    "while its training loss went from {then:significant.2} to {end:significant.2}."
)


def make_claims(results: StudyResults) -> list[Claim]:
    """Return demonstrations, gaps of training and validation, and overfitting."""
    rose = [found for v in results.runs for found in overfitting_claims(results, v)]
    return [*demonstration_claims(results), *gap_claims(results), *rose]


def gap_claims(results: StudyResults) -> list[Claim]:
    """Return training less validation accuracy at the end, of the extreme variants."""
    names = ("train_accuracy", "validation_accuracy")
    runs = {
        variant: [row for row in found.values() if names[0] in row.cells]
        for variant in results.ranked
        if (found := results.usable(variant, names[1]))
    }
    gaps = {
        variant: float(np.mean([r.cells[names[0]] - r.cells[names[1]] for r in rows]))
        for variant, rows in runs.items()
        if rows
    }
    if len(gaps) < 2:
        return []
    first, last = min(gaps, key=gaps.__getitem__), max(gaps, key=gaps.__getitem__)
    return [
        claim(
            GAPS,
            "gaps",
            [row.input(name) for v in gaps for row in runs[v] for name in names],
            n=len(gaps),
            estimate=gaps[last] - gaps[first],
            least=gaps[first],
            first=results.label(first),
            most=gaps[last],
            last=results.label(last),
        )
    ]


def overfitting_claims(results: StudyResults, variant: str) -> list[Claim]:
    """Return where every seed's validation loss rose again before the end of its run."""
    rows = list(results.usable(variant, "validation_loss").values())
    found = [generalisation_gap(row.history()) for row in rows]
    gaps = [gap for gap in found if gap and gap.rose]
    if not rows or len(gaps) < len(rows):
        return []
    means: dict[str, Any] = {
        name: float(np.mean([getattr(gap, name) for gap in gaps]))
        for name in ("least", "end", "train_then", "train_end")
    }
    accuracies = [
        [accuracy_at(row, epoch) for epoch in (gap.best_epoch, gap.last_epoch)]
        for row, gap in zip(rows, gaps, strict=True)
    ]
    then, end = np.mean(accuracies, axis=0)
    guess, explained = math.log(len(rows[0].metrics["classes"])), None
    if means["end"] - means["least"] < NOTICED * guess:
        return []
    if means["end"] > EXPLODED * guess:
        how = RUNAWAY if means["end"] > FAR * guess else CERTAIN
        explained = Phrase(GUESS, guess=guess, how=how)
    several = Phrase("each of {n:seeds} (means)", n=len(rows))
    return [
        claim(
            OVERFITS,
            f"rose:{variant}",
            [row.source("history", "validation_loss") for row in rows],
            n=len(rows),
            estimate=means["end"] - means["least"],
            label=results.label(variant),
            epoch=[gap.best_epoch for gap in gaps],
            last=[gap.last_epoch for gap in gaps],
            guess=explained,
            seeds=several if len(rows) > 1 else "one seed",
            accuracy_then=float(then),
            accuracy_end=float(end),
            **means,
        )
    ]


def accuracy_at(run: Run, epoch: int) -> float:
    """Return a run's validation accuracy after an epoch."""
    found = (e["validation_accuracy"] for e in run.history() if e["epoch"] == epoch)
    return float(next(found))


def demonstration_claims(results: StudyResults) -> list[Claim]:
    """Return one claim per demonstration, compared with the run whose settings are right."""
    lessons = results.study.get("lessons")
    reference = first_curve(results, lessons["reference"]) if lessons else None
    if reference is None:
        return []
    rows = [first_curve(results, variant) for variant in results.demonstrations]
    claims = [
        demonstration_claim(results, row, reference) for row in rows if row is not None
    ]
    return claims + unfinished(results, reference)


def unfinished(results: StudyResults, reference: Run) -> list[Claim]:
    """Return that the reference's own training loss was still falling, if it was."""
    last = losses(reference.history(), "train_loss")[-2:]
    fall = float(1 - last[1] / last[0])
    if fall < STILL_FALLING:
        return []
    return [
        claim(
            UNFINISHED,
            f"unfinished:{reference.variant}",
            [reference.source("history", "train_loss")],
            n=1,
            estimate=fall,
            reference=results.label(reference.variant),
        )
    ]


def first_curve(results: StudyResults, variant: str) -> Run | None:
    """Return a variant's first run that has a curve; one that diverged has one too."""
    for row in results.runs.get(variant, {}).values():
        there = row.cells["status"] != "failed"
        if there and len(losses(row.history(), "train_loss")) > 1:
            return row
    return None


def losses(epochs: Rows, name: str) -> np.ndarray:
    """Return the finite values of an epoch's loss, in order."""
    return curve(epochs, name)[1]


def demonstration_claim(results: StudyResults, row: Run, reference: Run) -> Claim:
    """Return how the losses of one run ended and moved, epoch by epoch."""
    own, other = row.history(), reference.history()
    train, sound = (losses(epochs, "train_loss") for epochs in (own, other))
    below = np.flatnonzero(train <= sound[-1])
    label, sound_label = (named(results.label(r.variant)) for r in (row, reference))
    return claim(
        DEMONSTRATION,
        f"lesson:{row.variant}",
        [
            one.source("history", field)
            for one in (row, reference)
            for field in ("train_loss", "validation_loss")
        ],
        n=1,
        estimate=float(train[-1] / sound[-1]),
        digits=0,
        label=capital(label),
        reference=sound_label,
        epochs=len(own),
        diverged="" if row.usable else ", when it diverged,",
        end=float(train[-1]),
        other_epochs=len(other),
        other_end=float(sound[-1]),
        reached=f"which it reached after epoch {below[0] + 1}"
        if len(below)
        else "which it never reached",
        **movement(own, "", label),
        **movement(other, "other_", sound_label),
    )


def movement(epochs: Rows, prefix: str, label: str) -> dict[str, Any]:
    """Return how much of both losses' movement is reversed, and their gap."""
    return {
        f"{prefix}undone": undone(losses(epochs, "train_loss")),
        f"{prefix}undone_validation": undone(losses(epochs, "validation_loss")),
        f"{prefix}gap": gap(epochs, label),
    }


def undone(values: np.ndarray) -> Phrase | str:
    """Return the share of a curve's movement that is reversed again."""
    if len(values) < 2:
        return "nothing"
    return Phrase("{share:percent}", share=oscillation(values.tolist()))


def gap(epochs: Rows, label: str) -> Phrase | None:
    """Return that the validation loss rose again, and what the training loss did."""
    found = generalisation_gap(epochs)
    if found is None:
        return Phrase(" No validation loss of {label} is a finite number.", label=label)
    if not found.rose:
        return None
    return Phrase(
        ROSE,
        label=label,
        rise=found.rise,
        epoch=found.best_epoch,
        then=found.train_then,
        end=found.train_end,
    )
