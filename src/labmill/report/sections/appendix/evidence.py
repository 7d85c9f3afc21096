"""The tests behind the claims."""

import re
from collections.abc import Callable
from typing import Any

from labmill.report.number_format import SPACE, change, decimal, format_of, percent
from labmill.report.results import StudyResults
from labmill.report.table import Table
from labmill.report.text import Markdown, number_of, plain


def evidence(
    results: StudyResults, tested: Callable[[dict[str, Any]], str]
) -> Table | None:
    """Return the tests behind the claims.

    tested: a claim's number, as a link where the claim is printed elsewhere.
    """
    claims = [claim for claim in results.numbered if claim["test"]]
    if not claims:
        return None
    names = [re.split(r" over | [(]", claim["test"])[0] for claim in claims]
    alike = len(set(names)) == 1
    rows = [
        [
            tested(claim),
            compared(results, claim),
            *([] if alike else [name]),
            number_of(claim["n"], counted(claim["test"])),
            estimate(claim),
            estimate_same(claim),
            probability(claim["p_adjusted"]),
            claim["verdict"],
        ]
        for claim, name in zip(claims, names, strict=True)
    ]
    return Table(
        [
            "Claim",
            "Compared",
            *([] if alike else ["Test"]),
            "n",
            "Difference (95 % interval)",
            "On these images",
            "p",
            "Verdict",
        ],
        rows,
        f"The tests behind the claims{f' ({names[0]}s)' if alike else ''}: first less "
        "second. Intervals and p are corrected for the number of comparisons, and agree with "
        "the verdict. They are about new images of this kind; “on these images” is the "
        "interval from seeds alone.",
        "ll" + "l" * (not alike) + "rrrrl",
    )


def compared(results: StudyResults, claim: dict[str, Any]) -> str:
    """Return the two sides of a claim; its subject where it has none."""
    sides = claim["contrast"]
    if not sides:
        parts = claim["id"].split(":")[1:]
        return Markdown(plain(", ".join(results.label(part) for part in parts)))
    name = sides["metric"].partition("class_accuracy.")[2]
    text = f"{sides['first']} − {sides['second']}"
    return Markdown(f"{text}, class {plain(name)}" if name else text)


def counted(test: str) -> str:
    """Return what the n of a test counts."""
    return "image" if "images" in test else "seed"


def probability(p: float | None) -> str:
    """Return a p value to three decimals."""
    if p is None:
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def estimate_same(claim: dict[str, Any]) -> str:
    """Return the interval on these test images, where it differs from the claim's."""
    same = (claim.get("details") or {}).get("same_images")
    if not same:
        return "–"
    return "{} to {}".format(*(change(end) for end in same))


def estimate(claim: dict[str, Any]) -> str:
    """Return a claim's estimate and interval: points for shares, else its unit."""
    if claim["estimate"] is None:
        return "–"
    shares = all(map(is_share, claim["inputs"]))
    seconds = all(one["field"].endswith("seconds") for one in claim["inputs"])
    write, unit = (change, "points") if shares else (decimal, "s" if seconds else "")
    # Differences of means are sums of rounding errors where they are zero.
    ends = [
        write(round(value, 12))
        for value in (claim["estimate"], *(claim["interval"] or ()))
    ]
    text = "{} ({} to {})".format(*ends) if claim["interval"] else ends[0]
    return f"{text}{SPACE}{unit}" if unit else text


def is_share(source: dict[str, str]) -> bool:
    """Return True if a claim's input is an accuracy or the like, or predictions."""
    parts = source["field"].split(".")
    shares = any(format_of(part) is percent for part in parts)
    return shares or "class_accuracy" in parts or "test_logits" in parts
