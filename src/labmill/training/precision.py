"""Device, threads, and the meaning of `auto` for precision and compilation.

docs/performance.md has the measurements behind the rules. They depend on the model, the
settings and the device alone, so that a resumed run chooses the same again.
"""

import os
import shutil
from typing import Any, Literal

import torch
from torch import nn

from labmill.core.logs import log
from labmill.study.check_models import is_torch
from labmill.study.check_training import FUSED
from labmill.study.schema import Training

# Families whose validation accuracy with bfloat16 was not lower than with float32, on
# real data over three seeds (docs/performance.md).
BF16_COMPARED = frozenset({"cnn", "resnet", "two_conv"})
# bfloat16 is faster from about that many multiply-adds per image.
BF16_LEAST_MACS = 500_000
# On a CPU a compiled step is faster in float32, in networks with few multiply-adds, and
# in long runs, since compiling takes up to a minute.
COMPILE_MOST_MACS = {"fp32": 50_000_000, "bf16": 0}
COMPILE_LEAST_STEPS = 20_000
# A CUDA graph is captured within a second.
CAPTURE_MOST_MACS, CAPTURE_LEAST_STEPS = 2_000_000_000, 500


def prepare(device: str | torch.device | None, threads: int | None) -> torch.device:
    """Return the device, set up: deterministic, with TF32 where the hardware has it."""
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
        deterministic: Any = torch.utils.deterministic
        deterministic.fill_uninitialized_memory = False
    return device


def precision(
    training: Training, model: nn.Module, macs: int, device: torch.device
) -> Literal["fp32", "bf16"]:
    """Return `fp32` or `bf16` for a network of `macs` multiply-adds per image."""
    if training.precision != "auto":
        return training.precision
    compared = getattr(model, "family", None) in BF16_COMPARED
    fast = compared and macs >= BF16_LEAST_MACS and has_bf16(device)
    return "bf16" if fast else "fp32"


def has_bf16(device: torch.device) -> bool:
    """Return True if the hardware multiplies bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported())


def compilation(
    training: Training, precision: str, macs: int, steps: int, device: torch.device
) -> Literal["off", "step"]:
    """Return `off` or `step` for `steps` steps of `macs` multiply-adds forward.

    Without a compiler it is `off`, with a warning in the log; also where gradients are
    accumulated on a CPU, because a graph of all parts needs the memory of the whole.
    """
    on_cpu = device.type == "cpu"
    if on_cpu and training.accumulate > 1:
        return "off"
    wanted = training.compile
    if training.optimizer not in FUSED and is_torch(training.optimizer):
        return "off"
    if wanted == "auto":
        most = COMPILE_MOST_MACS[precision] if on_cpu else CAPTURE_MOST_MACS
        least = COMPILE_LEAST_STEPS if on_cpu else CAPTURE_LEAST_STEPS
        wanted = "step" if macs <= most and steps >= least else "off"
    if wanted == "step" and on_cpu and not compiler():
        log.warning("compile: no C++ compiler on this machine, steps run uncompiled")
        return "off"
    return wanted


def compiler() -> str | None:
    """Return the C++ compiler that torch would call."""
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
