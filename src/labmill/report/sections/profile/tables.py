"""Profiles and edit searches of a study, as the report's figures and tables read them."""

from labmill.profiling.trace import PHASES
from labmill.report.number_format import percent, short
from labmill.report.results import StudyResults
from labmill.report.sections.profile.profiles import (
    APART,
    phases_of,
    profiled,
    total_ms,
)
from labmill.report.table import Table
from labmill.report.text import quoted

TOP = 10


# Layers with a smaller share of the step share one row.
LEAST = 0.005


# Measured with oneDNN on one core: 3×3 in float32 runs at 2.3 times the matrix product.
ABOVE = (
    "; above 100 %: the library does convolutions of 3×3 with fewer multiplications than "
    "are counted (Winograd's algorithm)."
)


def phases(results: StudyResults) -> Table | None:
    """Return milliseconds of a step by phase, timed without the profiler."""
    rows = [
        [
            results.label(variant),
            f"{profile.step.median_ms:.3g}",
            *(f"{ms:.3g}" for ms in phases_of(profile).values()),
            f"{profile.memory.step_peak_bytes / 1e6:.3g}",
        ]
        for variant, profile in profiled(results).items()
    ]
    if not rows:
        return None
    return Table(
        [
            "Variant",
            "Step",
            *(p.capitalize() for p in PHASES[:-1]),
            "Rest",
            "Peak (MB)",
        ],
        rows,
        "A training step without the profiler, and its phases, in ms. Rest: counting "
        "right answers and freeing gradients. Peak: the step's memory without "
        f"weights and optimizer state. {APART}",
    )


def operators(results: StudyResults, kind: str = "operators") -> Table | None:
    """Return the operators (or GPU `kernels`) that take most of a step, by variant."""
    profiles = profiled(results)
    found = {v: rows for v, p in profiles.items() if (rows := getattr(p, kind))}
    shares = {
        variant: {row.name: row.share for row in rows}
        for variant, rows in found.items()
    }
    names = dict.fromkeys(name for by in shares.values() for name in by)
    largest = {n: max(by.get(n, 0.0) for by in shares.values()) for n in names}
    top = sorted(largest, key=largest.__getitem__, reverse=True)[:TOP]
    rows = [
        [
            name.removeprefix("aten::")[:60],
            *(percent(by.get(name, 0.0)) for by in shares.values()),
        ]
        for name in top
    ]
    if not rows:
        return None
    noun = {"operators": "operators", "kernels": "GPU kernels"}[kind]
    longer = [
        profile.profiled_ms / profile.step.median_ms for profile in profiles.values()
    ]
    return Table(
        [noun.capitalize(), *map(results.label, shares)],
        rows,
        f"The {len(rows)} {noun} with the largest shares of a training step. An "
        "operator's share is its own time, without the operators that it calls. With the "
        f"profiler on, a step took {min(longer):.2f} to {max(longer):.2f} times as long "
        "as without; where that made the operators longer than the step, all were "
        "shortened alike.",
    )


def layers(results: StudyResults, variant: str) -> Table:
    """Return cost, time and speed of each module that computes, and of the small ones together."""
    profile = profiled(results)[variant]
    whole = sum(phases_of(profile).values())
    shares = [total_ms(row) / whole for row in profile.layers]
    shown = [
        share >= LEAST or row.macs > 0
        for row, share in zip(profile.layers, shares, strict=True)
    ]
    rows = [
        [
            row.name.removeprefix("layers."),
            short(row.macs),
            short(row.parameters),
            f"{row.activation_bytes / 1e6:.3g}",
            f"{row.intensity:.3g}",
            f"{row.forward_ms:.3g}",
            f"{row.backward_ms:.3g}",
            percent(share),
            "–" if row.share_of_peak is None else percent(row.share_of_peak, 0),
        ]
        for row, share, kept in zip(profile.layers, shares, shown, strict=True)
        if kept
    ]
    small = [share for share, kept in zip(shares, shown, strict=True) if not kept]
    if small:
        rows.append([f"the other {len(small)}", *6 * ["–"], percent(sum(small)), "–"])
    best = profile.peak
    above = any((row.share_of_peak or 0) > 1.05 for row in profile.layers)
    return Table(
        [
            "Layer",
            "MACs",
            "Weights",
            "MB",
            "Ops/byte",
            "Fwd (ms)",
            "Bwd (ms)",
            "Of step",
            "Of peak",
        ],
        rows,
        f"{quoted(results.label(variant))}, layer by layer, for a batch of {profile.batch}. "
        "MACs: multiply–adds forward, each two operations. MB: what the layer writes. "
        "Ops/byte: arithmetic intensity. Of peak: the forward pass, of "
        f"{best.gflops:.3g} GFLOP/s, which a matrix product reached in the same job"
        f"{ABOVE if above else '.'}",
    )
