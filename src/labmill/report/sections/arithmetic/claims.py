"""How long few and many operations take here; whether sequences are decoded exactly."""

from labmill.report.claims.claim import Claim, Kind, Phrase, Statement, claim
from labmill.report.results import StudyResults
from labmill.report.runs import Run, mean

SPEED = Statement(
    "{few:name} needs {share:percent} of the multiply-adds of {many:name} "
    "({few_macs:count} against {many_macs:count}); with {batch:images} per call it takes "
    "{time_share:percent} of the time here, {few_ms:ms} against {many_ms:ms} (medians of "
    "{n} calls, one network of each, timed one after the other, not tested)."
)
DECODED = Statement(
    "Decoded greedily, {label:name} gives {estimate:percent} of {sequences:number} test "
    "sequences right to the last token ({n:mean}); with weights and activations rounded to "
    "16 bits, {rounded:list}.{ceiling}"
)
CEILING = (
    " None is wrong at any precision: such a ceiling cannot tell precisions apart, and in {n} "
    "sequences it excludes only error rates above {most:percent.2} (95\N{NO-BREAK SPACE}%)."
)


def make_claims(results: StudyResults) -> list[Claim]:
    """Return exact sequences, and times of few and many operations."""
    return [*decoding_claims(results), *speed_claims(results)]


def speed_claims(results: StudyResults) -> list[Claim]:
    """Compare the variants with the fewest and the most operations, by batch size."""
    found = few_and_many(results)
    if found is None:
        return []
    few, many = found
    sizes = [
        int(size)
        for name in few.cells
        if (size := name.removeprefix("latency_ms_b")).isdigit() and name in many.cells
    ]
    return [speed_claim(results, few, many, size) for size in sorted(sizes)]


def few_and_many(results: StudyResults) -> tuple[Run, Run] | None:
    """Return a run of the variants with the fewest and the most operations.

    In studies that ask for a count table. Where variants tie, the first is taken.
    """
    rows = {
        variant: row
        for variant in results.ranked
        for row in list(results.usable(variant, "macs").values())[:1]
    }
    if not results.study["measure"]["count_table"] or not rows:
        return None
    by_macs = sorted(rows.values(), key=lambda row: row.cells["macs"])
    few = by_macs[0]
    many = next(r for r in by_macs if r.cells["macs"] == by_macs[-1].cells["macs"])
    return None if few.cells["macs"] == many.cells["macs"] else (few, many)


def speed_claim(results: StudyResults, few: Run, many: Run, batch: int) -> Claim:
    """Compare two medians of one batch size."""
    column = f"latency_ms_b{batch}"
    columns = ("macs", column, f"{column}_n")
    (few_macs, few_ms, calls), (many_macs, many_ms, _) = (
        [row.cells[name] for name in columns] for row in (few, many)
    )
    return claim(
        SPEED,
        f"speed:{batch}",
        [row.input(name) for row in (few, many) for name in columns],
        kind=Kind.SPEED,
        n=calls,
        estimate=few_ms - many_ms,
        digits=0,
        few=results.label(few.variant),
        many=results.label(many.variant),
        share=few_macs / many_macs,
        time_share=few_ms / many_ms,
        few_macs=few_macs,
        many_macs=many_macs,
        batch=batch,
        few_ms=few_ms,
        many_ms=many_ms,
    )


def decoding_claims(results: StudyResults) -> list[Claim]:
    """Return the exact sequences of each variant that decodes, at 32 and at 16 bits."""
    claims = []
    for variant in results.runs:
        rows = list(results.usable(variant, "test_exact_float32").values())
        if not rows:
            continue
        names = [name for name in rows[0].cells if name.startswith("test_exact_")]
        exact, *others = (mean(rows, name) for name in names)
        claims.append(
            claim(
                DECODED,
                f"decoding:{variant}",
                [row.input(name) for row in rows for name in names],
                kind=Kind.DECODING,
                about=variant,
                n=len(rows),
                estimate=exact,
                digits=2,
                label=results.label(variant),
                sequences=results.test_images(variant),
                ceiling=ceiling(results.test_images(variant), exact, *others),
                rounded=[
                    Phrase(
                        "{share:percent} in {name}",
                        share=share,
                        name=name.removeprefix("test_exact_"),
                    )
                    for name, share in zip(names[1:], others, strict=True)
                ],
            )
        )
    return claims


def ceiling(sequences: int, *shares: float) -> Phrase | None:
    """Return what no error at all can show (exact binomial limit), if there is none."""
    if min(shares) < 1 or not sequences:
        return None
    return Phrase(CEILING, n=f"{sequences:,}", most=1 - 0.025 ** (1 / sequences))
