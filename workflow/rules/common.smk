"""The context of this process, the wildcards' constraints, and functions for the rules.

Nothing is decided here: the functions look up a job of the study's plan (labmill.plan).
"""

import sys
from dataclasses import asdict

from labmill.cluster import site
from labmill.cluster.rule_resources import rule_resources
from labmill.core.errors import LabmillError
from labmill.core.snakemake_internals import prepare_scripts
from labmill.plan import outputs
from labmill.plan.search_rounds import up_to
from labmill.workflow.context import WorkflowContext, requested_records

try:
    context = WorkflowContext.start(workflow, config)
except LabmillError as error:
    sys.exit(f"Error: {error}")
prepare_scripts()


def set_site_resources():
    try:
        site.set_site_resources(workflow, config)
    except LabmillError as error:
        sys.exit(f"Error: {error}")


wildcard_constraints:
    study=r"(?:(?:smoke|laptop)/)?[a-z][a-z0-9_]*",
    variant=r"[a-z][a-z0-9_]*",
    seed=r"\d+",
    stage=r"dense|pretext|epochs\d+|[a-z][a-z0-9_]*_(?:\d+|scratch|longer)",
    loop=r"[a-z][a-z0-9_]*",
    step=r"[1-9]\d*",
    search=r"[a-z][a-z0-9_]*",
    round=r"[1-9]\d*",
    epochs=r"[1-9]\d*",
    control=r"scratch|longer",
    weights=r"[a-z]+\.[A-Za-z0-9_.]+(?:-[0-9a-f]+)?",
    dataset=r"[a-z][a-z0-9_]*(?:-[0-9a-f]+)?",


# Each of these returns the function that Snakemake calls with a job's wildcards.


def job_params(rule):
    """The record of a job: when it changes, the job runs again."""

    def params(wildcards):
        return context.job(rule, wildcards).params

    return params


def job_input(rule, name):
    """An input that the study decides; [] where the job has none."""

    def files(wildcards):
        plan = context.plan(wildcards.study)
        return plan.planned_job(rule, dict(wildcards.items())).inputs[name]

    return files


def job_state(rule):
    """The folder of a training's resumable state."""

    def folder(wildcards):
        plan = context.plan(wildcards.study)
        return plan.planned_job(rule, dict(wildcards.items())).state

    return folder


def dataset_file(name):
    """A file of the study's dataset."""

    def file(wildcards):
        return f"data/{context.plan(wildcards.study).dataset_key}/{name}"

    return file


def split_file(name):
    """A file of the split that a run uses."""

    def file(wildcards):
        seed = wildcards.get("seed")
        plan = context.plan(wildcards.study)
        return f"{plan.split_folder(int(seed) if seed else None)}/{name}"

    return file


def training_threads(wildcards):
    plan = context.plan(wildcards.study)
    return plan.threads(wildcards.variant, workflow.resource_settings.cores)


def all_cores(wildcards):
    return workflow.resource_settings.cores or 4


# What depends on results, or is read besides files.


def checkpoint_input(rule, name):
    """An input that the results of checkpoints decide."""

    def files(wildcards):
        plan, at = context.plan(wildcards.study), dict(wildcards.items())
        records = requested_records(wildcards, checkpoints)
        return plan.planned_job(rule, at, records).inputs[name]

    return files


def round_index(wildcards):
    plan = context.plan(wildcards.study)
    records = requested_records(wildcards, checkpoints)
    return outputs.round_index(plan, int(wildcards.round), records)


def round_files(wildcards):
    return outputs.results_files(round_index(wildcards))


def round_runs(wildcards):
    return outputs.unordered(round_index(wildcards))


def next_steps(wildcards):
    return context.request_next_steps(wildcards, checkpoints)


def fixed_files(wildcards):
    plan = context.plan(wildcards.study)
    return [] if context.partial else outputs.fixed_files(plan)


def results_files(wildcards):
    return outputs.results_files(context.index(wildcards, checkpoints))


def results_index(wildcards):
    return outputs.unordered(context.index(wildcards, checkpoints))


def point_runs(wildcards):
    plan = context.plan(wildcards.study)
    records = requested_records(wildcards, checkpoints)
    if "round" in wildcards.keys():
        records = up_to(records, int(wildcards.round) - 1)
    return [asdict(run) for run in outputs.point_runs(plan, wildcards.search, records)]


def trial_runs(wildcards):
    plan = context.plan(wildcards.study)
    return [asdict(run) for run in outputs.trial_runs(plan, wildcards.variant)]
