"""Examined transformers: where the answer is known, how far heads look, positions.

The id of a claim begins with the name of the figure that shows the same.
"""

import math
from collections.abc import Mapping

from labmill.analysis.records import Examination
from labmill.report.claims.claim import Claim, Phrase, Statement, claim
from labmill.report.number_format import decimals
from labmill.report.results import StudyResults
from labmill.report.runs import Run

PROBE = Statement(
    "Linear probes of {label:name} (seed {seed}, one probe per layer, {n:count} validation "
    "images, layer 0 is the embedding): {read:list}."
)
READ = (
    "{name} gives the right class most often, for {share:percent} of images, after layer "
    "{layer}{within}"
)
WITHIN = (
    "; layer {first} is the first within {margin:points} of that, half its "
    "95\N{NO-BREAK SPACE}% interval"
)
DISTANCE = Statement(
    "Attention distance of {label:name} (seed {seed}, {n:count} validation images): the "
    "means of its {heads:heads} are {low:fixed.1} to {high:fixed.1} pixels; attention "
    "spread evenly over the patches has {even:fixed.1}."
)
POSITIONS = Statement(
    "Position embeddings of {label:name} (seed {seed}): the mean cosine similarity of "
    "neighbouring patches is {own[neighbours]:fixed.2}, of all other pairs "
    "{own[others]:fixed.2}; in a sinusoidal table of that size "
    "{sinusoidal[neighbours]:fixed.2} and {sinusoidal[others]:fixed.2}."
)
NAMES = {"patches": "the mean of the patches", "token": "the class token"}
Z = 1.96  # standard errors in half of a 95 % interval


def make_claims(results: StudyResults) -> list[Claim]:
    """Return up to three claims per examined variant, of one network."""
    return [
        found
        for run, record in results.analysed_runs(Examination)
        for found in (
            probe_claim(run, record),
            distance_claim(run, record),
            positions_claim(run, record),
        )
        if found
    ]


def probe_claim(run: Run, record: Examination) -> Claim:
    """Return after which layers the class can be read off."""
    n = record.validation_images
    shares = {
        name: {
            layer.layer: share
            for layer in record.probe
            if (share := getattr(layer, key)) is not None
        }
        for key, name in NAMES.items()
    }
    return claim(
        PROBE,
        f"probe_depth:{run.variant}",
        [run.source("examine", "probe")],
        n=n,
        digits=decimals(n, 1),
        label=run.label,
        seed=run.seed,
        read=[
            known(name, by_layer, n) for name, by_layer in shares.items() if by_layer
        ],
    )


def known(name: str, shares: Mapping[int, float], n: int) -> Phrase:
    """Return the layer with most right answers: `shares` by layer, of n images."""
    layer = max(shares, key=shares.__getitem__)
    share = shares[layer]
    margin = Z * math.sqrt(share * (1 - share) / n)
    first = min(k for k, v in shares.items() if v >= share - margin)
    within = Phrase(WITHIN, first=first, margin=margin) if first != layer else None
    return Phrase(READ, name=name, share=share, layer=layer, within=within)


def distance_claim(run: Run, record: Examination) -> Claim:
    """Return how far the heads look."""
    distances = [one for layer in record.attention_distance for one in layer]
    return claim(
        DISTANCE,
        f"attention_distance:{run.variant}",
        [run.source("examine", "attention_distance")],
        n=record.distance_images,
        label=run.label,
        seed=run.seed,
        heads=len(distances),
        low=min(distances),
        high=max(distances),
        even=record.even_distance,
    )


def positions_claim(run: Run, record: Examination) -> Claim | None:
    """Return how alike positions are; None for those of the sinusoidal table."""
    if record.position_similarity is None:
        return None
    tables = record.position_similarity.model_dump()
    own, sinusoidal = tables["own"], tables["sinusoidal"]
    if all(abs(value - sinusoidal[key]) <= 1e-3 for key, value in own.items()):
        return None
    return claim(
        POSITIONS,
        f"position_similarity:{run.variant}",
        [run.source("examine", "position_similarity")],
        label=run.label,
        seed=run.seed,
        **tables,
    )
