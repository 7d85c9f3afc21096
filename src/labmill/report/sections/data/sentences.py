"""Plain sentences about a study: facts of its files, not findings."""

from labmill.report.results import StudyResults
from labmill.report.text import Markdown, all_of, escape, listed, number_of, quoted


def dataset(results: StudyResults) -> Markdown:
    """Return what the study's data are."""
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


def left_out(results: StudyResults) -> str:
    """Return which files of the folder are no part of the dataset."""
    found = results.dataset.get("left_out", {})
    if not found:
        return ""
    return (
        f"Left out of the folder: {listed(f'{n} {what}' for what, n in found.items())}."
    )


def divided(results: StudyResults) -> str:
    """Return how often the images are divided into parts, before their sizes."""
    if results.study["data"].get("split_seeds"):
        return "Each seed divides them again, alike for all variants"
    return "The study divides them once, for all variants alike"


def kept(results: StudyResults) -> Markdown:
    """Return which classes the study keeps, and why."""
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
        return Markdown(f"The study uses {all_of(len(names), 'class')} of the dataset.")
    some = listed(map(escape, names), len(names))
    return Markdown(f"{len(names)} of {len(known)} classes are used: {some}.")


def duplicates(results: StudyResults) -> str:
    """Return how many images are in two parts at once."""
    found = {
        key.replace(
            "_in_", f" {results.things if n > 1 else results.thing} also in "
        ): n
        for key, n in results.facts["duplicates"].items()
        if n
    }
    if not found:
        return (
            f"No {results.thing} is in two parts of the split (compared byte by byte)."
        )
    found_in = ", ".join(f"{n:,} {key}" for key, n in found.items())
    return (
        f"Some {results.things} are in two parts of the split (compared byte by byte): {found_in}. Accuracy on "
        "them may be memory instead of recognition."
    )


def opened(results: StudyResults) -> str:
    """Return how often the sealed test set was opened for the networks as trained."""
    counts = {
        label: [int(n) for n in values]
        for variant, label in results.variants.items()
        if (values := results.values(variant, "test_openings"))
    }
    often = [quoted(label) for label, values in counts.items() if max(values) > 1]
    if not counts:
        return ""
    total = sum(map(sum, counts.values()))
    runs = sum(map(len, counts.values()))
    if not often:
        whom = f"each of the {runs} networks as trained" if runs > 1 else "the network"
        return f"The test set was opened once for {whom}."
    return (
        f"The test set was opened {total} times for "
        f"{number_of(runs, 'trained network')}, more than once for {listed(often)}."
    )
