"""Profiles of a study's training steps, as the report's figures and tables read them."""

from labmill.profiling.records import LayerCost, Measurement, ModuleTime, Profile
from labmill.report import style
from labmill.report.results import StudyResults

APART = (
    "Each network was timed by a separate job, with other work at the same time; the table "
    "of edits compares networks that took turns."
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


def profiled(results: StudyResults) -> dict[str, Profile]:
    """Return variant → profile, of the variants that the study declares and profiles."""
    found = {v: results.first(v, Measurement) for v in results.study["variants"]}
    return {v: one.profile for v, one in found.items() if one and one.profile}


def phases_of(profile: Profile) -> dict[str, float]:
    """Return the milliseconds of each phase of a step."""
    return profile.phases.model_dump()


def group(kind: str) -> str:
    """Return the one of GROUPS that a module's class belongs to."""
    if any(name in kind for name in ACTIVATIONS):
        return "activation"
    return next((group for part, group in KINDS.items() if part in kind), OTHER)


def shade(kind: str) -> str:
    """Return the colour of a group, the same in all figures."""
    return style.color(GROUPS.index(kind))


def total_ms(row: LayerCost | ModuleTime) -> float:
    """Return a module's forward and backward time with all that is inside."""
    return row.forward_ms + row.backward_ms
