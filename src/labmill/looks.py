"""What a study asks of single networks: the dense one of a variant's first seed.

Each kind is a section of the study with `variants`, a rule, and files beside the model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labmill.job import Job

if TYPE_CHECKING:
    from labmill.plan import Plan


@dataclass(frozen=True)
class Look:
    """One kind.

    Attributes:
        module: where the rule's function is.
        libraries: installed libraries that decide its numbers.
        files: name in the index → file; the first one stands for the job.
        settings: what it reads of the run.
    """

    module: str
    libraries: tuple[str, ...]
    files: dict[str, str]
    settings: tuple[str, ...]


LOOKS = {
    "examine": Look(
        "evaluation.examine",
        ("torch", "numpy"),
        {"examine": "examine.json", "examine_arrays": "examine.npz"},
        ("normalisation",),
    ),
    "represent": Look(
        "evaluation.represent",
        ("torch", "numpy"),
        {"represent": "represent.json", "represent_arrays": "represent.npz"},
        ("normalisation", "task"),
    ),
    "influence": Look(
        "pruning.influence",
        ("torch", "torch-pruning", "numpy"),
        {"influence": "influence.json"},
        ("run",),
    ),
    "formulate": Look(
        "measure.formulate",
        ("torch", "numpy"),
        {"formulate": "formulate.json"},
        ("run",),
    ),
}


def asked(plan: "Plan", variant: str, seed: int | str) -> Iterator[str]:
    """The kinds that a study asks of a run."""
    if int(seed) == plan.entry(variant).seeds[0]:
        for kind in LOOKS:
            section = getattr(plan.study, kind)
            if section and variant in section.variants:
                yield kind


def look_job(plan: "Plan", kind: str, variant: str, seed: int | str) -> Job:
    """The job of one kind for one run."""
    look = LOOKS[kind]
    section = getattr(plan.study, kind)
    settings = section.model_dump(mode="json", exclude={"variants"})
    run = plan.run(variant, seed).model_dump(mode="json")
    for name in look.settings:
        settings[name] = run if name == "run" else run[name]
    model = plan.train_job(variant, seed).fingerprint
    return Job(kind, settings, (look.module,), look.libraries, {"model": model})
