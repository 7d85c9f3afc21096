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


def look_job(kind, wildcards):
    run = (wildcards.variant, wildcards.seed)
    return looks.look_job(plan_of(wildcards), kind, *run).params


def examine_job(wildcards):
    return look_job("examine", wildcards)


def represent_job(wildcards):
    return look_job("represent", wildcards)


def influence_job(wildcards):
    return look_job("influence", wildcards)


def formulate_job(wildcards):
    return look_job("formulate", wildcards)


def job_of(wildcards):
    return {key: wildcards[key] for key in ("variant", "seed", "stage")}


def prune_job(wildcards):
    keys = ("loop", "variant", "seed", "step")
    return plan_of(wildcards).prune_job(**{k: wildcards[k] for k in keys}).params


def prune_state(wildcards):
    stage = f"{wildcards.loop}_{wildcards.step}"
    return plan_of(wildcards).state(wildcards.variant, wildcards.seed, stage)


def previous_stage(wildcards):
    step = int(wildcards.step) - 1
    return folder(wildcards, f"{wildcards.loop}_{step}" if step else "dense")


def previous_model(wildcards):
    return f"{previous_stage(wildcards)}/model.safetensors"


def previous_description(wildcards):
    return f"{previous_stage(wildcards)}/model.json"


def previous_record(wildcards):
    return f"{previous_stage(wildcards)}/prune.json" if wildcards.step != "1" else []


def pruned_steps(wildcards):
    return mill.steps(wildcards, checkpoints)


def control_job(wildcards):
    keys = ("loop", "variant", "seed", "control")
    return plan_of(wildcards).control_job(**{k: wildcards[k] for k in keys}).params


def control_state(wildcards):
    stage = f"{wildcards.loop}_{wildcards.control}"
    return plan_of(wildcards).state(wildcards.variant, wildcards.seed, stage)


def select_job(wildcards):
    return plan_of(wildcards).select_job(wildcards.search).params


def point_files(wildcards):
    return index.point_files(plan_of(wildcards), wildcards.search)


def search_base(wildcards):
    return index.search_base(plan_of(wildcards), wildcards.search)


def search_points(wildcards):
    return index.point_runs(plan_of(wildcards), wildcards.search)


def propose_job(wildcards):
    return edits.propose_job(plan_of(wildcards), wildcards.variant).params


def profiled_measure(wildcards):
    return edits.profiled_file(plan_of(wildcards), wildcards.variant, "measure.json")


def profiled_description(wildcards):
    return edits.profiled_file(plan_of(wildcards), wildcards.variant, "model.json")


def confirm_job(wildcards):
    return edits.confirm_job(plan_of(wildcards), wildcards.variant).params


def trial_files(wildcards):
    return edits.trial_files(plan_of(wildcards), wildcards.variant)


def trial_runs(wildcards):
    return edits.trials(plan_of(wildcards), wildcards.variant)


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
