"""Plain sentences about a study: facts of its files, not findings."""

from labmill.report.results import StudyResults
from labmill.report.text import listed, quoted, spelled
from labmill.stats.significance import LEAST_SEEDS

# From so many seeds on, intervals are about as short as seeds can make them cheaply.
ENOUGH = 5


def limits(results: StudyResults) -> list[str]:
    """Return what these results cannot show."""
    said = []
    seeds = {v: len(results.values(v, "test_accuracy")) for v in results.variants}
    single = [results.label(v) for v, n in seeds.items() if n <= 1]
    two = [results.label(v) for v, n in seeds.items() if 1 < n < LEAST_SEEDS]
    fewest = min((n for n in seeds.values() if n >= LEAST_SEEDS), default=0)
    if not fewest and not two:
        said.append(
            "Only one seed was run. Another seed would give a somewhat different accuracy, "
            "and these results cannot show how different: variants cannot be ranked."
        )
    elif single:
        said.append(
            f"There is only one result of {listed(map(quoted, single))}: that gives no rank."
        )
    if two:
        said.append(
            f"There are only two results of {listed(map(quoted, two))}: a verdict takes at "
            f"least {spelled(LEAST_SEEDS)}."
        )
    if 0 < fewest < ENOUGH:
        few = [results.label(v) for v, n in seeds.items() if LEAST_SEEDS <= n < ENOUGH]
        whose = "" if len(few) == len(seeds) else f" ({listed(map(quoted, few), 3)})"
        said.append(
            f"{spelled(fewest).capitalize()} seeds{whose} show large differences only, and "
            "an unstable variant whose few values happen to agree looks like a stable "
            f"one. {spelled(ENOUGH).capitalize()} seeds halve the intervals."
        )
    said += assumptions(results)
    if results.scale != "full":
        said.append(
            f"The study ran at {results.scale} scale, smaller than declared; its numbers "
            "are not results of the full study."
        )
    several = "All variants share" if len(results.variants) > 1 else "There is"
    if results.overlap:
        said.append(
            "Each seed has its own split, so intervals include chance in the split. "
            "Training sets overlap; intervals are widened for that by the rule of Nadeau "
            "and Bengio (2003), which is an approximation."
        )
    else:
        said.append(
            f"{several} one split of one dataset: the results do not cover other "
            f"{results.things}, and the intervals do not include chance in the split."
        )
    if any(results.values(v, "train_seconds") for v in results.variants):
        said.append(
            "Training times (the median epoch times the epochs) depend on the machine in "
            "the appendix and its other work; operations and parameters do not."
        )
    return said


def assumptions(results: StudyResults) -> list[str]:
    """Return what the tests over seeds assume."""
    if not any(
        c["test"] and "seeds" in c["test"] and c["p"] for c in results.statements
    ):
        return []
    return [
        "The tests over seeds assume values that scatter roughly normally from seed to "
        "seed, each variant with its own spread. So few seeds cannot show whether that is "
        "so.",
        "Questions, pairs of variants, published figures and prune loops are corrected "
        "separately: each of these families has its own 5 % chance of one false difference.",
    ]
