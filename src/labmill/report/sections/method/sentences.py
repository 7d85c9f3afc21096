"""Plain sentences about a study: facts of its files, not findings."""

from labmill.report.results import StudyResults
from labmill.report.sections.variants.tables import differing, recipes
from labmill.report.text import listed, number_of

# Settings that decide which images are in a batch, and their augmentation.
BATCHES = {
    "batch_size": "batch size",
    "labels": "number of training images",
    "augmentation": "augmentation",
}


def seeds(results: StudyResults) -> str:
    """Return the seeds, or in which rounds they were added."""
    rounds = results.rounds
    if rounds is None or results.look is None:
        found = results.study["seeds"]
        return f"{'seed' if len(found) == 1 else 'seeds'} {', '.join(map(str, found))}"
    made = rounds.looks.index(results.look.seeds) + 1
    return (
        f"{rounds.start} to {rounds.most} seeds, in {number_of(made, 'round')}: after "
        "each, only variants of undecided questions got more; verdicts allow for the "
        "repeated tests"
    )


def batches(results: StudyResults) -> str:
    """Return when two variants with one seed see the same batches; starts with a comma."""
    if len(results.variants) < 2:
        return ""
    varied = {key.split(".")[0] for key in differing(recipes(results))}
    apart = [words for key, words in BATCHES.items() if key in varied]
    alike = f" and the same {listed(apart)}" if apart else ""
    return (
        f", so that two variants with the same seed{alike} see the same batches in the "
        "same order"
    )
