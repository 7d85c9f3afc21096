"""The record in every job's output: settings, code, versions, machine, date."""

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

from labmill.core.fingerprint import digest
from labmill.core.trees import Settings

LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "snakemake", "labmill")
SLURM = {
    "job": "SLURM_JOB_ID",
    "partition": "SLURM_JOB_PARTITION",
    "account": "SLURM_JOB_ACCOUNT",
    "qos": "SLURM_JOB_QOS",
    "cpus": "SLURM_CPUS_PER_TASK",
    "memory_mb": "SLURM_MEM_PER_NODE",
    "gpus": "SLURM_GPUS_ON_NODE",
}


def provenance(params: str) -> Settings:
    """Return a job's params with versions, machine and date added."""
    record = json.loads(params)
    return record | {
        "fingerprint": digest(record),
        "versions": dict(versions()),
        "machine": machine(),
        "slurm": slurm(os.environ),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@cache
def versions() -> dict[str, str]:
    """Return the version of each library, without importing it."""
    return {name: version(name) for name in LIBRARIES}


def machine() -> Settings:
    """Return processor, cores, system and Python of this machine."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def processor() -> str:
    """Return the processor's name from Linux, else from Python."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def slurm(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return what SLURM gave this job, by its variables; None outside SLURM."""
    if "SLURM_JOB_ID" not in environment:
        return None
    return {
        key: environment[name] for key, name in SLURM.items() if name in environment
    }
