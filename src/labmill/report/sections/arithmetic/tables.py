"""Regular against separable layers, and closed formulas against counted operations."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from labmill.flops import formulas
from labmill.flops.table import Quantities
from labmill.profiling.records import LayerCount, Measurement, SequenceCosts
from labmill.report.number_format import count
from labmill.report.results import StudyResults
from labmill.report.table import Table
from labmill.report.text import Markdown, spaced
from labmill.training.records import ModelDescription

DERIVATION = Markdown(formulas.SEPARABLE_DERIVATION.strip())


SIZES = (
    "multiplications",
    "additions",
    "parameters",
    "activation_bytes",
    "traffic_bytes",
)


WIDTHS = (64, 128, 256, 512, 1024)


# Which of the counter's modules is which block of the formulas.
MODULES = {
    "encoder.0.attention": "self-attention",
    "decoder.0.attention": "masked self-attention",
    "decoder.0.cross": "cross-attention",
    "encoder.0.mlp": "feed-forward",
}


def twins(results: StudyResults) -> tuple[str, str] | None:
    """Return a variant, and the same one with separable convolutions; None without such."""
    plain: dict[str, str] = {}
    separable: dict[str, str] = {}
    for variant in results.variants:
        if found := results.first(variant, ModelDescription):
            run = found.provenance.settings
            arguments = dict(run["model"]["arguments"])
            side = separable if arguments.pop("separable", False) else plain
            key = f"{run['model']['name']} {arguments} {run['training']}"
            side.setdefault(key, variant)
    shared = [key for key in plain if key in separable]
    return (plain[shared[0]], separable[shared[0]]) if shared else None


def layers(results: StudyResults) -> Table | None:
    """Multiplications and additions, layer by layer, of the twins side by side."""
    pair = twins(results)
    if not pair:
        return None
    sides = [m for variant in pair if (m := results.first(variant, Measurement))]
    if len(sides) < 2:
        return None
    regular, separable = (grouped(side.operations.layers) for side in sides)
    if len(regular) != len(separable):
        return None
    kinds = ("multiplications", "additions")
    rows = [
        [
            f"{number}: {shapes(ours)}",
            *(summed([getattr(part, kind) for part in ours]) for kind in kinds),
            *(summed([getattr(part, kind) for part in theirs]) for kind in kinds),
        ]
        for number, (ours, theirs) in enumerate(zip(regular, separable, strict=True), 1)
    ]
    rows.append(
        [
            "total",
            *(
                count(getattr(side.operations.total, kind))
                for side in sides
                for kind in kinds
            ),
        ]
    )
    labels = [results.label(variant) for variant in pair]
    return Table(
        ["Layer", *(f"{label} {sign}" for label in labels for sign in "×+")],
        rows,
        "Multiplications (×) and additions (+) for one image, by the counter; a "
        "separable convolution's depthwise and pointwise part as a sum.",
    )


def grouped(rows: Sequence[LayerCount]) -> list[list[LayerCount]]:
    """Return rows that multiply, those of one layer of the description together."""
    groups: dict[str, list[LayerCount]] = {}
    for row in rows:
        if row.multiplications:
            groups.setdefault(".".join(row.name.split(".")[:2]), []).append(row)
    return list(groups.values())


def shapes(rows: Sequence[LayerCount]) -> str:
    """Return what goes into a layer and what comes out, without the batch."""
    ends = rows[0].input_shape[1:], rows[-1].output_shape[1:]
    return " → ".join("×".join(map(str, shape)) for shape in ends)


def summed(values: Sequence[int]) -> str:
    """`19,600 + 4,704 = 24,304`."""
    if len(values) == 1:
        return count(values[0])
    return f"{' + '.join(map(count, values))} = {count(sum(values))}"


def sequence(results: StudyResults) -> SequenceCosts | None:
    """Return what was measured of the first sequence model, or None."""
    found = (results.first(variant, Measurement) for variant in results.variants)
    return next((one.sequence for one in found if one and one.sequence), None)


def numbers(facts: SequenceCosts) -> dict[str, int]:
    """Return the formulas' letters for a measured network and its sequences."""
    return {
        "n": facts.length,
        "m": facts.length,
        "d": facts.dim,
        "h": facts.heads,
        "f": facts.hidden,
        "v": facts.vocabulary,
    }


