"""Profiles and edit searches of a study, as the report's figures and tables read them."""

from typing import Any

from labmill.report.claims.words import quoted
from labmill.report.results import Results, load_json
from labmill.report.tables import Table
from labmill.report.text import percent, short

PHASES = ("data", "forward", "loss", "backward", "optimizer", "bookkeeping")
TOP = 10


def profiled(results: Results) -> dict[str, dict[str, Any]]:
    """Variant → profile, of the variants that the study declares and that have one."""
    found = {}
    for variant in results.study["variants"]:
        for record in results.stages(variant):
            measured = results.open(record, "measure")
            if measured and "profile" in measured:
                found[variant] = measured["profile"]
    return found


def explained(results: Results) -> dict[str, dict[str, Any]]:
    """The profiles that are shown in detail: of variants with edits, else the first."""
    found = profiled(results)
    asked = (results.study["edits"] or {}).get("variants", ())
    chosen = {variant: found[variant] for variant in asked if variant in found}
    return chosen or dict(list(found.items())[:1])


def rankings(results: Results) -> dict[str, dict[str, dict[str, Any]]]:
    """Variant → its rankings: `edits` (proposed) and, where there is one, `confirmed`."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for variant, files in results.summary.get("edits", {}).items():
        paths = {kind: results.path(path) for kind, path in files.items()}
        known = {kind: load_json(path) for kind, path in paths.items() if path}
        if "edits" in known:
            found[variant] = known
    return found


def own_ms(module: dict[str, Any]) -> float:
    """Forward and backward time of a module alone."""
    return module["own_forward_ms"] + module["own_backward_ms"]


def phases(results: Results) -> Table | None:
    """Milliseconds of a step by phase, timed without the profiler."""
    rows = [
        [
            results.label(variant),
            f"{profile['step']['median_ms']:.3g}",
            *(f"{profile['phases'][name]:.3g}" for name in PHASES),
            f"{profile['memory']['step_peak_bytes'] / 1e6:.3g}",
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
        "right answers and letting go of gradients. Peak: the step's memory beside "
        "weights and optimizer state.",
    )


def operators(results: Results, kind: str = "operators") -> Table | None:
    """The operators (or GPU `kernels`) that take most of a step, by variant."""
    found = {v: p[kind] for v, p in profiled(results).items() if p[kind]}
    shares = {
        variant: {row["name"]: row["share"] for row in rows}
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
    return Table(
        [noun.capitalize(), *map(results.label, shares)],
        rows,
        f"The {len(rows)} {noun} with the largest shares of a training step. An "
        "operator's share is its own time, without the operators that it calls.",
    )


def layers(results: Results, variant: str) -> Table:
    """Cost, time and speed of each module that computes."""
    profile = profiled(results)[variant]
    whole = sum(profile["phases"].values())
    rows = [
        [
            row["name"].removeprefix("layers."),
            short(row["macs"]),
            short(row["parameters"]),
            f"{row['activation_bytes'] / 1e6:.3g}",
            f"{row['intensity']:.3g}",
            f"{row['forward_ms']:.3g}",
            f"{row['backward_ms']:.3g}",
            percent((row["forward_ms"] + row["backward_ms"]) / whole),
            "–" if row["share_of_peak"] is None else percent(row["share_of_peak"], 0),
        ]
        for row in profile["layers"]
    ]
    best = profile["peak"]
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
        f"{quoted(results.label(variant))}, layer by layer, for a batch of {profile['batch']}. "
        "MACs: multiply–adds forward, each two operations. MB: what the layer writes. "
        "Ops/byte: arithmetic intensity. Of peak: the forward pass, of "
        f"{best['gflops']:.3g} GFLOP/s, which a matrix product reached in the same job.",
    )


def candidates(results: Results, variant: str) -> Table:
    """The edits that were timed: predicted, measured, tried, confirmed."""
    found = rankings(results)[variant]
    tried = {row["point"]: row for row in found.get("confirmed", {}).get("ranking", [])}
    control = found.get("confirmed", {}).get("unchanged")
    rows = []
    for row in ([control] if control else []) + found["edits"]["ranking"]:
        if not row["measured"] or (row["kind"] == "unchanged" and row is not control):
            continue
        measured, predicted = row["measured"], row["predicted"]
        accuracy = (row if row is control else tried.get(row["point"], {})).get(
            "validation_accuracy"
        )
        low, high = (whole(measured[key]) for key in ("low", "high"))
        rows.append(
            [
                row["words"],
                row["changes"],
                whole(predicted["operations_saving"]),
                whole(predicted["saving"]),
                f"{whole(measured['saving'])} ({low} to {high})"
                if measured["n"]
                else "–",
                percent(accuracy),
                results.label(row["variant"]) if row["variant"] else "",
            ]
        )
    return Table(
        [
            "Edit",
            "Lines",
            "Counted",
            "Predicted",
            "Measured (95 %)",
            "Validation",
            "Variant",
        ],
        rows,
        f"Edits of {quoted(results.label(variant))}, and the share of a training step that each "
        "saves, in percent: by counting operations, predicted from the profile, measured. "
        "Validation: accuracy after the brief training, for the edits that were tried. "
        "Variant: what the study declares it as.",
        "lrrrrrl",
    )


def whole(share: float) -> str:
    """A share as whole percent."""
    return str(round(100 * share)).replace("-", "−")
