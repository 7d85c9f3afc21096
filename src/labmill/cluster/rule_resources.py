"""What a job of each rule needs, on its first attempt.

The rules read their `resources` here; so do the cost estimate and the preflight, which
do not start Snakemake.
"""

Resources = dict[str, int]


def _gpu(mem_mb: int, runtime: int, **more: int) -> Resources:
    return {"gpu": 1, **more, "mem_mb": mem_mb, "runtime": runtime}


# mem_mb, runtime in minutes, and where a rule needs more than one core or a GPU,
# cpus_per_task and gpu.
RULES: dict[str, Resources] = {
    "download": {"mem_mb": 4000, "runtime": 60},
    "weights": {"mem_mb": 8000, "runtime": 60},
    "split": {"mem_mb": 2000, "runtime": 10},
    "split_for_seed": {"mem_mb": 2000, "runtime": 10},
    "train": _gpu(16000, 240, cpus_per_task=4),
    "pretrain": _gpu(16000, 240, cpus_per_task=4),
    "pause": _gpu(16000, 240, cpus_per_task=4),
    "prune": _gpu(16000, 120, cpus_per_task=4),
    "control": _gpu(16000, 240, cpus_per_task=4),
    "evaluate": _gpu(8000, 30),
    "measure": _gpu(16000, 30, cpus_per_task=4),
    "examine": _gpu(8000, 30),
    "represent": _gpu(8000, 30),
    "influence": _gpu(8000, 60),
    "formulate": _gpu(8000, 30),
    "round": {"mem_mb": 2000, "runtime": 10},
    "select": {"mem_mb": 2000, "runtime": 10},
    "propose": _gpu(16000, 60, cpus_per_task=4),
    "confirm": {"mem_mb": 2000, "runtime": 10},
    "decide": {"mem_mb": 4000, "runtime": 20},
    "summarize": {"mem_mb": 4000, "runtime": 20},
    "report": {"mem_mb": 4000, "runtime": 30},
    "overview": {"mem_mb": 2000, "runtime": 10},
}


def rule_resources(rule: str) -> Resources:
    """Return the resources of a rule's first attempt."""
    return dict(RULES[rule])


def on_gpu(rule: str) -> bool:
    """Return True if jobs of a rule hold a GPU."""
    return "gpu" in RULES[rule]
