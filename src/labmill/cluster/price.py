"""What a study will cost before it starts: jobs, seconds and GPU-hours, and on what basis.

python -m labmill.cluster.price PLACE
"""

import csv
import statistics
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labmill.errors import LabmillError
from labmill.explain import listed, reason
from labmill.job import Job
from labmill.looks import LOOKS
from labmill.plan import Plan
from labmill.runtime import read_json

TRAINING = ("train", "pretrain", "prune", "control")
# Rules with `gpu=1`.
ON_GPU = (*TRAINING, *LOOKS, "evaluate", "measure", "propose")
# Where nothing was run yet: operations a second of training, seconds of any other job,
# and seconds that a job takes beside its training.
ASSUMED_RATE, ASSUMED_SECONDS, START = 5e9, 20.0, 15.0
ASSUMED_IMAGES, ASSUMED_OPERATIONS = 50_000, 1e7


@dataclass(frozen=True)
class Cost:
    """One job's predicted seconds, and what the prediction rests on."""

    kind: str
    seconds: float
    basis: str


class Experience:
    """What earlier runs in this working directory took."""

    def __init__(self, directory: Path = Path()) -> None:
        self.directory = directory
        self.rates = self.training_rates()

    def training_rates(self) -> dict[str, list[float]]:
        """Operations a second of finished runs, by model."""
        rates: dict[str, list[float]] = {}
        for path in self.directory.glob("results/**/history.csv"):
            try:
                name = read_json(path.with_name("model.json"))["name"]
                with path.open(encoding="utf-8") as file:
                    last = list(csv.DictReader(file))[-1]
                rate = float(last["operations"]) / float(last["seconds"])
            except (OSError, ValueError, KeyError, IndexError, ZeroDivisionError):
                continue
            rates.setdefault(name, []).append(rate)
        return rates

    def seconds(self, kind: str) -> float | None:
        """The median of a rule's earlier jobs; None if it never ran."""
        found = []
        for path in self.directory.glob(f"benchmarks/{kind}/*.tsv"):
            with path.open(encoding="utf-8") as file:
                found += [
                    float(row["s"]) for row in csv.DictReader(file, delimiter="\t")
                ]
        return statistics.median(found) if found else None

    def rate(self, model: str) -> tuple[float, str]:
        """Operations a second of a model's training, and whose."""
        if model in self.rates:
            return statistics.median(self.rates[model]), f"earlier runs of {model}"
        known = [rate for rates in self.rates.values() for rate in rates]
        if known:
            return statistics.median(known), "FLOPs at the rate of other models' runs"
        return ASSUMED_RATE, "FLOPs at an assumed rate"


def cost(plan: Plan, job: Job, known: Experience) -> Cost:
    """The price of one job."""
    if job.kind not in TRAINING:
        seconds = known.seconds(job.kind)
        basis = "earlier jobs of its kind" if seconds is not None else "assumed"
        return Cost(job.kind, ASSUMED_SECONDS if seconds is None else seconds, basis)
    run = job.settings.get("run", job.settings)
    recipe = job.settings.get("finetune", run.get("training"))
    model = run["model"]
    rate, basis = known.rate(model["name"])
    total = 3 * operations(plan, model) * images(plan) * (recipe["epochs"] or 1)
    return Cost(job.kind, START + total / rate, basis)


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
    """Training images, from the split, the study or the dataset; else an assumption."""
    split, card = f"{plan.results}/split.json", f"data/{plan.dataset_key}/card.json"
    if Path(split).exists():
        return sum(read_json(split)["counts"]["train"])
    if plan.study.data.limit:
        return plan.study.data.limit
    if Path(card).exists():
        return int(read_json(card)["official"]["train"])
    return ASSUMED_IMAGES


def prices(plan: Plan) -> list[Cost]:
    """The price of every job that would run."""
    known = Experience()
    return [
        cost(plan, job, known)
        for _, output, job in listed(plan)
        if reason(output, job.record)
    ]


def gpu_hours(costs: Iterable[Cost]) -> float:
    """Hours in which a GPU is held."""
    return sum(cost.seconds for cost in costs if cost.kind in ON_GPU) / 3600


def told(plan: Plan, costs: list[Cost]) -> str:
    """The price as a table for a terminal."""
    if not costs:
        return f"{plan.place}: nothing to pay."
    lines = [f"{plan.place}: {len(costs)} jobs, about {hours(costs)}"]
    for kind in dict.fromkeys(cost.kind for cost in costs):
        part = [cost for cost in costs if cost.kind == kind]
        bases = ", ".join(dict.fromkeys(cost.basis for cost in part))
        seconds = sum(cost.seconds for cost in part)
        lines.append(
            f"  {kind:10} {len(part):5} × {seconds / len(part):8.0f} s  ({bases})"
        )
    return "\n".join(lines)


def hours(costs: list[Cost]) -> str:
    """Total job hours and the GPU-hours among them."""
    total = sum(cost.seconds for cost in costs) / 3600
    return f"{total:.2f} job-hours, {gpu_hours(costs):.2f} of them with a GPU"


def check_budget(plans: Iterable[Plan], budget: float | None) -> None:
    """Refuse to start what costs more GPU-hours than `budget`.

    Raises:
        LabmillError: the predicted price is above it, or it is no number.
    """
    if budget is None:
        return
    if isinstance(budget, bool) or not isinstance(budget, int | float):
        raise LabmillError(
            f"config.yaml: budget: {budget!r} is not a number of GPU-hours"
        )
    chosen = {plan.place: prices(plan) for plan in plans}
    price = sum(map(gpu_hours, chosen.values()))
    if price > budget:
        raise LabmillError(
            f"{', '.join(chosen)}: about {price:.2f} GPU-hours, above the budget of "
            f"{budget:g}. See `make plan`, or raise `budget` in config.yaml"
        )


def main(place: str) -> None:
    """Print why each job runs, and the price."""
    from labmill.cluster.script import read
    from labmill.explain import explanation
    from labmill.workflow import ROOT, tell
    from labmill.workflow import plan as plan_of

    tell(read(ROOT / "config.yaml"))
    plan = plan_of(place)
    print(explanation(plan))
    print(told(plan, prices(plan)))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except LabmillError as error:
        sys.exit(f"Error: {error}")
