"""Controls of a prune loop: is the pruned network better than a small one trained?

Liu et al., 2019, arXiv:1810.05270, ask both questions: what do the same widths reach
from scratch, and what does the unpruned network gain from the same fine-tuning?
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from labmill import checkpoint
from labmill.data.augment import normaliser
from labmill.runtime import read_json
from labmill.search.chosen import resolved_run
from labmill.study import Run, Training
from labmill.training.initialise import seeded
from labmill.training.loop import fit
from labmill.training.train import channels_last, fresh, parts, write

Kind = Literal["scratch", "longer"]


def control(
    settings: Mapping[str, Any],
    *,
    kind: Kind,
    images: Path,
    card: Path,
    split: Path,
    model: Path,
    description: Path,
    steps: Sequence[Path],
    model_out: Path,
    description_out: Path,
    history: Path,
    state: Path,
    provenance: Mapping[str, Any],
    chosen: Path | None = None,
    threads: int = 1,
    device: str | None = None,
) -> None:
    """Train one control of a prune loop as long as the pruned network was trained.

    settings: `run` (with its `training`) and `finetune`; model, description: the dense
    network; steps: model.json of the loop's steps, in order. `scratch` trains the last
    step's widths from a new initialisation by the run's recipe, `longer` fine-tunes
    the dense network for as many epochs as all steps together.
    """
    run, finetune = runs(settings, chosen)
    dense = read_json(description)
    last = read_json(steps[-1])
    shape = {key: dense[key] for key in checkpoint.SHAPE}
    recipe = recipe_of(
        kind,
        run.training,
        finetune,
        dense["training"]["epochs"],
        sum(read_json(step)["training"]["epochs"] for step in steps),
    )
    if kind == "scratch":
        named = run.model.model_copy(update={"arguments": last["arguments"]})
        narrow = run.model_copy(update={"model": named})
        network = seeded(run.seed, lambda: fresh(narrow, shape))
    else:
        network = checkpoint.load(model, description)
    data = parts(run, images, split)
    scale = normaliser(read_json(card), settings["run"]["normalisation"])
    outcome = fit(
        network,
        recipe,
        data,
        seed=run.seed,
        normalisation=scale,
        state=state,
        channels_last=channels_last(run.model.name),
        device=device,
        axis=kind,
        threads=threads,
    )
    write(outcome, history, None)
    parameters = sum(p.numel() for p in network.parameters())
    facts = {"status": outcome.status, "parameters": parameters, **outcome.facts}
    spec = {"name": dense["name"], "arguments": {}, **shape, "training": facts}
    checkpoint.save(
        network, spec, model_out, description_out, provenance, link=outcome.weights
    )


def runs(settings: Mapping[str, Any], chosen: Path | None) -> tuple[Run, Training]:
    """The run, and its fine-tuning, with what a search chose laid over both."""
    run = resolved_run(dict(settings["run"]), chosen)
    tuned = {**settings["run"], "training": settings["finetune"]}
    return run, resolved_run(tuned, chosen).training


def recipe_of(
    kind: Kind, training: Training, finetune: Training, dense: int, tuned: int
) -> Training:
    """The control's recipe: `dense` and `tuned` are epochs that were really trained.

    A target is left out, so that the length alone decides.
    """
    if kind == "scratch":
        return training.model_copy(update={"epochs": dense + tuned, "until": None})
    return finetune.model_copy(update={"epochs": tuned, "until": None})
