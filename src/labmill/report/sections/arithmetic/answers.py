"""Operations, memory and exactness of counted networks, for the first page."""

from collections.abc import Iterator

from labmill.profiling.records import Measurement
from labmill.report.answer import Answer
from labmill.report.claims.claim import Kind
from labmill.report.number_format import milliseconds, percent, short
from labmill.report.results import StudyResults
from labmill.report.sections.arithmetic.claims import few_and_many
from labmill.report.text import averaged, named, number_of


def answers(results: StudyResults) -> Iterator[Answer]:
    """Yield the size of the only network, few against many operations, exact decoding."""
    counted = results.study["measure"]["count_table"]
    if counted and len(results.variants) == 1:
        (variant,) = results.variants
        if found := results.first(variant, Measurement):
            operations = short(found.macs)
            yield Answer(
                "arithmetic",
                f"What does one {results.thing} cost?",
                f"{operations} multiply–adds",
                f"{short(found.parameters)} parameters, "
                f"{short(found.weight_bytes)}B of weights",
                "section-arithmetic",
                (operations, f"multiply–adds per {results.thing}"),
            )
    for claim in results.numbered:
        target = f"claim-{claim['number']}"
        if claim["kind"] == Kind.DECODING:
            label = named(results.label(claim["about"]))
            yield Answer(
                "arithmetic",
                f"Does {label} decode exactly?",
                f"{percent(claim['estimate'], 2)} exact",
                averaged(claim["n"]),
                target,
                (percent(claim["estimate"], 1), "of sequences exact to the last token"),
            )
    speed = [c for c in results.numbered if c["kind"] == Kind.SPEED]
    if speed and (pair := few_and_many(results)):
        few, many = pair
        batch = int(speed[0]["id"].partition(":")[2])
        column = f"latency_ms_b{batch}"
        shares = (percent(few.cells[c] / many.cells[c], 0) for c in ("macs", column))
        yield Answer(
            "arithmetic",
            "Do fewer operations take less time?",
            f"{named(results.label(few.variant))} needs "
            "{} of the operations and {} of the time of ".format(*shares)
            + named(results.label(many.variant)),
            f"{milliseconds(few.cells[column])} against "
            f"{milliseconds(many.cells[column])} for {number_of(batch, results.thing)}, "
            "not tested",
            f"claim-{speed[0]['number']}",
        )
