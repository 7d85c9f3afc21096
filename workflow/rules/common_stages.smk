"""More functions of two lines: for looks, prune loops, searches and edits.

As in common.smk nothing is decided here.
"""


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
