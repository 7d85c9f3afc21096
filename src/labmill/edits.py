"""The search for a small edit as jobs: propose, try briefly, confirm with all seeds.

Which edit a job trains depends on results, the jobs do not: the k-th brief training of
`cnn` is the variant `cnn_edit<k>` (0: `cnn` as it is), the k-th full one
`cnn_confirmed<k>`, and each takes its layers from a ranking when it runs.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from labmill import registry
from labmill.check import fail
from labmill.entries import Entry
from labmill.job import Job
from labmill.loading import resolve_training
from labmill.reading import Source
from labmill.study import Choice, Edits

if TYPE_CHECKING:
    from labmill.plan import Plan

PROPOSED, CONFIRMED = "edits", "confirmed"


def slots(edits: Edits, origin: Entry, source: Source) -> Iterable[Entry]:
    """The brief and full trainings of edits of one variant."""
    at = ("edits", "variants")
    allowed = {a.name for a in registry.arguments("models", origin.model.name)}
    if "layers" not in allowed:
        fail(source, f"{origin.model.name} is not described by `layers`", at)
    if origin.chosen or origin.start:
        fail(
            source,
            f"{origin.name} begins from a search or a pretext; write its settings "
            "down in a variant of its own",
            at,
        )
    if edits.confirm > edits.trials:
        fail(
            source,
            f"found {edits.confirm}; only {edits.trials} edits are tried (edits.trials)",
            ("edits", "confirm"),
        )
    brief = resolve_training(
        origin.training, {"epochs": edits.epochs}, source, ("edits", "epochs")
    )
    for number in range(edits.trials + 1):
        yield Entry(
            name=f"{origin.name}_edit{number}",
            kind="edit",
            label=f"{origin.label}, edit {number}" if number else origin.label,
            model=origin.model,
            training=brief,
            seeds=origin.seeds[:1],
            chosen=Choice(search=stage(origin.name, PROPOSED), rank=number + 1),
        )
    for number in range(1, edits.confirm + 1):
        yield Entry(
            name=f"{origin.name}_confirmed{number}",
            kind="variant",
            label=f"{origin.label}, edit confirmed {number}",
            model=origin.model,
            training=origin.training,
            seeds=origin.seeds,
            chosen=Choice(search=stage(origin.name, CONFIRMED), rank=number),
            test_flip=origin.test_flip,
        )


def stage(variant: str, kind: str) -> str:
    """What the slots of a variant call the ranking that they take their layers from."""
    return f"{variant}__{kind}"


def edited(plan: "Plan") -> tuple[str, ...]:
    """The variants whose edits are searched, of those that run."""
    edits = plan.study.edits
    return tuple(v for v in edits.variants if v in plan.entries) if edits else ()


def ranking_file(plan: "Plan", variant: str, kind: str) -> str:
    """The file of a ranking of edits."""
    return f"{plan.results}/{variant}/{kind}.json"


def propose_job(plan: "Plan", variant: str) -> Job:
    """Rank a variant's edits by what its profile says they save."""
    assert plan.study.edits is not None
    entry = plan.entry(variant)
    declared = {
        other.name: other.model.model_dump(mode="json")
        for other in plan.variants
        if other.chosen is None and other.name != variant
    }
    settings: dict[str, Any] = {
        "trials": plan.study.edits.trials,
        "training": entry.training.model_dump(mode="json"),
        "normalisation": plan.run(variant, entry.seeds[0]).model_dump(mode="json")[
            "normalisation"
        ],
        "declared": declared,
        "repeats": plan.study.measure.repeats,
    }
    measured = plan.measure_job(variant, entry.seeds[0], "dense")
    return Job(
        "propose",
        settings,
        ("measure.propose", f"models.{entry.model.name}"),
        ("torch", "numpy"),
        {"measure": measured.fingerprint},
    )


def confirm_job(plan: "Plan", variant: str) -> Job:
    """Choose among the edits that were tried briefly."""
    assert plan.study.edits is not None
    consumes = {
        run["variant"]: plan.train_job(run["variant"], run["seed"]).fingerprint
        for run in trials(plan, variant)
    }
    settings = {"tolerance": plan.study.edits.tolerance}
    return Job("confirm", settings, ("measure.confirm",), ("numpy",), consumes)


def ranking_job(plan: "Plan", ranking: str) -> Job:
    """The job that makes the ranking that a slot takes its layers from."""
    variant, _, kind = ranking.rpartition("__")
    return (propose_job if kind == PROPOSED else confirm_job)(plan, variant)


def trials(plan: "Plan", variant: str) -> list[dict[str, Any]]:
    """The brief trainings of a variant's edits, and what the choice reads of them."""
    assert plan.study.edits is not None
    seed = plan.entry(variant).seeds[0]
    runs = []
    for number in range(plan.study.edits.trials + 1):
        name = f"{variant}_edit{number}"
        folder = plan.folder(name, seed, "dense")
        runs.append(
            {
                "rank": number + 1,
                "variant": name,
                "seed": seed,
                "history": f"{folder}/history.csv",
                "description": f"{folder}/model.json",
            }
        )
    return runs


def trial_files(plan: "Plan", variant: str) -> list[str]:
    """The files that the choice among the trials reads."""
    return [
        run[key] for run in trials(plan, variant) for key in ("history", "description")
    ]


def profiled_file(plan: "Plan", variant: str, name: str) -> str:
    """A file of the run whose profile the edits are predicted from."""
    return f"{plan.folder(variant, plan.entry(variant).seeds[0], 'dense')}/{name}"
