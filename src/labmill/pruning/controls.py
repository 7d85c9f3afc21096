"""Controls of a prune loop: is the pruned network better than a small one trained?

Liu et al., 2019, arXiv:1810.05270: what do the same widths reach from scratch, and what
does the unpruned network gain from the same fine-tuning?
"""

from collections.abc import Sequence
from pathlib import Path

from labmill.core.records import Provenance
from labmill.pruning.loaded_run import load_run
from labmill.search.chosen_settings import resolved_run
from labmill.training.initialization import seeded
from labmill.training.records import ModelDescription
from labmill.training.run_files import RunFiles
from labmill.training.train import fresh
from labmill.training.trained_model import TrainedModel


def control(
    trained: TrainedModel,
    *,
    steps: Sequence[Path],
    out: RunFiles,
    state: Path,
    provenance: Provenance,
    chosen: Path | None = None,
    threads: int = 1,
) -> None:
    """Train one control of a prune loop as long as the pruned network was trained.

    `scratch` trains the last step's widths from initial weights with the run's training
    settings, `longer` fine-tunes the unpruned network for as many epochs as all steps.
    `steps` are model.json of the loop's steps, in order. The job's settings are
    `control`, `run` and `finetune`.
    """
    settings = provenance.settings
    loaded = load_run(
        settings["run"], trained, chosen=chosen, state=state, threads=threads
    )
    run, network, kind = loaded.run, loaded.network, settings["control"]
    pruned = [ModelDescription.read(step) for step in steps]
    epochs = sum(step.training.epochs for step in pruned)
    tuned = {**settings["run"], "training": settings["finetune"]}
    training = resolved_run(tuned, chosen).training
    if kind == "scratch":
        epochs, training = epochs + loaded.about.training.epochs, run.training
        model = run.model.model_copy(update={"arguments": pruned[-1].arguments})
        narrow = run.model_copy(update={"model": model})
        network = seeded(run.seed, lambda: fresh(narrow, loaded.about.shape))
    # Without a target: the length decides.
    training = training.model_copy(update={"epochs": epochs, "until": None})
    outcome = loaded.fit(network, training, axis=kind)
    loaded.save(network, outcome, out, provenance)
