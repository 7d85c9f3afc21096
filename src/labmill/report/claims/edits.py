"""Where a step's time goes, which small edits were proposed, and which one is accepted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labmill.evaluation.statistics import SeedComparison, paired_seeds
from labmill.report.claims import words
from labmill.report.claims.accuracy import ACCURACY
from labmill.report.claims.evidence import LEAST_SEEDS, Contrast, Evidence, contrast
from labmill.report.claims.template import Kind, Plain, plain
from labmill.report.read import Row
from labmill.runtime import read_json

Claims = list[dict[str, Any]]

STEP = Plain(
    "A training step of {label} ({batch} images, {precision}, {where}) takes {ms}: {phases}. "
    "Of its modules, {modules} take the largest shares of it."
)
FORETOLD = Plain(
    "For {label}, {count} edits were timed step by step in turns with the network as it is. "
    "The savings predicted from its profile correlate with the measured ones with "
    "r = {predicted}; counting operations alone, r = {operations}."
)
FORETOLD_FEW = Plain(
    "For {label}, {count} edits were timed step by step in turns with the network as it is: "
    "too few, or too much alike, for a correlation with the prediction."
)
EDIT = Plain(
    "{edit} ({lines} changed in {label}): {saved} of a training step is saved "
    "({saved_interval}, {pairs} pairs of steps; predicted {predicted}), and test accuracy "
    "differs by {difference} ({interval}, {seeds}). {judgement}"
)
VERDICT = Plain(
    "The smallest change of {label} that is accepted is: {edit}. It saves {saved} of a "
    "training step ({saved_interval}) at a difference in test accuracy of {difference} "
    "({interval})."
)
NO_VERDICT = Plain(
    "No change of {label} is accepted: of the {count} that were trained in full, none has "
    "both a saving outside the noise of its timing and an accuracy whose 95 % interval "
    "stays within {tolerance} of the network as it is."
)
SHOWN_MODULES = 3


@dataclass(frozen=True)
class Tried:
    """An edit that was trained in full: its row of a ranking, and where that stands."""

    variant: str
    row: Mapping[str, Any]
    file: str
    place: int
    contrast: Contrast
    comparison: SeedComparison | None

    @property
    def saves(self) -> bool:
        """Whether the measured saving is outside the noise of its timing."""
        return self.row["measured"]["low"] > 0

    def keeps(self, tolerance: float) -> bool | None:
        """Whether accuracy surely stays within the tolerance; None with too few seeds."""
        known = self.comparison
        if known is None or known.n < LEAST_SEEDS:
            return None
        low = known.estimate if known.low is None else known.low
        return low >= -tolerance

    def inputs(self) -> list[dict[str, str]]:
        """Where the figures stand."""
        fields = (
            "measured.saving",
            "measured.low",
            "measured.high",
            "predicted.saving",
        )
        own = [
            {"file": self.file, "field": f"ranking.{self.place}.{name}"}
            for name in fields
        ]
        return [*own, *self.contrast.inputs(ACCURACY)]


def profile_claims(evidence: Evidence) -> Claims:
    """What the profile of each variant that the study declares shows."""
    claims = []
    for variant in evidence.study["variants"]:
        for row in evidence.runs.get(variant, {}).values():
            planned = row.record["files"].get("measure")
            path = evidence.place.path(planned) if planned else None
            if path and path.is_file() and "profile" in (found := read_json(path)):
                claims.append(step_claim(evidence, row, found, planned))
    return claims


def step_claim(
    evidence: Evidence, row: Row, measured: Mapping[str, Any], planned: str
) -> dict[str, Any]:
    """One variant's step: its phases, and the modules that take most of it."""
    profile = measured["profile"]
    whole = sum(profile["phases"].values())
    phases = sorted(profile["phases"].items(), key=lambda p: -p[1])
    leaves = sorted(
        profile["modules"],
        key=lambda m: -(m["own_forward_ms"] + m["own_backward_ms"]),
    )[:SHOWN_MODULES]
    shares = [
        f"{words.named(module['name'] or module['kind'])} "
        f"({words.percent((module['own_forward_ms'] + module['own_backward_ms']) / whole, 0)})"
        for module in leaves
    ]
    variant = row.cells["variant"]
    threads = words.number_of(profile["threads"], "thread")
    device = measured["provenance"].get("device", "cpu")
    return plain(
        STEP,
        f"profile:{variant}",
        "profile",
        [
            {"file": planned, "field": f"profile.{name}"}
            for name in ("step.median_ms", "phases", "modules")
        ],
        n=profile["step"]["n"],
        estimate=profile["step"]["median_ms"],
        label=evidence.label(variant),
        batch=profile["batch"],
        precision=profile["precision"],
        where=threads if device == "cpu" else words.escape(device),
        ms=f"{words.significant(profile['step']['median_ms'])}{words.SPACE}ms",
        phases=words.listed(
            f"{name} {words.percent(ms / whole, 0)}" for name, ms in phases[:4]
        ),
        modules=words.listed(shares),
    )


