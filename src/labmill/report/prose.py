"""Plain sentences about a study: facts of its files, not findings."""

from labmill.report.claims.words import listed, quoted
from labmill.report.results import Results


def duplicates(results: Results) -> str:
    """How many images stand in two parts at once."""
    found = {
        key.replace("_in_", " images also in "): n
        for key, n in results.facts["duplicates"].items()
        if n
    }
    if not found:
        return "No image appears, bit for bit, in two parts of the split."
    told = ", ".join(f"{n:,} {key}" for key, n in found.items())
    return (
        f"Some images appear, bit for bit, in two parts of the split: {told}. Accuracy on "
        "them may be memory instead of recognition."
    )


def limits(results: Results) -> list[str]:
    """What these results cannot say."""
    said = []
    seeds = {v: len(results.values(v, "test_accuracy")) for v in results.variants}
    single = [results.label(v) for v, n in seeds.items() if n <= 1]
    fewest = min((n for n in seeds.values() if n > 1), default=0)
    if not fewest:
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
    if 1 < fewest < 5:
        said.append(
            f"{fewest} seeds per variant show large differences only; a difference that "
            "is not shown may still exist."
        )
    if results.scale != "full":
        said.append(
            f"The study ran at {results.scale} scale, smaller than declared; its numbers "
            "are not those of the full study."
        )
    said.append(
        "All variants share one split of one dataset: the results say nothing about "
        "other images, and the intervals do not contain the luck of the split."
    )
    if any(results.values(v, "train_seconds") for v in results.variants):
        said.append(
            "Training times hold for the machine in the appendix and what else ran on "
            "it; operations and parameters hold everywhere."
        )
    return said
