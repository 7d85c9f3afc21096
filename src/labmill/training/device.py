"""The device that training runs on: its name, memory and generator."""

import contextlib
import resource
from collections.abc import Iterator

import torch

from labmill.errors import LabmillError
from labmill.study import Training


def seed_generator(device: torch.device, seed: int) -> None:
    """Set torch's generator of the device."""
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def peak_memory(device: torch.device) -> float:
    """MB at most held so far: of the device, or of the process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def device_name(device: torch.device) -> str:
    """`cpu`, or the accelerator's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


@contextlib.contextmanager
def memory_errors(device: torch.device, training: Training) -> Iterator[None]:
    """Turn running out of memory into a sentence."""
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError) as error:
        told = str(error).splitlines()[0] if str(error) else ""
        if not isinstance(error, torch.OutOfMemoryError) and "allocate" not in told:
            raise
        smaller = max(1, training.batch_size // 2)
        raise LabmillError(
            f"out of memory on {device_name(device)}: {peak_memory(device):.0f} MB were "
            f"in use with training.batch_size {training.batch_size} ({told}). Try "
            f"batch_size {smaller}, or precision bf16"
        ) from error
