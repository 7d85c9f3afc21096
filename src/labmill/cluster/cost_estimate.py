"""Estimate a study's cost before it starts: jobs, seconds, GPU-hours, and the basis."""

import ctypes
import os
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from labmill.cluster.network_speed import Network, NetworkCache, Speed, network_of
from labmill.cluster.rule_resources import on_gpu
from labmill.cluster.site import Site
from labmill.core import registry
from labmill.core.csv_tables import read_table
from labmill.core.files import read_json
from labmill.core.fingerprint import digest
from labmill.core.progress import duration
from labmill.core.trees import JsonObject, Settings
from labmill.data.records import Card, SplitSummary
from labmill.plan.job import Job
from labmill.plan.plan import Plan, PlannedJob
from labmill.plan.rerun_reasons import rerun_reason
from labmill.plan.search_rounds import upper_bound
from labmill.study.check_models import DATASETS

TRAINING = ("train", "pretrain", "pause", "prune", "control")
# Rules that take a machine for themselves, because they time what they run.
ALL_CORES = ("measure", "propose", "formulate")
# Where nothing was run yet: operations a second of training by device, seconds that a job
# needs around its training, seconds of other jobs (medians of our studies' on two cores).
ASSUMED_RATE = {"cpu": 5e9, "cuda": 1e12}
ASSUMED_START, ASSUMED_SECONDS = 3.0, 20.0
ASSUMED = {"split": 1.0, "evaluate": 2.0, "measure": 5.0, "summarize": 3.0}
ASSUMED |= dict.fromkeys(("select", "decide", "confirm"), 1.0)
# Of its epochs, what a training needs that may stop before; steps of an open pruning loop.
STOPPED_AT, OPEN_STEPS = 0.4, 5
ASSUMED_IMAGES, ASSUMED_OPERATIONS = 50_000, 1e7
# Images to train on before a dataset is there to be counted, where that is known.
OFFICIAL = {"digits": 1_437, "mnist": 60_000, "fashion_mnist": 60_000}
# Files of a job but for the weights, in MB.
FILES_MB = {"report": 8.0, "summarize": 1.0}
# Of three epochs on a hundred images only the start would be learnt.
LEFT_OUT = "smoke"


@dataclass(frozen=True)
class Cost:
    """One job's predicted seconds, and the basis of the prediction.

    Attributes:
        threads: cores that it takes.
        megabytes: that its outputs take on the disk.
        reads, makes: files.
    """

    kind: str
    seconds: float
    basis: str
    threads: int = 1
    megabytes: float = 0.0
    reads: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()


class Experience:
    """The durations of earlier jobs in this working directory, but for smoke scale.

    A training job takes a fixed part, its start and end, and its operations at the rate
    of its model's family; both are medians over the runs on the same device.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.rates: dict[str, list[float]] = {}
        # Seconds per image of one network, by its name and arguments.
        self.networks: dict[str, list[float]] = {}
        self.fixed: list[float] = []
        for path in Path("results").glob("**/model.json"):
            if path.parts[1] != LEFT_OUT:
                with suppress(OSError, ValueError, KeyError, IndexError):
                    self.learn(path)

    def learn(self, path: Path) -> None:
        """Add one run, by its model.json."""
        made = read_json(path)
        if made["training"]["device"] != self.device:
            return
        history = read_table(path.with_name("history.csv"))
        last = history[-1]
        seconds = float(last["seconds"])
        if seconds:
            rate = float(last["operations"]) / seconds
            self.rates.setdefault(made["name"], []).append(rate)
            if speed := median_speed(history):
                key = digest([made["name"], made["arguments"]])
                self.networks.setdefault(key, []).append(1 / speed)
        # A benchmark is of the last attempt alone.
        if not made["training"]["resumed_at"]:
            _, *study, variant, seed, stage = path.parent.parts
            kind = made["provenance"]["kind"]
            name = ".".join(["/".join(study), variant, seed])
            name += f".{stage}" if kind in ("prune", "control") else ""
            took = read_table(Path(f"benchmarks/{kind}/{name}.tsv"), "\t")[-1]
            self.fixed.append(float(took["s"]) - seconds)

    def seconds(self, kind: str) -> tuple[float, str]:
        """Return the median of a rule's earlier jobs, and its basis."""
        paths = Path("benchmarks", kind).glob("**/*.tsv")
        kept = [path for path in paths if path.parts[2] != LEFT_OUT]
        if found := [
            float(row["s"]) for path in kept for row in read_table(path, "\t")
        ]:
            return statistics.median(found), "earlier jobs of its kind"
        return assumed_seconds(kind), "assumed"

    def start(self) -> float:
        """Return the seconds that a training job needs around its training."""
        return statistics.median(self.fixed or [ASSUMED_START])

    def rate(self) -> tuple[float, str]:
        """Return the operations per second of any training, and its basis."""
        if known := [rate for rates in self.rates.values() for rate in rates]:
            return statistics.median(known), "FLOPs at the rate of other models' runs"
        return ASSUMED_RATE[self.device], "FLOPs at an assumed rate"


