"""Rule prune: one step of a prune loop; remove, measure, fine-tune, measure."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labmill.pruning.criteria import NEEDS_GRADIENTS, criterion
from labmill.pruning.loop import layers_of, loop_of
from labmill.pruning.opening import close, macs, opened
from labmill.pruning.removal import Structure
from labmill.pruning.scoring import Validation, gradients
from labmill.runtime import read_json, write_json
from labmill.trained import Trained
from labmill.training.choices import prepare

log = logging.getLogger("labmill")


def prune(
    settings: dict[str, Any],
    trained: Trained,
    *,
    before: Path | None,
    model_out: Path,
    description_out: Path,
    history: Path,
    record: Path,
    state: Path,
    provenance: Mapping[str, Any],
    chosen: Path | None = None,
    threads: int = 1,
    device: str | None = None,
) -> None:
    """Prune `trained` by one step, and write the network that is left.

    settings: `loop`, `finetune`, `run` and `step`, as `Plan.prune_job` makes them;
    before: the previous step's prune.json; chosen: what a search chose for the variant;
    state: the fine-tuning's own folder. What is removed follows from the inputs alone,
    so that a step killed anywhere does the same again and resumes its fine-tuning.
    LabmillError for a layer or criterion that the network cannot be pruned by.
    """
    where = prepare(device, threads)
    loop, step = loop_of(settings["loop"]), settings["step"]
    start = opened(
        {**settings["run"], "training": settings["finetune"]}, trained, chosen=chosen
    )
    run, network = start.run, start.network
    structure = Structure(network)
    validation = Validation(start.data, start.scale, start.channels_last, where)
    past = read_json(before) if before else {}
    wanted = past.get("next_layers", settings["loop"]["layers"])
    layers = layers_of(structure, wanted)
    dense_macs = past.get("dense_macs") or macs(network)

    triple = {"before": validation.accuracy(network)}
    if settings["loop"]["criterion"] in NEEDS_GRADIENTS:
        gradients(network, start.data, start.scale, seed=run.seed, step=step)
    score = criterion(settings["loop"]["criterion"], seed=run.seed, step=step)
    removed = loop.removal(structure, layers, score)
    network.zero_grad(set_to_none=True)
    for layer, units in removed.items():
        structure.remove(layer, units)
    triple["after_pruning"] = validation.accuracy(network)
    log.info("removed %s", {layer: len(units) for layer, units in removed.items()})
    # Where nothing was left to remove, there is nothing to make up for.
    training = (
        run.training
        if removed
        else run.training.model_copy(update={"epochs": 0, "until": None})
    )
    left = macs(network)
    outcome = start.fit(
        network,
        training,
        axis=f"finetune {record.parent.name}",
        state=state,
        threads=threads,
        device=device,
    )
    triple["finetuned"] = validation.accuracy(network)
    network.cpu()
    next_layers = loop.goes_on_with(
        layers,
        structure,
        lost=triple["before"] - triple["finetuned"],
        macs=left / dense_macs,
        diverged=outcome.status == "diverged",
    )
    log.info("accuracy %(before).4f, %(after_pruning).4f, %(finetuned).4f", triple)
    write_json(
        record,
        {
            "loop": record.parent.name.rpartition("_")[0],
            "step": step,
            "criterion": settings["loop"]["criterion"],
            "scope": loop.scope,
            "layer": next(iter(removed)) if len(removed) == 1 else None,
            "removed": removed,
            "units": structure.widths(),
            **triple,
            "parameters": sum(p.numel() for p in network.parameters()),
            "macs": left,
            "dense_macs": dense_macs,
            "next_layers": next_layers,
            "finished": not next_layers,
            "provenance": dict(provenance),
        },
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
