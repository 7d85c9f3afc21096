"""The device that training runs on: its name, memory and generator."""

import contextlib
import resource
import sys
from collections.abc import Iterator

import torch

from labmill.core.errors import LabmillError
from labmill.study.schema import Training


def seed_generator(device: torch.device, seed: int) -> None:
    """Seed torch's generator of the device."""
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def peak_memory(device: torch.device) -> float:
    """Return the peak memory so far in MB: of the device, or of the process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def device_name(device: torch.device) -> str:
    """Return `cpu` or the accelerator's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


@contextlib.contextmanager
def training_errors(device: torch.device, training: Training) -> Iterator[None]:
    """Turn too little memory, or batch norm of one image, into a LabmillError."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("Expected more than 1 value per channel"):
            raise
        raise LabmillError(
            "training.batch_size: batch norm needs two images in each batch; there was "
            f"one (batch_size {training.batch_size}, labels {training.labels or 'all'})"
        ) from error
    except (torch.OutOfMemoryError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else ""
        if not isinstance(error, torch.OutOfMemoryError) and "allocate" not in reason:
            raise
        smaller = max(1, training.batch_size // 2)
        raise LabmillError(
            f"out of memory on {device_name(device)}: {peak_memory(device):.0f} MB were "
            f"in use with training.batch_size {training.batch_size} ({reason}). Try "
            f"batch_size {smaller}, or precision bf16"
        ) from error
