"""Plain sentences about a study: facts of its files, not findings."""

from labmill.evaluation.all_pairs import TUKEY
from labmill.evaluation.statistics import LEAST_SEEDS, SIGN_FLIP, Verdict
from labmill.report.claims.words import listed, quoted, spelled
from labmill.report.contents.recipes import differing, recipes
from labmill.report.results import Results
from labmill.report.text import Markdown, escape

# What decides which images stand in a batch, and how they look.
BATCHES = {
    "batch_size": "batch size",
    "labels": "number of training images",
    "augmentation": "augmentation",
}
# measure.convention → what an operation is.
COUNTED = {
    "macs": "the multiply–adds of products alone (convolutions, dense layers, attention): "
    "a sum of n products is n operations",
    "report3": "multiplications and additions of products alone (convolutions, dense "
    "layers, attention): a sum of n products is n multiplications and n − 1 additions",
    "report5": "multiplications and additions of products (convolutions, dense layers, "
    "attention), and one operation per activated value: a sum of n products is n "
    "multiplications and n − 1 additions",
    "everything": "every scalar operation: multiplications and additions apart, biases, "
    "comparisons, and special functions such as exp and division",
}


def dataset(results: Results) -> Markdown:
    """What the study's data are."""
    card, (many, channels, height, width) = results.dataset, results.pool.shape
    source = f" (source: {card['source']})" if card["source"] else ""
    if results.sequential:
        return Markdown(
            f"The data are **{escape(card['name'])}**{source}: {many:,} pairs of token "
            f"sequences, {width} tokens each, over a vocabulary of {card['vocabulary']}."
        )
    colour = {1: ", grey", 3: " in colour"}.get(channels, "")
    return Markdown(
        f"The images are those of **{escape(card['name'])}**: {many:,} images of "
        f"{height}×{width} pixels{colour}{source}."
    )


def kept(results: Results) -> Markdown:
    """Which classes the study keeps, and why."""
    known, names = results.dataset["classes"], results.classes
    roll = results.study["data"]["roll_number"]
    if roll:
        digit = [letter for letter in roll if letter.isdigit()][-1]
        odd = int(digit) % 2 == 1
        return Markdown(
            f"Roll number {escape(roll)} ends in the {'odd' if odd else 'even'} digit "
            f"{digit}, so the study keeps the classes with {'even' if odd else 'odd'} "
            f"numbers (the first is 0), {len(names)} of {len(known)}: "
            f"{listed(map(escape, names), len(names))}."
        )
    if len(names) == len(known):
        return Markdown(f"This study keeps all {len(names)} classes.")
    some = listed(map(escape, names), len(names))
    return Markdown(f"This study keeps {len(names)} of {len(known)} classes: {some}.")


def batches(results: Results) -> str:
    """How far two variants with one seed see the same batches; begins with a comma."""
    if len(results.variants) < 2:
        return ""
    varied = {key.split(".")[0] for key in differing(recipes(results))}
    apart = [words for key, words in BATCHES.items() if key in varied]
    alike = f" and the same {listed(apart)}" if apart else ""
    return (
        f", so that two variants with the same seed{alike} see the same batches in the "
        "same order, and differences between variants are compared seed by seed"
    )


def counting(results: Results) -> str:
    """What an operation is in this report."""
    convention = results.study["measure"]["convention"]
    return (
        f"Operations per {results.thing} are {COUNTED[convention]}. Multiply–adds are "
        "of products alone in every report."
    )


def duplicates(results: Results) -> str:
    """How many images stand in two parts at once."""
    found = {
        key.replace("_in_", f" {results.things} also in "): n
        for key, n in results.facts["duplicates"].items()
        if n
    }
    if not found:
        return f"No {results.thing} appears, bit for bit, in two parts of the split."
    told = ", ".join(f"{n:,} {key}" for key, n in found.items())
    return (
        f"Some {results.things} appear, bit for bit, in two parts of the split: {told}. Accuracy on "
        "them may be memory instead of recognition."
    )


def limits(results: Results) -> list[str]:
    """What these results cannot say."""
    said = []
    seeds = {v: len(results.values(v, "test_accuracy")) for v in results.variants}
    single = [results.label(v) for v, n in seeds.items() if n <= 1]
    two = [results.label(v) for v, n in seeds.items() if 1 < n < LEAST_SEEDS]
    fewest = min((n for n in seeds.values() if n >= LEAST_SEEDS), default=0)
    if not fewest and not two:
        said.append(
            "Only one seed was run. Run once more, any accuracy here would come out "
            "somewhat differently, and nothing in these results says by how much: "
            "variants cannot be ranked."
        )
    elif single:
        said.append(
            f"Only one seed was run of {listed(map(quoted, single))}: what they would "
            "reach if run once more is not known, so they cannot be ranked."
        )
    if two:
        said.append(
            f"Of {listed(map(quoted, two))} two seeds were finished; a verdict takes at "
            f"least {spelled(LEAST_SEEDS)}."
        )
    if 0 < fewest < 5:
        said.append(
            f"{fewest} seeds per variant show large differences only; a difference that "
            "is not shown may still exist."
        )
    said += assumptions(results)
    if results.scale != "full":
        said.append(
            f"The study ran at {results.scale} scale, smaller than declared; its numbers "
            "are not those of the full study."
        )
    several = "All variants share" if len(results.variants) > 1 else "There is"
    said.append(
        f"{several} one split of one dataset: the results say nothing about other "
        f"{results.things}, and the intervals do not contain the luck of the split."
    )
    if any(results.values(v, "train_seconds") for v in results.variants):
        said.append(
            "Training times hold for the machine in the appendix and what else ran on "
            "it; operations and parameters hold everywhere."
        )
    return said


def assumptions(results: Results) -> list[str]:
    """What the tests over seeds take for granted."""
    made = [
        c for c in results.statements if c["verdict"] not in (None, Verdict.TOO_FEW)
    ]
    if not any("seeds" in claim["test"] for claim in made):
        return []
    tukey = any(TUKEY in claim["test"] for claim in made)
    alike = f", and {TUKEY} that all variants scatter alike" if tukey else ""
    flips = any(f"; {SIGN_FLIP}" in claim["statement"] for claim in made)
    alone = f" The {SIGN_FLIP} beside them takes the symmetry alone." if flips else ""
    return [
        "The tests over seeds take it that differences scatter roughly symmetrically "
        f"(normally) from seed to seed{alike}. So few seeds cannot show whether that is "
        f"so.{alone}"
    ]