def assumed_seconds(kind: str) -> float:
    """Return how long a job that trains nothing is taken to last where none was run."""
    return ASSUMED.get(kind, ASSUMED_SECONDS)


def median_speed(history: list[Settings]) -> float | None:
    """Return the images per second of a training's usual epoch."""
    speeds = [row["images_per_second"] for row in history if "images_per_second" in row]
    return statistics.median(speeds) if speeds else None


@dataclass(frozen=True)
class Estimator:
    """The costs of a study's jobs, from what is known of its networks.

    Attributes:
        networks: of the trainings, by the output of the job.
        cores: of the machine that the jobs run on.
    """

    plan: Plan
    known: Experience
    cache: NetworkCache
    networks: Mapping[str, Network]
    cores: int

    @classmethod
    def of(
        cls,
        plan: Plan,
        jobs: Iterable[PlannedJob],
        known: Experience,
        cache: NetworkCache,
    ) -> "Estimator":
        """Return the estimator of these jobs, with networks counted where needed."""
        cores = os.cpu_count() or 1
        networks = {}
        for planned in jobs:
            if planned.rule in TRAINING and (found := network(plan, planned, cores)):
                networks[planned.output] = found
        cache.count(networks.values())
        return cls(plan, known, cache, networks, cores)

    def speed(self, network: Network) -> tuple[Speed, str] | None:
        """Return the measured speed of a network or that of its earlier runs."""
        found = self.cache.speed(network, self.known.device)
        key = digest([network.name, dict(network.arguments)])
        earlier = self.known.networks.get(key)
        if earlier and not (found and found[1] == "measured"):
            seconds = statistics.median(earlier)
            return Speed(seconds, seconds / 3), "earlier runs of this network"
        return found

    def rate(self, model: str) -> tuple[float, str]:
        """Return the operations per second of a model's training, and its basis."""
        if earlier := self.known.rates.get(model):
            return statistics.median(earlier), f"earlier runs of {model}"
        if self.known.device == "cpu" and (
            rate := self.cache.delivered.rates.get(model)
        ):
            return rate, f"FLOPs at the rate of {model} elsewhere"
        return self.known.rate()

    def cost(self, planned: PlannedJob) -> Cost:
        """Estimate the cost of one job."""
        job = planned.job
        if job.kind in TRAINING:
            seconds, basis = self.training(planned)
        else:
            seconds, basis = self.known.seconds(job.kind)
        reads = [
            path
            for value in planned.inputs.values()
            for path in ([value] if isinstance(value, str) else value)
        ]
        at = planned.wildcards.get("variant", "")
        cores = threads(self.plan, planned.rule, at, self.cores)
        made, size = tuple(planned.outputs.values()), self.megabytes(planned)
        return Cost(job.kind, seconds, basis, cores, size, tuple(reads), made)

    def megabytes(self, planned: PlannedJob) -> float:
        """Estimate the size of a job's outputs."""
        facts = self.plan.facts
        if planned.rule == "download" and facts["image_size"] and facts["in_channels"]:
            return (
                labelled_images(self.plan)
                * facts["image_size"] ** 2
                * facts["in_channels"]
                / 1e6
            )
        counted = self.counted(planned)
        return FILES_MB.get(planned.rule, 0.1) + (
            4 * counted[1] / 1e6 if counted else 0
        )

    def counted(self, planned: PlannedJob) -> tuple[float, int] | None:
        """Return the operations and parameters of the network that a job trains."""
        if network := self.networks.get(planned.output):
            return self.cache.counted(network, self.networks.values())
        return None

    def training(self, planned: PlannedJob) -> tuple[float, str]:
        """Estimate the seconds of a training, and name the basis."""
        run, recipe = settings_of(planned.job)
        epochs = planned.job.settings.get("epochs") or epochs_of(recipe)
        if "paused" in planned.job.consumes:
            epochs -= self.plan.earlier_rungs(run["variant"], planned.stage)[-1]
        if control := planned.wildcards.get("control"):
            loop = self.plan.study.pruning[planned.wildcards["loop"]]
            epochs *= min(loop.steps, OPEN_STEPS) if loop.open_ended else loop.steps
            epochs += epochs_of(run["training"]) if control == "scratch" else 0
        trained = min(images(self.plan), recipe["labels"] or 10**12) * epochs
        network = self.networks.get(planned.output)
        if network and (found := self.speed(network)):
            speed, basis = found
            validated = part_sizes(self.plan)[1] * epochs / recipe["evaluate_every"]
            seconds = speed.training * trained + speed.forward * validated
            return self.known.start() + seconds, basis
        rate, basis = self.rate(run["model"]["name"])
        counted = self.counted(planned)
        operations = counted[0] if counted else ASSUMED_OPERATIONS
        return self.known.start() + 3 * operations * trained / rate, basis


