"""What prune loops cost, for the first page."""

from collections.abc import Iterator

from labmill.report.answer import Answer, difference
from labmill.report.number_format import decimals, percent
from labmill.report.results import StudyResults
from labmill.report.sections.pruning.claims import left, loop_rows, networks_of, row
from labmill.report.text import named, plain, spaced
from labmill.stats.margins import Verdict

COSTS = {
    Verdict.HIGHER: "nothing: accuracy rises",
    Verdict.LOWER: "it loses accuracy",
    Verdict.PRACTICALLY_EQUAL: "practically nothing",
}


def answers(results: StudyResults) -> Iterator[Answer]:
    """Yield one answer for each loop and variant that a claim compares with no pruning."""
    claims = {claim["id"]: claim for claim in results.numbered}
    for loop, settings in results.study["pruning"].items():
        limit = settings["drop"] or results.study["margin"]
        several = len(results.study["pruning"]) > 1
        which = f", {plain(spaced(loop))}" if several else ""
        for variant in settings["variants"]:
            for name in ("kept", "end"):
                if claim := claims.get(f"prune:{loop}:{variant}:{name}"):
                    rows = loop_rows(results, loop, variant)
                    networks = networks_of(results, loop, variant, rows, limit)
                    runs = networks[row(loop, variant, name)].values()
                    removed = percent(1 - left(list(runs)), 0)
                    digits = decimals(results.test_images(variant), claim["n"])
                    value = difference(claim, "%", digits)
                    yield Answer(
                        loop,
                        f"What does removing {removed} of the operations of "
                        f"{named(results.label(variant))} cost{which}?",
                        COSTS.get(claim["verdict"], "undecided"),
                        value,
                        f"claim-{claim['number']}",
                        (
                            value.partition(" (")[0],
                            f"after removing {removed} of the operations of "
                            f"{named(results.label(variant))}",
                        )
                        if claim["verdict"] in COSTS
                        else None,
                    )
