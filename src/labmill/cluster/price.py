"""What a study will cost before it starts: jobs, seconds and GPU-hours, and on what basis.

python -m labmill.cluster.price PLACE [--profile PROFILE]
"""

import csv
import statistics
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labmill.cluster.needs import on_gpu
from labmill.cluster.site import Site
from labmill.errors import LabmillError
from labmill.explain import listed, reason
from labmill.job import Job
from labmill.plan import Plan
from labmill.runtime import read_json

TRAINING = ("train", "pretrain", "prune", "control")
# Where nothing was run yet: operations a second of training by device, seconds of any
# other job, and seconds that a job takes beside its training.
ASSUMED_RATE = {"cpu": 5e9, "cuda": 1e12}
ASSUMED_SECONDS, ASSUMED_START = 20.0, 15.0
ASSUMED_IMAGES, ASSUMED_OPERATIONS = 50_000, 1e7
# Images to train on before a dataset is there to be counted, where that is known.
OFFICIAL = {"digits": 1_797, "mnist": 60_000, "fashion_mnist": 60_000}
# Of three epochs on a hundred images only the start would be learnt.
LEFT_OUT = "smoke"


@dataclass(frozen=True)
class Cost:
    """One job's predicted seconds, and what the prediction rests on."""

    kind: str
    seconds: float
    basis: str


class Experience:
    """What earlier jobs in this working directory took, but for those at smoke scale.

    A training job takes a fixed part, its start and end, and its operations at the rate
    of its model's family; both are medians over the runs on the same device.

    Args:
        device: `cpu` or `cuda`.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.rates: dict[str, list[float]] = {}
        self.fixed: list[float] = []
        for path in Path("results").glob("**/model.json"):
            if path.parts[1] != LEFT_OUT:
                with suppress(OSError, ValueError, KeyError, IndexError):
                    self.learn(path)

    def learn(self, path: Path) -> None:
        """Take up one run, by its model.json."""
        made = read_json(path)
        if made["training"]["device"] != self.device:
            return
        last = rows(path.with_name("history.csv"), ",")[-1]
        seconds = float(last["seconds"])
        if seconds:
            rate = float(last["operations"]) / seconds
            self.rates.setdefault(made["name"], []).append(rate)
        # A benchmark is of the last attempt alone.
        if not made["training"]["resumed_at"]:
            _, *study, variant, seed, stage = path.parent.parts
            kind = made["provenance"]["kind"]
            name = ".".join(["/".join(study), variant, seed])
            name += f".{stage}" if kind in ("prune", "control") else ""
            took = rows(Path(f"benchmarks/{kind}/{name}.tsv"), "\t")[-1]
            self.fixed.append(float(took["s"]) - seconds)

    def seconds(self, kind: str) -> tuple[float, str]:
        """The median of a rule's earlier jobs, and what it rests on."""
        paths = Path("benchmarks", kind).glob("**/*.tsv")
        kept = [path for path in paths if path.parts[2] != LEFT_OUT]
        if found := [float(row["s"]) for path in kept for row in rows(path, "\t")]:
            return statistics.median(found), "earlier jobs of its kind"
        return ASSUMED_SECONDS, "assumed"

    def start(self) -> float:
        """Seconds that a training job takes beside its training."""
        return statistics.median(self.fixed or [ASSUMED_START])

    def rate(self, model: str) -> tuple[float, str]:
        """Operations a second of a model's training, and whose."""
        if model in self.rates:
            return statistics.median(self.rates[model]), f"earlier runs of {model}"
        if known := [rate for rates in self.rates.values() for rate in rates]:
            return statistics.median(known), "FLOPs at the rate of other models' runs"
        return ASSUMED_RATE[self.device], "FLOPs at an assumed rate"


def rows(path: Path, delimiter: str) -> list[dict[str, str]]:
    """A table's rows, as text."""
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def cost(plan: Plan, job: Job, known: Experience) -> Cost:
    """The price of one job."""
    if job.kind not in TRAINING:
        return Cost(job.kind, *known.seconds(job.kind))
    run = job.settings.get("run", job.settings)
    recipe = job.settings.get("finetune", run.get("training"))
    model = run["model"]
    rate, basis = known.rate(model["name"])
    total = 3 * operations(plan, model) * images(plan) * (recipe["epochs"] or 1)
    return Cost(job.kind, known.start() + total / rate, basis)