def epochs_of(recipe: Settings) -> float:
    """Return how many epochs a training takes, as far as its settings show it."""
    epochs = (recipe["until"] or {}).get("max_epochs") or recipe["epochs"] or 1
    stops = any(recipe[key] for key in ("until", "converged", "early_stopping"))
    return float(epochs) * (STOPPED_AT if stops else 1)


def settings_of(job: Job) -> tuple[Settings, Settings]:
    """Return the run's settings of a training job, and those of its training."""
    run = job.settings.get("run", job.settings)
    return run, job.settings.get("finetune", run.get("training"))


def network(plan: Plan, planned: PlannedJob, cores: int) -> Network | None:
    """Return the network that a job trains; None where only the data show its shape."""
    run, recipe = settings_of(planned.job)
    return network_of(plan, run, recipe, plan.threads(run["variant"], cores))


def images(plan: Plan) -> int:
    """Return the images to train on, from the split, the study or the dataset."""
    return part_sizes(plan)[0]


def part_sizes(plan: Plan) -> tuple[int, int]:
    """Return the images to train on, and those that each epoch is validated on."""
    split, data = Path(plan.results, "split.json"), plan.study.data
    if split.exists():
        sizes = SplitSummary.read(split).sizes
        return sizes["train"], sizes["validation"]
    whole, part = labelled_images(plan), data.validation
    number = whole * part if part < 1 else part * (plan.facts["num_classes"] or 10)
    kept = min(1.0, data.limit / whole) if data.limit else 1.0
    return round((whole - number) * kept), round(number * kept)


def labelled_images(plan: Plan) -> int:
    """Return the images of a dataset that are not its test images."""
    dataset, card = plan.study.data, Path(f"data/{plan.dataset_key}/card.json")
    if card.exists():
        return Card.read(card).official.train
    if dataset.dataset == "image_folder":
        return sum(sum(n) for part, n in plan.image_parts().items() if part != "test")
    given = dataset.arguments.get("train")
    whole = int(given or OFFICIAL.get(dataset.dataset, ASSUMED_IMAGES))
    names = registry.constant(DATASETS, dataset.dataset, "CLASSES")
    if names and plan.facts["kind"] == "image":  # a study may have some classes only
        whole = whole * (plan.facts["num_classes"] or len(names)) // len(names)
    return whole


def threads(plan: Plan, rule: str, variant: str, cores: int) -> int:
    """Return the cores that a job takes on a machine with so many."""
    if rule in ALL_CORES:
        return cores
    if rule in TRAINING:
        return plan.threads(variant, cores)
    return 1


def device_of(config: JsonObject) -> str:
    """Return where jobs will train: by the site file, else by this machine."""
    if site := Site.of(config):
        return "cpu" if site.gpus == "none" else "cuda"
    return "cuda" if has_gpu() else "cpu"


def has_gpu() -> bool:
    """Return True if torch will find a GPU, without importing torch for seconds."""
    if version("torch").endswith("+cpu"):
        return False
    try:
        driver, count = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
        return (
            not driver.cuInit(0)
            and not driver.cuDeviceGetCount(ctypes.byref(count))
            and count.value > 0
        )
    except (OSError, AttributeError):
        return False


def costs_of(
    plan: Plan,
    device: str,
    known: Experience | None = None,
    cache: NetworkCache | None = None,
) -> list[Cost]:
    """Estimate the cost of every job that would run, with the most seeds.

    Args:
        plan: of the study.
        device: `cpu` or `cuda`.
        known: earlier jobs; read here where there is none.
        cache: what is known of networks; read here where there is none.
    """
    jobs = [
        planned
        for planned in plan.jobs(upper_bound(plan))
        if rerun_reason(planned.output, planned.job.record)
    ]
    known, cache = known or Experience(device), cache or NetworkCache()
    estimator = Estimator.of(plan, jobs, known, cache)
    return [estimator.cost(planned) for planned in jobs]


