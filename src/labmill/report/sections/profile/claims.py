"""Where a training step's time goes."""

from labmill.profiling.records import Measurement, ModuleTime, Profile
from labmill.report.claims.claim import Claim, Kind, Phrase, Statement, claim
from labmill.report.results import StudyResults
from labmill.report.runs import Run
from labmill.report.sections.profile.profiles import phases_of

STEP = Statement(
    "A training step of {label:name} ({batch:images}, {precision}, {device}) takes "
    "{estimate:ms}: {phases:list}. The modules with the largest shares are {modules:list}."
)
SHOWN_MODULES, SHOWN_PHASES = 3, 4


def make_claims(results: StudyResults) -> list[Claim]:
    """Return the profile of each variant that the study declares."""
    return [
        step_claim(results, row, measured.profile, measured.provenance.device or "cpu")
        for variant in results.study["variants"]
        for row in results.runs.get(variant, {}).values()
        if (measured := row.read(Measurement)) and measured.profile
    ]


def step_claim(results: StudyResults, row: Run, profile: Profile, device: str) -> Claim:
    """Return a step's phases, and the modules that take most of it."""
    phases = sorted(phases_of(profile).items(), key=lambda p: -p[1])
    whole = sum(ms for _, ms in phases)
    modules = sorted(profile.modules, key=own_ms, reverse=True)
    threads = Phrase("{threads:threads}", threads=profile.threads)
    edited = row.variant in (results.study["edits"] or {}).get("variants", ())
    return claim(
        STEP,
        f"profile:{row.variant}",
        [
            row.source("measure", f"profile.{name}")
            for name in ("step.median_ms", "phases", "modules")
        ],
        kind=Kind.STEP if edited else Kind.DETAIL,
        about=row.variant,
        n=profile.step.n,
        estimate=profile.step.median_ms,
        digits=0,
        label=results.label(row.variant),
        batch=profile.batch,
        precision=profile.precision,
        device=threads if device == "cpu" else Phrase("{name:text}", name=device),
        phases=[
            Phrase("{name} {share:percent}", name=name, share=ms / whole)
            for name, ms in phases[:SHOWN_PHASES]
        ],
        modules=[
            Phrase(
                "{name:name} ({share:percent})",
                name=module.name.removeprefix("layers.") or module.kind,
                share=own_ms(module) / whole,
            )
            for module in modules[:SHOWN_MODULES]
        ],
    )


def own_ms(module: ModuleTime) -> float:
    """Return forward and backward time of a module alone."""
    return module.own_forward_ms + module.own_backward_ms
