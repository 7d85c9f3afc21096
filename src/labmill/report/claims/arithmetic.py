"""How long few and many operations take here; whether sequences are decoded exactly."""

from typing import Any

import numpy as np

from labmill.report.claims import words
from labmill.report.claims.evidence import Evidence
from labmill.report.claims.template import Kind, Plain, plain
from labmill.report.read import Row

SPEED = Plain(
    "{few} needs {share} of the multiply-adds of {many} ({few_macs} against {many_macs}); "
    "with {images} at once a call takes {time_share} of its time here, {few_time} against "
    "{many_time} (medians of {calls} calls, one network of each, timed one after the "
    "other: no test compares them)."
)
DECODED = Plain(
    "Decoded greedily, {label} gives {exact} of {sequences} test sequences right to the "
    "last token ({seeds}); with weights and activations rounded to 16 bits, {rounded}."
)


def speed_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """The variant with the fewest operations against the one with the most, by batch.

    In studies that ask for a count table. Where variants tie, the first is taken.
    """
    rows = {
        variant: row
        for variant in evidence.ranked
        for row in list(evidence.usable(variant, "macs").values())[:1]
    }
    if not evidence.study["measure"]["count_table"] or not rows:
        return []
    few = min(rows, key=lambda variant: rows[variant].cells["macs"])
    many = max(rows, key=lambda variant: rows[variant].cells["macs"])
    if rows[few].cells["macs"] == rows[many].cells["macs"]:
        return []
    sizes = [
        int(size)
        for name in rows[few].cells
        if (size := name.removeprefix("latency_ms_b")).isdigit()
        and name in rows[many].cells
    ]
    return [
        speed_claim(evidence, rows[few], rows[many], size) for size in sorted(sizes)
    ]


def speed_claim(evidence: Evidence, few: Row, many: Row, batch: int) -> dict[str, Any]:
    """Two medians of one batch size."""
    column = f"latency_ms_b{batch}"
    columns = ("macs", column, f"{column}_n")
    (few_macs, few_ms, calls), (many_macs, many_ms, _) = (
        [row.cells[name] for name in columns] for row in (few, many)
    )
    return plain(
        SPEED,
        f"speed:{batch}",
        "cost",
        [row.input(name) for row in (few, many) for name in columns],
        kind=Kind.SPEED,
        n=calls,
        estimate=few_ms - many_ms,
        few=evidence.label(few.cells["variant"]),
        many=evidence.label(many.cells["variant"]),
        share=words.percent(few_macs / many_macs, 0),
        time_share=words.percent(few_ms / many_ms, 0),
        few_macs=words.count(few_macs),
        many_macs=words.count(many_macs),
        images=words.number_of(batch, "image"),
        few_time=f"{words.significant(few_ms)}{words.SPACE}ms",
        many_time=f"{words.significant(many_ms)}{words.SPACE}ms",
        calls=calls,
    )


def decoding_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """Exact sequences of each variant that decodes, at 32 and at 16 bits."""
    claims = []
    for variant in evidence.runs:
        rows = list(evidence.usable(variant, "test_exact_float32").values())
        if not rows:
            continue
        names = [name for name in rows[0].cells if name.startswith("test_exact_")]
        exact, *others = (
            float(np.mean([row.cells[name] for row in rows])) for name in names
        )
        rounded = words.listed(
            f"{words.percent(share, 2)} in {name.removeprefix('test_exact_')}"
            for name, share in zip(names[1:], others, strict=True)
        )
        claims.append(
            plain(
                DECODED,
                f"decoding:{variant}",
                "ranking",
                [row.input(name) for row in rows for name in names],
                kind=Kind.DECODING,
                about=variant,
                n=len(rows),
                estimate=exact,
                label=evidence.label(variant),
                exact=words.percent(exact, 2),
                sequences=f"{evidence.images(variant):,}",
                seeds=words.averaged(len(rows)),
                rounded=rounded,
            )
        )
    return claims
