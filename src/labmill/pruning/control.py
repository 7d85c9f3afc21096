"""Controls of a prune loop: is the pruned network better than a small one trained?

Liu et al., 2019, arXiv:1810.05270, ask both questions: what do the same widths reach
from scratch, and what does the unpruned network gain from the same fine-tuning?
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labmill import checkpoint
from labmill.pruning.opening import close, opened
from labmill.runtime import read_json
from labmill.search.chosen import resolved_run
from labmill.study import Training
from labmill.trained import Trained
from labmill.training.initialise import seeded
from labmill.training.train import fresh


def control(
    settings: Mapping[str, Any],
    trained: Trained,
    *,
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

    settings: `control`, `run` (with its `training`) and `finetune`, as
    `Plan.control_job` makes them; trained: the dense network; steps:
    model.json of the loop's steps, in order; chosen: what a search chose for the
    variant. `scratch` trains the last step's widths from a new initialisation by the
    run's recipe, `longer` fine-tunes the dense network for as many epochs as all steps
    together.
    """
    start = opened(settings["run"], trained, chosen=chosen)
    run, network, kind = start.run, start.network, settings["control"]
    tuned = {**settings["run"], "training": settings["finetune"]}
    recipe = recipe_of(
        kind,
        run.training,
        resolved_run(tuned, chosen).training,
        start.spec["training"]["epochs"],
        sum(read_json(step)["training"]["epochs"] for step in steps),
    )
    if kind == "scratch":
        last = read_json(steps[-1])["arguments"]
        model_now = run.model.model_copy(update={"arguments": last})
        narrow = run.model_copy(update={"model": model_now})
        shape = {key: start.spec[key] for key in checkpoint.SHAPE}
        network = seeded(run.seed, lambda: fresh(narrow, shape))
    outcome = start.fit(
        network, recipe, axis=kind, state=state, threads=threads, device=device
    )
    close(
        start,
        network,
        outcome,
        model_out=model_out,
        description_out=description_out,
        history=history,
        provenance=provenance,
    )


def recipe_of(
    kind: str, training: Training, finetune: Training, dense: int, tuned: int
) -> Training:
    """The control's recipe: `dense` and `tuned` are epochs that were really trained.

    A target is left out, so that the length alone decides.
    """
    if kind == "scratch":
        return training.model_copy(update={"epochs": dense + tuned, "until": None})
    return finetune.model_copy(update={"epochs": tuned, "until": None})
