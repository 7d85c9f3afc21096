"""Profiles and edit searches of a study, as the report's figures and tables read them."""

from typing import Any

from labmill.measure.trace import PHASES
from labmill.report import style
from labmill.report.claims.words import quoted, signed
from labmill.report.results import Results, load_json
from labmill.report.tables import Table
from labmill.report.text import NBSP, percent, short

TOP = 10
# A layer with less of the step than that stands with the others in one row.
LEAST = 0.005
APART = (
    "Each network was timed by a job of its own, with other work beside it: what an edit "
    "saves is read where both networks took turns (the table of edits)."
)
# Measured with oneDNN on one core: 3×3 in float32 runs at 2.3 times the matrix product.
ABOVE = (
    "; above 100 %: the library does convolutions of 3×3 with fewer multiplications than "
    "are counted (Winograd's algorithm)."
)
# Kinds of modules, by what their class is called.
KINDS = {
    "Conv": "convolution",
    "Linear": "linear",
    "Norm": "normalisation",
    "Pool": "pooling",
    "Attention": "attention",
}
OTHER = "other"
GROUPS = (*KINDS.values(), "activation", OTHER)
ACTIVATIONS = ("ReLU", "GELU", "SiLU", "Tanh", "Sigmoid", "Softmax", "Swish")


def profiled(results: Results) -> dict[str, dict[str, Any]]:
    """Variant → profile, of the variants that the study declares and that have one."""
    found = {}
    for variant in results.study["variants"]:
        for record in results.stages(variant):
            measured = results.open(record, "measure")
            if measured and "profile" in measured:
                found[variant] = measured["profile"]
    return found


def group(kind: str) -> str:
    """The one of GROUPS that a module's class belongs to."""
    if any(name in kind for name in ACTIVATIONS):
        return "activation"
    return next((group for part, group in KINDS.items() if part in kind), OTHER)


def shade(kind: str) -> str:
    """The colour of a group, the same in all figures."""
    return style.color(GROUPS.index(kind))


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
        f"weights and optimizer state. {APART}",
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
    longer = [
        profile["profiled_ms"] / profile["step"]["median_ms"]
        for profile in profiled(results).values()
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


def layers(results: Results, variant: str) -> Table:
    """Cost, time and speed of each module that computes, and of the small ones together."""
    profile = profiled(results)[variant]
    whole = sum(profile["phases"].values())
    shares = [own_share(row, whole) for row in profile["layers"]]
    shown = [
        share >= LEAST or row["macs"] > 0
        for row, share in zip(profile["layers"], shares, strict=True)
    ]
    rows = [
        [
            row["name"].removeprefix("layers."),
            short(row["macs"]),
            short(row["parameters"]),
            f"{row['activation_bytes'] / 1e6:.3g}",
            f"{row['intensity']:.3g}",
            f"{row['forward_ms']:.3g}",
            f"{row['backward_ms']:.3g}",
            percent(share),
            "–" if row["share_of_peak"] is None else percent(row["share_of_peak"], 0),
        ]
        for row, share, kept in zip(profile["layers"], shares, shown, strict=True)
        if kept
    ]
    small = [share for share, kept in zip(shares, shown, strict=True) if not kept]
    if small:
        rows.append([f"the other {len(small)}", *6 * ["–"], percent(sum(small)), "–"])
    best = profile["peak"]
    above = any((row["share_of_peak"] or 0) > 1.05 for row in profile["layers"])
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
        f"{best['gflops']:.3g} GFLOP/s, which a matrix product reached in the same job"
        f"{ABOVE if above else '.'}",
    )


def own_share(row: dict[str, Any], whole: float) -> float:
    """Of a step of `whole` ms: a layer's forward and backward pass."""
    return (row["forward_ms"] + row["backward_ms"]) / whole


