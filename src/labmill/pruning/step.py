"""Rule prune: one step of a prune loop; remove, evaluate, fine-tune, evaluate."""

from pathlib import Path

from torch import nn

from labmill.core.logs import log
from labmill.core.progress import publish
from labmill.core.records import Provenance
from labmill.pruning.criteria import NEEDS_GRADIENTS, criterion
from labmill.pruning.loaded_run import LoadedRun, load_run, macs
from labmill.pruning.records import PruneRecord
from labmill.pruning.schedule import Loop, Removal, layers_of
from labmill.pruning.scoring import Validation, gradients
from labmill.pruning.structure import Structure
from labmill.training.precision import prepare
from labmill.training.run_files import RunFiles
from labmill.training.trained_model import TrainedModel


def prune(
    trained: TrainedModel,
    *,
    before: Path | None,
    out: RunFiles,
    record: Path,
    state: Path,
    provenance: Provenance,
    chosen: Path | None = None,
    threads: int = 1,
) -> None:
    """Prune a network by one step, and write the network that is left.

    What is removed follows from the inputs alone, so that a step that was killed does
    the same again and resumes its fine-tuning. `before` is the previous step's
    prune.json. The job's settings are `loop`, `finetune`, `run` and `step`.
    """
    settings = provenance.settings
    loop, step = Loop.from_settings(settings["loop"]), settings["step"]
    loaded = load_run(
        {**settings["run"], "training": settings["finetune"]},
        trained,
        chosen=chosen,
        state=state,
        threads=threads,
    )
    network = loaded.network
    structure = Structure(network)
    validation = Validation(loaded.job, prepare(None, threads))
    past = PruneRecord.read(before) if before else None
    layers = layers_of(
        structure, past.next_layers if past else settings["loop"]["layers"]
    )
    dense_macs = past.dense_macs if past else macs(network)

    accuracy = validation.accuracy(network)
    publish(doing="choosing units to remove", validation_accuracy=accuracy)
    removed = remove_units(loaded, structure, loop, layers, step)
    after_pruning = validation.accuracy(network)
    publish(doing="fine-tuning", validation_accuracy=after_pruning)
    log.info("removed %s", {layer: len(units) for layer, units in removed.items()})
    training = loaded.run.training
    if not removed:
        # Nothing changed, so there is nothing to fine-tune.
        training = training.model_copy(update={"epochs": 0, "until": None})
    left = macs(network)
    outcome = loaded.fit(network, training, axis=f"finetune {record.parent.name}")
    finetuned = validation.accuracy(network)
    network.cpu()
    next_layers = loop.layers_for_next_step(
        layers,
        structure,
        lost=accuracy - finetuned,
        macs=left / dense_macs,
        diverged=outcome.status == "diverged",
    )
    log.info("accuracy %.4f, %.4f, %.4f", accuracy, after_pruning, finetuned)
    PruneRecord(
        loop=record.parent.name.rpartition("_")[0],
        step=step,
        criterion=loop.criterion,
        scope=loop.scope,
        layer=next(iter(removed)) if len(removed) == 1 else None,
        removed=removed,
        units=structure.widths(),
        before=accuracy,
        after_pruning=after_pruning,
        finetuned=finetuned,
        parameters=sum(p.numel() for p in network.parameters()),
        macs=left,
        dense_macs=dense_macs,
        next_layers=next_layers,
        finished=not next_layers,
        provenance=provenance,
    ).write(record)
    loaded.save(network, outcome, out, provenance)


def remove_units(
    loaded: LoadedRun, structure: Structure, loop: Loop, layers: list[str], step: int
) -> Removal:
    """Remove the units of one step from the network; return them by layer."""
    network: nn.Module = loaded.network
    if loop.criterion in NEEDS_GRADIENTS:
        gradients(network, loaded.job, step=step)
    score = criterion(loop.criterion, seed=loaded.run.seed, step=step)
    removed = loop.removal(structure, layers, score)
    network.zero_grad(set_to_none=True)
    for layer, units in removed.items():
        structure.remove(layer, units)
    return removed
