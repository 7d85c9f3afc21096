"""Where a step's time goes, which small edits were proposed, and which one is accepted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labmill.evaluation.statistics import LEAST_SEEDS, SeedComparison, paired_seeds
from labmill.report.claims import words
from labmill.report.claims.evidence import Contrast, Evidence, between
from labmill.report.claims.ranking import ACCURACY
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
    "r = {predicted}, and are {predicted_error} away from them on average; those of "
    "counting operations alone, r = {operations} and {operations_error}. Farthest off is "
    "the prediction for “{off}”: {said} predicted, {found} measured."
)
FORETOLD_FEW = Plain(
    "For {label}, {count} edits were timed step by step in turns with the network as it is: "
    "too few, or too much alike, for a correlation with the prediction."
)
TRIED = Plain(
    "Of the {count} edits of {label} that were trained for {epochs}, {kept} by no other, "
    "nor by the network as it is, in measured time and validation accuracy: {names}. "
    "Trained in full with all seeds: {full}.{left}"
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
    "stays within {tolerance} of the network as it is.{nearest}"
)
NEAREST = (
    " Nearest to that comes: {edit}. It saves {saved} of a training step "
    "({saved_interval}) at a difference in test accuracy of {difference} ({interval})."
)
PUBLISHED_EDIT = Plain(
    "Published edit of {before}, {edited}: there {time} training time and {accuracy} of "
    "test accuracy (by the figures of one run each); here {ours} ({interval}, {seeds})."
)
SHOWN_MODULES = 3
SECONDS = "train_seconds"


@dataclass(frozen=True)
class Tried:
    """An edit that was trained in full: its row of a ranking, and where that stands.

    floor: what timing the network against itself finds at the utmost.
    """

    variant: str
    row: Mapping[str, Any]
    file: str
    place: int
    contrast: Contrast
    comparison: SeedComparison | None
    floor: float

    @property
    def saves(self) -> bool:
        """Whether the measured saving is outside the noise of its timing."""
        return self.row["measured"]["low"] > self.floor

    def keeps(self, tolerance: float) -> bool | None:
        """Whether accuracy surely stays within the tolerance; None with too few seeds."""
        if self.comparison is None or self.comparison.n < LEAST_SEEDS:
            return None
        return self.least >= -tolerance

    @property
    def least(self) -> float:
        """The lower end of the difference in accuracy, which there must be."""
        assert self.comparison is not None
        low = self.comparison.low
        return self.comparison.estimate if low is None else low

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
        f"{words.named(module['name'].removeprefix('layers.') or module['kind'])} "
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
        kind=Kind.STEP
        if variant in (evidence.study["edits"] or {}).get("variants", ())
        else Kind.DETAIL,
        about=variant,
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
        proposed = read_json(path)
        claims.append(prediction_claim(evidence, variant, files["edits"], proposed))
        claims += tried_claim(evidence, variant, files["confirmed"])
        tried = in_full(evidence, variant, files, proposed["noise"]["floor"])
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
    values = {}
    if known:
        timed = [row for row in proposed["ranking"] if (row["measured"] or {}).get("n")]
        off = max(timed, key=lambda row: abs(row["measured"]["saving"] - said(row)))
        values = {
            name: words.fixed(found[name], 2) for name in ("predicted", "operations")
        } | {
            f"{name}_error": words.points(found[f"{name}_error"], 1)
            for name in ("predicted", "operations")
        }
        values["off"] = words.escape(off["words"])
        values["said"] = words.percent(said(off), 0)
        values["found"] = words.percent(off["measured"]["saving"], 0)
    return plain(
        FORETOLD if known else FORETOLD_FEW,
        f"edits:{variant}:prediction",
        "edits",
        [{"file": file, "field": name} for name in ("correlation", "ranking")],
        kind=Kind.EDIT,
        about=variant,
        n=found["n"],
        estimate=found["predicted"],
        label=evidence.label(variant),
        count=found["n"],
        **values,
    )


def said(row: Mapping[str, Any]) -> float:
    """The saving that was predicted."""
    return row["predicted"]["saving"]


def tried_claim(evidence: Evidence, variant: str, file: str | None) -> Claims:
    """Which of the briefly trained edits nothing dominated, and which went on."""
    path = evidence.place.path(file) if file else None
    if path is None or not path.is_file():
        return []
    rows = read_json(path)["ranking"]
    edits = evidence.study["edits"]
    full = rows[: edits["confirm"]]
    kept = [row for row in rows if row["undominated"]]
    left = [row for row in kept if row not in full]
    names = {
        name: words.listed(
            (f"“{words.escape(row['words'])}”" for row in some), most=len(rows)
        )
        for name, some in (("names", kept), ("full", full), ("left", left))
    }
    number = len(kept)
    return [
        plain(
            TRIED,
            f"edits:{variant}:tried",
            "edits",
            [{"file": file, "field": "ranking"}],
            n=len(rows),
            label=evidence.label(variant),
            count=len(rows),
            epochs=words.number_of(edits["epochs"], "epoch"),
            kept=f"{words.spelled(number)} {'is' if number == 1 else 'are'} dominated",
            names=names["names"] or "none",
            full=names["full"],
            left=f" Not: {names['left']}; the study confirms {words.spelled(len(full))}."
            if left
            else "",
        )
    ]


def in_full(
    evidence: Evidence, variant: str, files: Mapping[str, str], floor: float
) -> list[Tried]:
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
            id = f"edits:{variant}:{name}"
            pair = between(evidence, id, (name, variant), ACCURACY)
            compared = paired_seeds(*pair.values(ACCURACY)) if pair.pairs else None
            found.append(Tried(name, row, file, place, pair, compared, floor))
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
        judgement = (
            "It is not accepted: the saving is not outside the timing's noise, "
            f"{words.points(tried.floor, 1)}."
        )
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
        near = [one for one in tried if one.saves and one.keeps(tolerance) is not None]
        nearest = max(near, key=lambda one: one.least, default=None)
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
            nearest=NEAREST.format(**numbers(evidence, variant, nearest))
            if nearest
            else "",
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
    compared = tried.comparison
    claim = plain(
        template,
        id,
        "edits",
        tried.inputs(),
        n=compared.n if compared else 0,
        estimate=compared.estimate if compared else 0.0,
        label=evidence.label(variant),
        **numbers(evidence, variant, tried),
        **values,
    )
    return claim | {"interval": ends(compared)}


def numbers(evidence: Evidence, variant: str, tried: Tried) -> dict[str, str]:
    """An edit's saving and its difference in accuracy, in words."""
    measured, compared = tried.row["measured"], tried.comparison
    low, high = (words.fixed(100 * measured[key], 0) for key in ("low", "high"))
    return {
        "edit": words.escape(tried.row["words"]).capitalize(),
        "saved": words.percent(measured["saving"], 0),
        "saved_interval": f"95{words.SPACE}% interval {low} to {high}{words.SPACE}%",
    } | difference(evidence, variant, compared)


