"""`make bench`: measures training speed and writes docs/performance.md.

Every candidate of a case runs in alternation in this one process after a warm-up; only
ratios inside one run mean anything on a shared machine. `--quick` is for development.
"""

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from cases import CASES, Case
from naive import Lightning, Naive
from ours import Bare, Labmill
from overheads import growth, job_start, planning, saving, small_grid, warm_start
from page import write_page

from labmill.flops.counter import count

NAMES = ("naive", "lightning", "bare", "labmill")


@dataclass
class Rates:
    """Images per second of one candidate, over the rounds."""

    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, as a share of the median."""
        low, _, high = statistics.quantiles(self.values, n=4)
        return (high - low) / 2 / self.median


def measure(case: Case, rounds: int, seconds: float, device: str) -> dict[str, object]:
    """Rates of all candidates of a case."""
    probe = Labmill(case, 16, device=device, compile="off")
    probe.images_per_second()
    rate = probe.images_per_second()
    steps = min(2000, max(4, round(seconds * rate / case.batch)))
    labmill = Labmill(case, steps, device=device)
    candidates = {"bare": Bare(labmill), "labmill": labmill}
    if device == "cpu":
        candidates |= {"naive": Naive(case), "lightning": Lightning(case)}
    turns = {name: steps if name in ("bare", "labmill") else 8 for name in candidates}
    for name, candidate in candidates.items():
        rate = candidate.images_per_second(turns[name])
        if name not in ("bare", "labmill"):
            turns[name] = min(2000, max(4, round(seconds * rate / case.batch)))
    found = {name: Rates([]) for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            found[name].values.append(candidate.images_per_second(turns[name]))
    shape = (case.channels, case.size, case.size)
    return {
        "case": case,
        "rates": found,
        "how": labmill.how,
        "compile_seconds": labmill.make_seconds,
        "flops": 6 * count(case.network(), shape).total.operations,
    }


def peaks(device: str) -> dict[str, float]:
    """Highest FLOP/s reached by a product and a convolution, in both precisions."""
    found = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        side = 2048 if device == "cpu" else 8192
        a = torch.randn(side, side, device=device, dtype=dtype)
        x = torch.randn(64, 128, 32, 32, device=device, dtype=dtype)
        w = torch.randn(128, 128, 3, 3, device=device, dtype=dtype)
        x, w = (t.contiguous(memory_format=torch.channels_last) for t in (x, w))
        work = {
            "product": (lambda a=a: a @ a, 2 * side**3),
            "convolution": (
                lambda x=x, w=w: torch.conv2d(x, w, padding=1),
                2 * 64 * 32 * 32 * 128 * 128 * 9,
            ),
        }
        for kind, (call, flops) in work.items():
            found[f"{kind} {name}"] = flops / min(timed(call) for _ in range(8))
    return found


def timed(call) -> float:
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    wait()
    began = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few, short rounds")
    parser.add_argument("--only", default="", help="cases whose label contains this")
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rounds, seconds = (3, 0.5) if options.quick else (7, 1.2)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    results = {}
    for device in devices:
        rows = []
        for case in CASES:
            if options.only in case.label:
                row = measure(case, rounds, seconds, device)
                rows.append(row)
                told = ", ".join(
                    f"{name} {rates.median:.0f}" for name, rates in row["rates"].items()
                )
                print(f"{device} {case.label} batch {case.batch}: {told}", flush=True)
        results[device] = {"rows": rows, "peaks": peaks(device)}
    others = {
        "start": job_start(1 if options.quick else 3),
        "warm": warm_start(1 if options.quick else 3),
        "planning": planning((100, 1_000, 5_000)),
        "saving": saving(),
        "growth": growth(seconds),
        "grid": small_grid(quick=options.quick),
    }
    write_page(options.page, results, others, rounds, options.threads)


if __name__ == "__main__":
    main()