OPERATIONS: dict[str, float] = {}


def operations(plan: Plan, model: dict[str, Any]) -> float:
    """Operations of one forward pass on one image, counted on the network itself.

    Assumed for sequences, and where only the data tell the shape.
    """
    from labmill import registry
    from labmill.measure.operations import count

    facts = dict(plan.facts)
    kind = facts.pop("kind", "image")
    shape = {key: facts[key] for key in ("num_classes", "image_size", "in_channels")}
    if None in shape.values() or kind != "image":
        return ASSUMED_OPERATIONS
    key = repr((model, shape))
    if key not in OPERATIONS:
        network = registry.build(model["name"], **shape, **model["arguments"])
        size = (shape["in_channels"], shape["image_size"], shape["image_size"])
        OPERATIONS[key] = count(network, size).total.operations
    return OPERATIONS[key]


def images(plan: Plan) -> int:
    """Training images, from the split, the study or the dataset; else assumed."""
    split, card = f"{plan.results}/split.json", f"data/{plan.dataset_key}/card.json"
    if Path(split).exists():
        return sum(read_json(split)["counts"]["train"])
    if plan.study.data.limit:
        return plan.study.data.limit
    if Path(card).exists():
        return int(read_json(card)["official"]["train"])
    return OFFICIAL.get(plan.study.data.dataset, ASSUMED_IMAGES)


def device_of(config: Mapping[str, Any]) -> str:
    """Where jobs will train: as the site says, else as this machine can."""
    if site := Site.of(config):
        return "cpu" if site.gpus == "none" else "cuda"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def prices(plan: Plan, device: str) -> list[Cost]:
    """The price of every job that would run."""
    known = Experience(device)
    return [
        cost(plan, job, known)
        for _, output, job in listed(plan)
        if reason(output, job.record)
    ]


def gpu_hours(costs: Iterable[Cost]) -> float:
    """Hours in which a GPU is held, where there are any."""
    return sum(cost.seconds for cost in costs if on_gpu(cost.kind)) / 3600


def told(plan: Plan, costs: list[Cost]) -> str:
    """The price as a table for a terminal."""
    if not costs:
        return f"{plan.place}: nothing to pay."
    total = sum(cost.seconds for cost in costs) / 3600
    lines = [
        f"{plan.place}: {len(costs)} jobs, about {total:.2f} job-hours, "
        f"{gpu_hours(costs):.2f} of them with a GPU where there is one"
    ]
    for kind in dict.fromkeys(cost.kind for cost in costs):
        part = [cost for cost in costs if cost.kind == kind]
        bases = ", ".join(dict.fromkeys(cost.basis for cost in part))
        seconds = sum(cost.seconds for cost in part)
        lines.append(
            f"  {kind:10} {len(part):5} × {seconds / len(part):8.0f} s  ({bases})"
        )
    return "\n".join(lines)


def bill(plans: Iterable[Plan], config: Mapping[str, Any]) -> dict[Plan, list[Cost]]:
    """What several studies would cost."""
    device = device_of(config)
    return {plan: prices(plan, device) for plan in plans}


def over_budget(costs: Mapping[Plan, list[Cost]], budget: float | None) -> str | None:
    """Why these studies may not start; None where the budget does or there is none."""
    price = sum(map(gpu_hours, costs.values()))
    if budget is None or price <= budget:
        return None
    return (
        f"{', '.join(plan.place for plan in costs)}: about {price:.2f} GPU-hours, above "
        f"the budget of {budget:g}. See `make plan`, or raise `budget` in config.yaml"
    )


def main(place: str) -> None:
    """Print why each job runs, the price, and whether the budget forbids it.

    With --profile as for Snakemake the price is that of the profile's cluster.
    """
    from labmill.cluster.site import profile_in_use, read, site_file
    from labmill.explain import explanation
    from labmill.workflow import ROOT, tell
    from labmill.workflow import plan as plan_of

    config = read(ROOT / "config.yaml")
    if (profile := profile_in_use()) and (path := site_file(profile)):
        config["site"] = read(path).get("site")
    tell(config)
    plan = plan_of(place)
    print(explanation(plan))
    costs = bill([plan], config)
    print(told(plan, costs[plan]))
    if refused := over_budget(costs, config.get("budget")):
        print(f"Would not start: {refused}")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except LabmillError as error:
        sys.exit(f"Error: {error}")