def difference(
    evidence: Evidence, variant: str, compared: SeedComparison | None
) -> dict[str, str]:
    """A difference in accuracy and its interval, in words."""
    digits = words.decimals(evidence.images(variant), compared.n if compared else 1)
    low, high = ends(compared) or (None, None)
    estimate = compared.estimate if compared else 0.0
    return {
        "difference": words.signed(estimate, "%", digits),
        "interval": words.interval(low, high, "%", digits),
    }


def ends(compared: SeedComparison | None) -> list[float] | None:
    """A comparison's interval, None where it has none."""
    if compared is None or compared.low is None or compared.high is None:
        return None
    return [compared.low, compared.high]


def published_edit_claims(evidence: Evidence) -> Claims:
    """What an earlier report's edits changed there, and in accuracy here."""
    published = evidence.study["published"] or {"edits": {}}
    claims = []
    for edited, before in published["edits"].items():
        there = [published["variants"].get(name, {}) for name in (edited, before)]
        id = f"published:{edited}:edit"
        pair = between(evidence, id, (edited, before), ACCURACY)
        if not pair.pairs or not all({ACCURACY, SECONDS} <= {*one} for one in there):
            continue
        compared = paired_seeds(*pair.values(ACCURACY))
        after, unedited = there
        told = difference(evidence, edited, compared)
        claim = plain(
            PUBLISHED_EDIT,
            pair.id,
            "published",
            pair.inputs(ACCURACY),
            about=edited,
            n=compared.n,
            estimate=compared.estimate,
            before=pair.second,
            edited=pair.first,
            time=f"{words.fixed(100 * (after[SECONDS] / unedited[SECONDS] - 1), 1)}"
            f"{words.SPACE}%",
            accuracy=words.signed(after[ACCURACY] - unedited[ACCURACY], "%", 2),
            ours=told["difference"],
            interval=told["interval"],
            seeds=words.number_of(compared.n, "seed"),
        )
        claims.append(claim | {"interval": ends(compared)})
    return claims
