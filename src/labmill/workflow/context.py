"""What one Snakemake process has read: its config and the plans of its studies.

workflow/rules/common.smk creates the one object; `labmill plan` creates another.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from labmill.cluster import failures, site
from labmill.cluster.batch_script import batch_lines
from labmill.cluster.slurm_queries import user_name
from labmill.core.errors import LabmillError, suggest
from labmill.core.files import read_json
from labmill.core.snakemake_internals import (
    command_line_targets,
    plan_faster,
    repair_list_changes,
    request_steps,
)
from labmill.core.trees import JsonObject, Settings
from labmill.plan import outputs, status
from labmill.plan.checkpoints import CheckpointRecords, on_disk
from labmill.plan.job import Job
from labmill.plan.outputs import Record
from labmill.plan.plan import Plan
from labmill.plan.search_rounds import read_rounds
from labmill.study.scales import SCALES
from labmill.study.schema import Author
from labmill.workflow import targets
from labmill.workflow.config import correct_config, read_config
from labmill.workflow.controller import Controller


class WorkflowContext:
    """The settings of one process, and the plans that it has made."""

    def __init__(self, config: Settings) -> None:
        checked = read_config(config)
        config["partial"] = checked.partial
        self.config, self.partial = config, checked.partial
        prefix = "" if checked.scale == "full" else f"{checked.scale}/"
        self.configured = [f"{prefix}{name}" for name in checked.studies or ()]
        self.changes = checked.set
        self.author = read_author(config.get("author"))
        self.plans: dict[str, Plan] = {}

    @classmethod
    def start(cls, workflow: Any, config: Settings) -> "WorkflowContext":
        """Check all that was requested before anything runs."""
        # Snakemake and torch ask for it; a container's user may have none.
        os.environ.setdefault("USER", user_name())
        correct_config(workflow, config)
        if not workflow.is_main_process:
            return cls(config)
        site.find(workflow, config)
        context, requested = cls(config), command_line_targets()
        studies = targets.requested_studies(requested)
        targets.check_scale(studies, workflow.config_settings.config.get("scale"))
        for study_path in studies if requested else context.configured:
            context.plan(study_path).download_job()
        for target in requested:
            targets.check_target(target, context.plan)
        Controller(config, context.plans).extend(workflow)
        repair_list_changes()
        plan_faster()
        return context

    def plan(self, study_path: str) -> Plan:
        """Return the plan of `quickstart` or `smoke/quickstart`, made once."""
        if study_path not in self.plans:
            scale, _, name = study_path.rpartition("/")
            self.plans[study_path] = Plan(
                targets.study_file(name),
                scale or "full",
                author=self.author,
                slurm=self.slurm,
                changes=self.changes,
            )
        return self.plans[study_path]

    @cached_property
    def slurm(self) -> str:
        """The lines of a training job's batch script."""
        return batch_lines(self.config)

    def job(self, rule: str, wildcards: Any) -> Job:
        """Return the params of one job, by its rule and wildcards."""
        if rule == "overview":
            return self.overview_job
        if rule == "download":
            return self.download_job(wildcards.dataset)
        if rule == "weights":
            return self.weights_job(wildcards.weights)
        return self.plan(wildcards.study).job(rule, dict(wildcards.items()))

    def download_job(self, key: str) -> Job:
        """Return the download of a dataset's folder, for any study that uses it."""
        for plan in self.all_plans():
            if plan.dataset_key == key:
                return plan.download_job()
        raise LabmillError(f"data/{key}: no study uses this dataset")

    def weights_job(self, key: str) -> Job:
        """Return the download of pretrained weights, for any study that uses them."""
        for plan in self.all_plans():
            if key in plan.weights:
                return plan.weights_job(key)
        raise LabmillError(f"data/weights/{key}: no study uses these weights")

    def all_plans(self) -> Iterator[Plan]:
        """Yield the plans of all studies without a mistake, those made already first.

        A job of a cluster does not know which study was requested.
        """
        every = (
            status.study_path(name, scale)
            for name in sorted(targets.study_names())
            for scale in SCALES
        )
        for study_path in [*self.plans, *every]:
            with suppress(LabmillError):
                yield self.plan(study_path)

    @cached_property
    def overview_job(self) -> Job:
        """The index of all studies, from their files, the code and the results."""
        names = targets.study_names()
        found = status.studies_status(names, self.plan, Path("results"))
        return status.overview_job(found)

    def index(self, wildcards: Any, checkpoints: Any) -> list[Record]:
        """Return the files that a study's summary reads; if partial, those that exist."""
        plan = self.plan(wildcards.study)
        if self.partial:
            records = outputs.results_index(plan, on_disk(plan))
            return outputs.without_missing(records, failures.reason)
        return outputs.results_index(plan, requested_records(wildcards, checkpoints))

    def request_next_steps(self, wildcards: Any, checkpoints: Any) -> list[str]:
        """Request the next round of seeds, of every search, and step of every loop.

        [] when all have ended.
        """
        plan = self.plan(wildcards.study)
        steps = requested_records(wildcards, checkpoints)

        def requests() -> Iterator[Callable[[], object]]:
            yield partial(outputs.planned_seeds, plan, steps)
            for search in plan.study.search:
                yield partial(read_rounds, plan, search, steps)
            for entry in plan.variants:
                for seed in entry.seeds:
                    for loop in plan.loops(entry.name):
                        at = (plan, loop, entry.name, seed, steps)
                        yield partial(outputs.loop_stages, *at)

        request_steps(() if self.partial else requests())
        return []


def requested_records(wildcards: Any, checkpoints: Any) -> CheckpointRecords:
    """Return a function that requests a checkpoint and reads what it made."""

    def read(rule: str, at: Mapping[str, Any]) -> JsonObject:
        made = getattr(checkpoints, rule).get(study=wildcards.study, **at).output
        record: JsonObject = read_json(made.record)
        return record

    return read


def read_author(given: Any) -> dict[str, str]:
    """Return the author of config.yaml."""
    author = given or {}
    if not isinstance(author, dict):
        raise LabmillError(f"config.yaml: author: found {author!r}; a mapping")
    for key, value in author.items():
        if key not in Author.model_fields:
            hint = suggest(key, Author.model_fields)
            raise LabmillError(f"config.yaml: author: no key {key!r}; {hint}")
        if isinstance(value, dict | list | bool):
            raise LabmillError(f"config.yaml: author.{key}: found {value!r}; text")
    return {key: str(value) for key, value in author.items() if value is not None}