def edit_claims(evidence: Evidence) -> Claims:
    """Prediction and measurement, every edit that was trained in full, and the verdict."""
    claims: Claims = []
    for variant, files in evidence.edits.items():
        path = evidence.place.path(files["edits"]) if files["edits"] else None
        if path is None or not path.is_file():
            continue
        claims.append(
            prediction_claim(evidence, variant, files["edits"], read_json(path))
        )
        tried = in_full(evidence, variant, files)
        claims += [edit_claim(evidence, variant, one) for one in tried]
        if tried:
            claims.append(verdict_claim(evidence, variant, tried))
    return claims


def prediction_claim(
    evidence: Evidence, variant: str, file: str, proposed: Mapping[str, Any]
) -> dict[str, Any]:
    """How predicted and measured savings go together."""
    found = proposed["correlation"]
    known = found["predicted"] is not None and found["operations"] is not None
    values = {
        name: words.fixed(found[name], 2) if known else ""
        for name in ("predicted", "operations")
    }
    return plain(
        FORETOLD if known else FORETOLD_FEW,
        f"edits:{variant}:prediction",
        "edits",
        [{"file": file, "field": "correlation"}],
        n=found["n"],
        estimate=found["predicted"],
        label=evidence.label(variant),
        count=found["n"],
        **values,
    )


def in_full(evidence: Evidence, variant: str, files: Mapping[str, str]) -> list[Tried]:
    """The edits that were trained with all seeds: declared variants, confirmed trials."""
    found = []
    for kind, file in files.items():
        path = evidence.place.path(file) if file else None
        if path is None or not path.is_file():
            continue
        for place, row in enumerate(read_json(path)["ranking"]):
            name = (
                row["variant"] if kind == "edits" else f"{variant}_confirmed{place + 1}"
            )
            if name not in evidence.runs or not row["measured"]:
                continue
            pair = contrast(
                evidence,
                f"edits:{variant}:{name}",
                (evidence.label(name), evidence.label(variant)),
                [(name, variant)],
                ACCURACY,
            )
            compared = paired_seeds(*pair.values(ACCURACY)) if pair.pairs else None
            found.append(Tried(name, row, file, place, pair, compared))
    return found


def edit_claim(evidence: Evidence, variant: str, tried: Tried) -> dict[str, Any]:
    """One edit: what it saves, what it costs, and whether it is accepted."""
    tolerance = evidence.study["edits"]["tolerance"]
    within = words.points(tolerance, 1)
    keeps = tried.keeps(tolerance)
    if keeps is None:
        judgement = (
            f"Too few seeds to accept it: fewer than {words.spelled(LEAST_SEEDS)}."
        )
    elif not keeps:
        judgement = f"It is not accepted: the interval reaches beyond −{within}."
    elif not tried.saves:
        judgement = "It is not accepted: the saving is not outside the timing's noise."
    else:
        judgement = f"It is accepted: the interval stays above −{within}."
    return told(
        EDIT,
        evidence,
        variant,
        tried,
        id=tried.contrast.id,
        judgement=judgement,
        lines=words.number_of(tried.row["changes"], "line"),
        predicted=words.percent(tried.row["predicted"]["saving"], 0),
        pairs=tried.row["measured"]["n"],
        seeds=words.number_of(tried.comparison.n if tried.comparison else 0, "seed"),
    )


def verdict_claim(
    evidence: Evidence, variant: str, tried: Sequence[Tried]
) -> dict[str, Any]:
    """The accepted edit of fewest lines, and among those of the greatest saving."""
    tolerance = evidence.study["edits"]["tolerance"]
    accepted = [one for one in tried if one.keeps(tolerance) and one.saves]
    if not accepted:
        return plain(
            NO_VERDICT,
            f"edits:{variant}:verdict",
            "edits",
            [place for one in tried for place in one.inputs()],
            kind=Kind.EDIT,
            about=variant,
            n=len(tried),
            label=evidence.label(variant),
            tolerance=words.points(tolerance, 1),
            count=len(tried),
        )
    least = min(
        accepted, key=lambda t: (t.row["changes"], -t.row["measured"]["saving"])
    )
    return told(
        VERDICT,
        evidence,
        variant,
        least,
        id=f"edits:{variant}:verdict",
        kind=Kind.EDIT,
        about=variant,
    )


def told(
    template: Plain,
    evidence: Evidence,
    variant: str,
    tried: Tried,
    *,
    id: str,
    **values: Any,
) -> dict[str, Any]:
    """A claim on one edit, its interval that of the difference in accuracy."""
    measured, compared = tried.row["measured"], tried.comparison
    estimate, low, high = (
        (compared.estimate, compared.low, compared.high)
        if compared
        else (0.0, None, None)
    )
    ends = [words.fixed(100 * measured[key], 0) for key in ("low", "high")]
    seeds = compared.n if compared else 0
    digits = words.decimals(evidence.images(variant), max(1, seeds))
    claim = plain(
        template,
        id,
        "edits",
        tried.inputs(),
        n=seeds,
        estimate=estimate,
        label=evidence.label(variant),
        edit=words.escape(tried.row["words"]).capitalize(),
        saved=words.percent(measured["saving"], 0),
        saved_interval=f"95{words.SPACE}% interval {ends[0]} to {ends[1]}{words.SPACE}%",
        difference=words.signed(estimate, "%", digits),
        interval=words.interval(low, high, "%", digits),
        **values,
    )
    return claim | {"interval": [low, high] if low is not None else None}