def evaluated(block: str, values: dict[str, int]) -> Quantities:
    """One block's formula in numbers."""
    formula, letters = formulas.BLOCKS[block]
    return formula(*(values[letter] for letter in letters.split()))


def blocks(results: StudyResults) -> Table | None:
    """Every block's formulas, and their values for the trained network."""
    facts = sequence(results)
    if facts is None:
        return None
    values = numbers(facts)
    rows = []
    for block in formulas.BLOCKS:
        texts, exact = formulas.latex(block), asdict(evaluated(block, values))
        shown = [quantity for quantity in SIZES if quantity in texts]
        rows += [
            [
                block if quantity == shown[0] else "",
                spaced(quantity),
                Markdown(f"${texts[quantity]}$"),
                count(exact[quantity]),
            ]
            for quantity in shown
        ]
    return Table(
        ["Block", "Quantity", "Formula", f"At n = {values['n']}"],
        rows,
        "Closed formulas per block in 16-bit floating point (2 bytes a value), and their "
        "values for the trained network and its sequences. n sequence length, m length "
        f"of the memory ({values['m']}), d width ({values['d']}), h heads ({values['h']}), "
        f"f hidden width ({values['f']}), v tokens ({values['v']}).",
        "lllr",
    )


def agreement(results: StudyResults) -> str:
    """Whether formulas and counter agree, block by block, as a sentence."""
    facts = sequence(results)
    if facts is None:
        return ""
    values = numbers(facts)
    pairs = [
        (
            asdict(evaluated(block, values))[quantity],
            getattr(facts.blocks[name], quantity),
        )
        for name, block in MODULES.items()
        for quantity in SIZES
    ]
    same = sum(ours == counted for ours, counted in pairs)
    whole = facts.total
    return (
        f"{same} of {len(pairs)} numbers counted in the first blocks equal their formulas "
        f"exactly. The whole network, both sides and the output "
        f"layer, makes {count(whole.multiplications)} multiplications and "
        f"{count(whole.additions)} additions for one sequence of {facts.length} "
        f"tokens, has {count(whole.parameters)} parameters, writes "
        f"{count(whole.activation_bytes)} bytes of activations and moves "
        f"{count(whole.traffic_bytes)} bytes at 16 bits."
    )


def overtaking(results: StudyResults) -> Table | None:
    """From which length on attention costs more than the feed-forward part, by width."""
    facts = sequence(results)
    if facts is None:
        return None
    heads, ratio = facts.heads, facts.hidden // facts.dim
    asked: dict[str, dict[str, Any]] = {
        "multiplications": {"quantity": "multiplications"},
        "all operations": {"quantity": "operations"},
        "bytes moved, scores kept in registers": {"quantity": "traffic_bytes"},
        "bytes moved, scores written": {
            "quantity": "traffic_bytes",
            "materialise_attention": True,
        },
    }
    rows = []
    for width in WIDTHS:
        starts = [
            formulas.overtakes(width, heads, ratio * width, **options)
            for options in asked.values()
        ]
        rows.append([width, *("never" if s is None else count(s) for s in starts)])
    return Table(
        ["Width d", *asked],
        rows,
        "The sequence length from which on self-attention costs more than the "
        f"feed-forward part ({heads} heads, hidden width {ratio} d).",
        "rrrrr",
    )


def curve(
    facts: SequenceCosts,
    part: str,
    quantity: str,
    lengths: Sequence[int],
    **options: Any,
) -> list[int]:
    """Return a formula over sequence lengths; part `attention` or `mlp`."""
    values = numbers(facts)
    make = {
        "attention": partial(formulas.self_attention, d=values["d"], h=values["h"]),
        "mlp": partial(formulas.feed_forward, d=values["d"], f=values["f"]),
    }[part]
    return [getattr(make(n, **options), quantity) for n in lengths]