def measure(plan: Plan, device: str) -> None:
    """Measure the speed of each network that a study would train, on this machine."""
    NetworkCache().measure(networks(plan, os.cpu_count() or 1), device)


def networks(plan: Plan, cores: int) -> Iterator[Network]:
    """Yield the network of each training that would run."""
    for planned in plan.jobs(upper_bound(plan)):
        if (
            planned.rule in TRAINING
            and rerun_reason(planned.output, planned.job.record)
            and (found := network(plan, planned, cores))
        ):
            yield found


def time_here(costs: Sequence[Cost], cores: int) -> float:
    """Return the seconds that jobs need on so many cores of this machine.

    At least as long as their longest chain, and as all cores need for all work.
    """
    makers = {path: number for number, cost in enumerate(costs) for path in cost.makes}
    ends: dict[int, float] = {}

    def end(number: int) -> float:
        if number not in ends:
            before = {makers[path] for path in costs[number].reads if path in makers}
            first = max(map(end, before - {number}), default=0.0)
            ends[number] = first + costs[number].seconds
        return ends[number]

    work = sum(cost.seconds * min(cost.threads, cores) for cost in costs)
    return max(work / cores, max(map(end, range(len(costs))), default=0.0))


def gpu_hours(costs: Iterable[Cost]) -> float:
    """Return the hours in which a GPU is held, where there are any."""
    return sum(cost.seconds for cost in costs if on_gpu(cost.kind)) / 3600


def cost_table(plan: Plan, costs: list[Cost], *, here: bool = True) -> str:
    """Return the cost as a table for a terminal.

    Args:
        plan: of the study.
        costs: of its jobs that would run.
        here: whether this machine runs them; else a cluster.
    """
    done = sum(1 for _ in plan.jobs(upper_bound(plan))) - len(costs)
    reused = f"; {done} more are up to date" if done else ""
    if not costs:
        return f"{plan.study_path}: nothing to run{reused}."
    cores = os.cpu_count() or 1
    when = f"about {duration(time_here(costs, cores))} on the {cores} cores of this machine"
    total = sum(cost.seconds for cost in costs) / 3600
    gpu = f", {gpu_hours(costs):.2f} of them with a GPU" if not here else ""
    most = "at most " if plan.study.rounds else ""
    lines = [
        f"{plan.study_path}: {most}{len(costs)} jobs{reused}",
        f"  time: {when} ({total:.2f} job-hours)"
        if here
        else f"  time: {total:.2f} job-hours{gpu}; the queue decides when",
    ]
    least = {planned.output for planned in plan.jobs()}
    if plan.study.rounds and (sure := [c for c in costs if c.makes[0] in least]):
        hours = sum(cost.seconds for cost in sure) / 3600
        lines.append(
            f"  at least {len(sure)} jobs ({hours:.2f} job-hours); the others only where "
            "a question stays undecided"
        )
    for kind in dict.fromkeys(cost.kind for cost in costs):
        part = [cost for cost in costs if cost.kind == kind]
        bases = ", ".join(dict.fromkeys(cost.basis for cost in part))
        seconds = sum(cost.seconds for cost in part)
        lines.append(
            f"  {kind:10} {len(part):5} × {seconds / len(part):8.0f} s  ({bases})"
        )
    return "\n".join(lines)


def scales_table(costs: Mapping[str, list[Cost]]) -> str:
    """Return what each scale of a study costs on this machine, from its costs."""
    lines = ["  scale    jobs     time here     disk"]
    cores = os.cpu_count() or 1
    for scale, part in costs.items():
        size = sum(cost.megabytes for cost in part)
        when = duration(time_here(part, cores))
        lines.append(f"  {scale:8}{len(part):5}{when:>14}{size:6.0f} MB")
    return "\n".join(lines)


def estimates(plans: Iterable[Plan], config: JsonObject) -> dict[Plan, list[Cost]]:
    """Estimate the costs of several studies."""
    device = device_of(config)
    known, cache = Experience(device), NetworkCache()
    return {plan: costs_of(plan, device, known, cache) for plan in plans}


def over_budget(costs: Mapping[Plan, list[Cost]], budget: float | None) -> str | None:
    """Return why these studies may not start; None within the budget or without one."""
    price = sum(map(gpu_hours, costs.values()))
    if budget is None or price <= budget:
        return None
    return (
        f"{', '.join(plan.study_path for plan in costs)}: about {price:.2f} GPU-hours, above "
        f"the budget of {budget:g}. See `make plan`, or raise `budget` in config.yaml"
    )
