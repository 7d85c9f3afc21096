"""Transformers that were looked into: where the answer is, how far heads look, positions.

The id of a claim begins with the name of the figure that shows the same.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from labmill.report.claims import words
from labmill.report.claims.evidence import Evidence
from labmill.report.claims.looks import first_look
from labmill.report.claims.template import Plain, plain

PROBE = Plain(
    "In which layer does {label} know the answer (seed {seed}, a linear probe on each layer, "
    "{images} validation images, layer 0 being the embedding)? {read}."
)
DISTANCE = Plain(
    "How far {label} looks (seed {seed}, {images} validation images): the mean distances "
    "of its {heads} heads run from {low} to {high} pixels; attention spread evenly over "
    "the patches has {even}."
)
POSITIONS = Plain(
    "The positions that {label} adds (seed {seed}): the mean cosine similarity of "
    "neighbouring patches is {own_neighbours}, of all other pairs {own_others}; in a sinusoidal table of "
    "that size {sinusoidal_neighbours} and {sinusoidal_others}."
)
READ = {"patches": "The mean of the patches", "token": "The class token"}
Z = 1.96  # standard errors in half of a 95 % interval


def examine_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """Up to three claims per examined variant, of the one network looked into."""
    claims = []
    for variant in (evidence.study.get("examine") or {}).get("variants", ()):
        if found := first_look(evidence, variant, "examine"):
            row, about = found
            label, file = evidence.label(variant), row.record["files"]["examine"]
            for template, figure, field, n, values in sentences(about):
                claims.append(
                    plain(
                        template,
                        f"{figure}:{variant}",
                        "examine",
                        [{"file": file, "field": field}],
                        n=n,
                        label=label,
                        seed=row.cells["seed"],
                        **values,
                    )
                )
    return claims


def sentences(
    about: Mapping[str, Any],
) -> Iterator[tuple[Plain, str, str, int | None, dict[str, Any]]]:
    """Of one network: template, figure, field of examine.json, images, values."""
    n = about["validation_images"]
    read = {
        name: shares
        for key, name in READ.items()
        if (
            shares := {p["layer"]: p[key] for p in about["probe"] if p[key] is not None}
        )
    }
    clauses = [known(name, shares, n) for name, shares in read.items()]
    values = {"images": words.count(n), "read": ". ".join(clauses)}
    yield PROBE, "probe_depth", "probe", n, values

    n = about["distance_images"]
    distances = [
        distance for layer in about["attention_distance"] for distance in layer
    ]
    values = {
        "images": words.count(n),
        "heads": len(distances),
        "low": words.fixed(min(distances), 1),
        "high": words.fixed(max(distances), 1),
        "even": words.fixed(about["even_distance"], 1),
    }
    yield DISTANCE, "attention_distance", "attention_distance", n, values

    tables = about["position_similarity"]
    if tables and any(
        abs(v - tables["sinusoidal"][k]) > 1e-3 for k, v in tables["own"].items()
    ):
        values = {
            f"{table}_{pairs}": words.fixed(alike, 2)
            for table, both in tables.items()
            for pairs, alike in both.items()
        }
        yield POSITIONS, "position_similarity", "position_similarity", None, values


def known(name: str, shares: Mapping[int, float], n: int) -> str:
    """Which layer the answer is read from: `shares` right by layer, of n images."""
    layer = max(shares, key=shares.__getitem__)
    share = shares[layer]
    margin = Z * math.sqrt(share * (1 - share) / n)
    first = min(k for k, v in shares.items() if v >= share - margin)
    digits = words.decimals(n, 1)
    within = (
        f"; layer {first} is the first that comes within {words.points(margin, digits)} "
        "of that, half its 95\N{NO-BREAK SPACE}% interval"
    )
    return (
        f"{name} tells it most often, {words.percent(share, digits)}, after "
        f"layer {layer}{within if first != layer else ''}"
    )
