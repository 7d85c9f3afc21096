"""All jobs of a study: what each runs, depends on, and is out of date against."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labmill.core import registry
from labmill.core.fingerprint import digest
from labmill.core.trees import Settings, differences
from labmill.plan.analyses import ANALYSES
from labmill.plan.checkpoints import CheckpointRecords, all_unfinished, on_disk
from labmill.plan.job import Job, cached_job
from labmill.plan.job_files import (
    Inputs,
    Wildcards,
    job_inputs,
    job_log,
    job_outputs,
    stage_of,
)
from labmill.plan.outputs import (
    EditRecord,
    Record,
    SearchRecord,
    StageRecord,
    results_index,
    rounds_made,
)
from labmill.plan.report_jobs import report_job, signed, topics
from labmill.plan.run_jobs import RunJobs
from labmill.plan.search_rounds import read_rounds, round_of
from labmill.study.load import load_study
from labmill.study.pictures import pictures_in

# The sections of a study that its verdicts depend on.
STATISTICAL = (
    "seeds",
    "data",
    "variants",
    "defaults",
    "compare",
    "margin",
    "metrics",
    "lessons",
)
TRAINED = ("train", "pretrain", "pause", "prune", "control")


@dataclass(frozen=True)
class PlannedJob:
    """One job of the workflow."""

    rule: str  # the rule that runs it
    wildcards: Wildcards  # of the rule, but for the study
    inputs: Inputs  # the files that it reads, by the rule's names
    outputs: dict[str, str]  # the files that it makes; the first stands for the job
    job: Job  # its params
    log: str  # its log file
    state: str = ""  # the folder of a training's resumable state; else empty

    @property
    def output(self) -> str:
        """The file that stands for the job."""
        return next(iter(self.outputs.values()))

    @property
    def stage(self) -> str:
        """The stage of the run that it works on; empty for a job of no run."""
        return stage_of(self.rule, self.wildcards) if "seed" in self.wildcards else ""

    @property
    def subject(self) -> str:
        """What it works on, in words: `cnn seed 0 prune_1`, `the study`."""
        at = self.wildcards
        if "seed" in at and "variant" in at:
            stage = "" if self.stage == "dense" else f" {self.stage}"
            return f"{at['variant']} seed {at['seed']}{stage}"
        if "seed" in at:
            return f"seed {at['seed']}"
        named = ("variant", "search", "dataset", "weights")
        found = next((at[key] for key in named if key in at), None)
        if "round" in at:
            return f"{found} round {at['round']}" if found else f"round {at['round']}"
        return found or "the study"


class Plan(RunJobs):
    """All jobs of one study at one scale; see `PlannedStudy` for the arguments."""

    def jobs(self, records: CheckpointRecords | None = None) -> Iterator[PlannedJob]:
        """Yield every job of the study, as far as results show where loops end.

        `records` reads what checkpoints made; by default from the results.
        """
        records = records or on_disk(self)
        yield self.planned_job("download", {"dataset": self.dataset_key}, records)
        for key in self.weights:
            yield self.planned_job("weights", {"weights": key}, records)
        for rule, at in self.splits:
            yield self.planned_job(rule, at, records)
        for record in results_index(self, records):
            for rule, wildcards in self._rules_of(record, records):
                yield self.planned_job(rule, wildcards, records)
        for number in rounds_made(self, records):
            yield self.planned_job("decide", {"round": str(number)}, records)
        yield self.planned_job("summarize", {}, records)
        yield self.planned_job("report", {}, records)

    def _rules_of(
        self, record: Record, records: CheckpointRecords
    ) -> Iterator[tuple[str, Wildcards]]:
        """Yield the rules that make the files of a record, with their wildcards."""
        match record:
            case SearchRecord(search):
                for number in range(read_rounds(self, search, records).number):
                    yield "round", round_of(search, number + 1)
                yield "select", {"search": search}
            case EditRecord(variant):
                yield "propose", {"variant": variant}
                yield "confirm", {"variant": variant}
            case StageRecord(variant=variant, seed=seed, stage=stage, files=files):
                run = {"variant": variant, "seed": str(seed)}
                loop, _, last = stage.rpartition("_")
                if not loop:
                    for end in self.earlier_rungs(variant, stage):
                        yield "pause", run | {"epochs": str(end)}
                    kind = self.stage_job(variant, seed, stage).kind
                    at = {"epochs": stage.removeprefix("epochs")}
                    yield kind, run | (at if kind == "pause" else {})
                elif last.isdigit():
                    yield "prune", run | {"loop": loop, "step": last}
                else:
                    yield "control", run | {"loop": loop, "control": last}
                staged = run | {"stage": stage}
                if "metrics" in files:
                    yield "evaluate", staged
                if "measure" in files:
                    yield "measure", staged
                for kind in ANALYSES:
                    if kind in files:
                        yield kind, staged if kind == "represent" else run

    def planned_job(
        self,
        rule: str,
        wildcards: Mapping[str, str],
        records: CheckpointRecords = all_unfinished,
    ) -> PlannedJob:
        """Return one job by its rule and the rule's wildcards."""
        outputs, job = job_outputs(self, rule, wildcards), self.job(rule, wildcards)
        inputs = job_inputs(self, rule, wildcards, records)
        state = ""
        if rule in TRAINED:
            # Next to the outputs and not one of them: Snakemake deletes the declared
            # outputs of a failed job.
            folder = outputs["model"].rpartition("/")[0]
            state = f"{folder}/state/{job.fingerprint}"
        log = job_log(self.study_path, rule, wildcards)
        return PlannedJob(rule, wildcards, inputs, outputs, job, log, state)

    def job(self, rule: str, wildcards: Wildcards) -> Job:
        """Return the params of one job by its rule and the rule's wildcards."""
        variant, seed = wildcards.get("variant", ""), int(wildcards.get("seed", "0"))
        match rule:
            case "download":
                return self.download_job()
            case "weights":
                return self.weights_job(wildcards["weights"])
            case "split":
                return self.split_job()
            case "split_for_seed":
                return self.split_job(seed)
            case "train" | "pretrain" | "pause" | "prune" | "control":
                return self.stage_job(variant, seed, stage_of(rule, wildcards))
            case "evaluate":
                return self.evaluate_job(variant, seed, wildcards["stage"])
            case "measure":
                return self.measure_job(variant, seed, wildcards["stage"])
            case "select":
                return self.select_job(wildcards["search"])
            case "round":
                return self.round_job(wildcards["search"], int(wildcards["round"]))
            case "propose":
                return self.propose_job(variant)
            case "confirm":
                return self.confirm_job(variant)
            case "decide":
                return self.decide_job(int(wildcards["round"]))
            case "summarize":
                return self.summarize_job()
            case "report":
                return self.report_job()
            case _:
                return self.analysis_job(rule, variant, seed)

    @cached_job
    def decide_job(self, number: int) -> Job:
        """Decide after a round which variants get more seeds."""
        assert self.study.rounds is not None
        runs = {
            f"{entry.name} seed {seed}": self.evaluate_job(
                entry.name, seed, "dense"
            ).fingerprint
            for entry in self.variants
            for seed in range(self.study.rounds.looks[number - 1])
        }
        consumes = {"runs": digest(runs)}
        if number > 1:
            consumes["the round before"] = self.decide_job(number - 1).fingerprint
        study = in_order(signed(self, self.study))
        settings = {key: study[key] for key in STATISTICAL} | {"round": number}
        own = [registry.code_of("metrics", name) for name in self.study.metrics]
        code = ("report.rounds", *own)
        return Job("decide", settings, code, ("numpy", "scipy"), consumes)

    @cached_job
    def summarize_job(self) -> Job:
        """Collect all results of the study into one table."""
        settings, consumed = self.report_settings(), self.consumed()
        own = (registry.code_of("metrics", name) for name in self.study.metrics)
        code = ("report.summarize", *topics("report/claims"), *own)
        return Job("summarize", settings, code, ("scipy",), consumed)

    @cached_job
    def report_job(self) -> Job:
        """Write the report, which shows how the study runs on a cluster too."""
        settings = self.report_settings() | {"slurm": self.slurm}
        return report_job(settings, self.summarize_job().fingerprint)

    def consumed(self) -> dict[str, str]:
        """Return label → fingerprint of every job whose files the summary reads.

        Prune loops are taken to their last step, and variants to their last seed: only
        results show where they end. A training is behind each of the jobs of its stages.
        """
        found = {}
        for record in results_index(self, all_unfinished):
            for rule, at in self._rules_of(record, all_unfinished):
                job = self.job(rule, at)
                match record:
                    case SearchRecord(search) if rule == "select":
                        found[f"search {search}"] = job.fingerprint
                    case EditRecord(variant):
                        found[f"edits of {variant}"] = job.fingerprint
                    case StageRecord(kind="variant" | "pretext") if rule not in TRAINED:
                        label = f"{record.variant} seed {record.seed} {record.stage}"
                        found[f"{label} {rule}"] = job.fingerprint
        return found

    def report_settings(self) -> Settings:
        """Return the study for the report, and what its scale reduced."""
        study = full = signed(self, self.study)
        if self.scale != "full":
            full = signed(self, load_study(self.path)[0])
        reduced = list(differences(full, study))
        settings = {"study": in_order(study), "scale": self.scale, "reduced": reduced}
        if self.changes:
            settings["changes"] = self.changes
        texts = [self.study.question, *self.study.report.text.values()]
        if pictures := pictures_in(texts, self.path.parent):
            settings["pictures"] = pictures
        return settings


def in_order(study: Settings) -> Settings:
    """Return a study's record with the order of its questions and levels.

    Keys are sorted on the way, but the first level is the reference, and the report
    shows questions in the study's order.
    """
    for position, question in enumerate(study["compare"].values()):
        question |= {"order": list(question["levels"]), "place": position}
    return study