def candidates(results: Results, variant: str) -> Table:
    """The edits that were timed: predicted, measured, tried, confirmed."""
    found = rankings(results)[variant]
    tried = {row["point"]: row for row in found.get("confirmed", {}).get("ranking", [])}
    control = found.get("confirmed", {}).get("unchanged")
    rows = []
    for row in ([control] if control else []) + found["edits"]["ranking"]:
        if not row["measured"] or (row["kind"] == "unchanged" and row is not control):
            continue
        predicted = row["predicted"]
        measured = found["edits"]["noise"] if row is control else row["measured"]
        accuracy = (row if row is control else tried.get(row["point"], {})).get(
            "validation_accuracy"
        )
        low, high = (whole(measured[key]) for key in ("low", "high"))
        rows.append(
            [
                row["words"]
                + (f": {results.label(row['variant'])}" if row["variant"] else ""),
                row["changes"],
                whole(predicted["operations_saving"]),
                whole(predicted["saving"]),
                f"{whole(measured['saving'])} ({low} to {high})",
                f"{measured['before_ms']:.3g} → {measured['after_ms']:.3g}",
                percent(accuracy),
            ]
        )
    return Table(
        [
            "Edit",
            "Lines",
            "Counted",
            "Predicted",
            "Measured (95 %)",
            "Step (ms)",
            "Validation",
        ],
        rows,
        f"Edits of {quoted(results.label(variant))}, and the share of a training step that each "
        "saves, in percent: by counting operations, predicted from the profile, measured. "
        "Measured, and the step before and after: in turns with the network as it is, in "
        "three instances of both; the row “unchanged” is that network against itself, "
        "the noise of such a timing. Validation: accuracy after the brief training, for "
        "the edits that were tried. After a colon: what the study declares an edit as.",
        "lrrrrrr",
    )


def published_edits(results: Results) -> Table | None:
    """What the edits of an earlier report changed there and here, in time and accuracy."""
    theirs = results.study["published"] or {"edits": {}}
    claims = {claim["id"]: claim for claim in results.statements}
    rows = []
    for edited, before in theirs["edits"].items():
        ours = claims.get(f"published:{edited}:edit")
        if ours is None:
            continue
        after, unedited = (theirs["variants"][name] for name in (edited, before))
        time = after["train_seconds"] / unedited["train_seconds"] - 1
        accuracy = after["test_accuracy"] - unedited["test_accuracy"]
        rows.append(
            [
                f"{results.label(before)} → {results.label(edited)}",
                f"{100 * time:+.1f}{NBSP}%".replace("-", "−"),
                taken(results, before, edited),
                signed(accuracy, "%", 2),
                signed(ours["estimate"], "%", 1) + spanned(ours["interval"]),
            ]
        )
    if not rows:
        return None
    return Table(
        [
            "Edit",
            "Time, published",
            "Time, ours",
            "Accuracy, published",
            "Accuracy, ours",
        ],
        rows,
        f"Published edits ({theirs['source']}) and ours: changes by the edit, with 95 % "
        "intervals. Time: of the training there, of a training step here, both networks "
        "in turns; –: not timed in turns here. Accuracy: on test images, ours paired by "
        "seeds.",
        "lrrrr",
    )


def taken(results: Results, before: str, edited: str) -> str:
    """How an edit changed a step's time, timed in turns."""
    ranking = rankings(results).get(before, {"edits": {"ranking": []}})["edits"][
        "ranking"
    ]
    row = next((row for row in ranking if row["variant"] == edited), None)
    if row is None:
        return "–"
    found = row["measured"]
    ends = (whole(-found[end]) for end in ("high", "low"))
    return f"{whole(-found['saving'])}{NBSP}% ({' to '.join(ends)})"


def spanned(interval: list[float] | None) -> str:
    """An interval of a difference in points, in brackets."""
    if interval is None:
        return ""
    return f" ({' to '.join(f'{100 * end:.1f}' for end in interval)})".replace("-", "−")


def whole(share: float) -> str:
    """A share as whole percent."""
    return str(round(100 * share)).replace("-", "−")
