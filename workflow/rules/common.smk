"""The plans, the wildcards' constraints, and functions of two lines for the rules.

Nothing is decided here: every function asks the study's plan (labmill.plan).
"""

import sys

from labmill import closing, edits, index, looks
from labmill import workflow as mill
from labmill.cluster import site
from labmill.errors import LabmillError

try:
    PLACES = mill.start(workflow, config)
except LabmillError as error:
    sys.exit(f"Error: {error}")


def place_jobs():
    try:
        site.place(workflow, config)
    except LabmillError as error:
        sys.exit(f"Error: {error}")


wildcard_constraints:
    study=r"(?:(?:smoke|laptop)/)?[a-z][a-z0-9_]*",
    variant=r"[a-z][a-z0-9_]*",
    seed=r"\d+",
    stage=r"dense|pretext|[a-z][a-z0-9_]*_(?:\d+|scratch|longer)",
    loop=r"[a-z][a-z0-9_]*",
    step=r"[1-9]\d*",
    control=r"scratch|longer",
    dataset=r"[a-z][a-z0-9_]*(?:-[0-9a-f]+)?",


def plan_of(wildcards):
    return mill.plan(wildcards.study)


def folder(wildcards, stage):
    return plan_of(wildcards).folder(wildcards.variant, wildcards.seed, stage)


def download_job(wildcards):
    return mill.download_job(wildcards.dataset).params


def dataset_images(wildcards):
    return f"data/{plan_of(wildcards).dataset_key}/images.npy"


def dataset_labels(wildcards):
    return f"data/{plan_of(wildcards).dataset_key}/labels.npy"


def dataset_card(wildcards):
    return f"data/{plan_of(wildcards).dataset_key}/card.json"


def split_job(wildcards):
    return plan_of(wildcards).split_job().params


def train_job(wildcards):
    return plan_of(wildcards).train_job(wildcards.variant, wildcards.seed).params


def train_state(wildcards):
    return plan_of(wildcards).state(wildcards.variant, wildcards.seed, "dense")


def pretrain_state(wildcards):
    return plan_of(wildcards).state(wildcards.variant, wildcards.seed, "pretext")


def train_threads(wildcards):
    return plan_of(wildcards).threads(
        wildcards.variant, workflow.resource_settings.cores
    )


def all_cores(wildcards):
    return workflow.resource_settings.cores or 4


def start_weights(wildcards):
    start = plan_of(wildcards).pretext_model(wildcards.variant, wildcards.seed)
    return f"{start}/model.safetensors" if start else []


def chosen_file(wildcards):
    plan = plan_of(wildcards)
    return plan.choice_file(plan.entry(wildcards.variant)) or []


def evaluate_job(wildcards):
    return plan_of(wildcards).evaluate_job(**job_of(wildcards)).params


def measure_job(wildcards):
    return plan_of(wildcards).measure_job(**job_of(wildcards)).params


def job_of(wildcards):
    return {key: wildcards[key] for key in ("variant", "seed", "stage")}


def summarize_job(wildcards):
    return closing.summarize_job(plan_of(wildcards)).params


def results_of(wildcards):
    return mill.results_index(wildcards, checkpoints, config.get("partial", False))


def results_index(wildcards):
    return index.unordered(results_of(wildcards))


def fixed_files(wildcards):
    return mill.fixed_files(wildcards, config.get("partial", False))


def next_steps(wildcards):
    return mill.next_steps(wildcards, checkpoints, config.get("partial", False))


def results_files(wildcards):
    return index.results_files(results_of(wildcards))


def overview_job(wildcards):
    return mill.overview_job().params


def report_job(wildcards):
    return closing.report_job(plan_of(wildcards)).params


def mlflow_job(wildcards):
    return closing.mlflow_job(plan_of(wildcards)).params
