"""Device, threads, and what `auto` means.

The rules are those that docs/performance.md measured. They depend on the model, the
settings and the device alone, so that a resumed run chooses what it chose before.
"""

import logging
import os
import shutil

import torch
from torch import nn

from labmill.study import Training

log = logging.getLogger("labmill")

# Families whose accuracy with bfloat16 was compared on real data and not found lower.
BF16_COMPARED: frozenset[str] = frozenset()


def prepare(device: str | torch.device | None, threads: int | None) -> torch.device:
    """The device, made ready: deterministic, TF32 where the hardware has it."""
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True, warn_only=True)
    return device


def precision(training: Training, model: nn.Module, device: torch.device) -> str:
    """`fp32` or `bf16`."""
    if training.precision != "auto":
        return training.precision
    return "fp32"


def compilation(training: Training, device: torch.device) -> str:
    """`off` or `step`; `off`, and a line in the log, where no compiler is found."""
    wanted = "off" if training.compile == "auto" else training.compile
    if wanted == "step" and device.type == "cpu" and not compiler():
        log.warning("compile: no C++ compiler on this machine, steps run uncompiled")
        return "off"
    return wanted


def compiler() -> str | None:
    """The C++ compiler that torch would call."""
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
