"""labmill doctor: inspect the cluster, write its site file, mark what was a guess.

Values that the file already has are kept.
"""

import fcntl
import json
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labmill.cluster import slurm_queries
from labmill.cluster.rule_resources import RULES, on_gpu
from labmill.cluster.site import Site, read
from labmill.cluster.slurm_queries import Partition, run
from labmill.core.files import atomic_write
from labmill.core.trees import Settings

# The rules that request most of all with a GPU, and of all without one.
GPU_RULE, CPU_RULE = "train", "download"
# Of a job, as the profile's `retries` allow; each asks for more.
ATTEMPTS = 4


@dataclass
class Diagnosis:
    """The values of the site file, and the reason of each.

    Attributes:
        given: the values that the file had before; they are kept.
    """

    given: Settings = field(default_factory=dict)
    found: Settings = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def set(self, key: str, value: Any, why: str, *, found: bool = True) -> None:
        """Set one line of the site file."""
        self.found[key] = value
        self.why[key] = f"{'found' if found else 'guessed'}: {why}"

    def report(self, text: str, good: bool = True) -> None:
        """Add one line for the terminal."""
        self.lines.append(("  ok       " if good else "  warning  ") + text)

    def values(self, **changed: Any) -> Settings:
        """Return the content of the site file, with some values changed."""
        return self.found | changed | self.given

    def site(self, **changed: Any) -> Site:
        """Return the same as a site."""
        return Site.of({"site": self.values(**changed)}) or Site()

    def text(self) -> str:
        """Return the text of the site file."""
        lines = [
            "# Written by `labmill doctor`; keys: docs/slurm.md. Please check each guess.",
            "# Your own values are kept; delete a line to have it found again.",
            "site:",
        ]
        for key, value in self.values().items():
            why = self.why.get(key, "")
            if key in self.given and value != self.found.get(key, value):
                why = f"kept; {why} ({json.dumps(self.found[key])})"
            lines.append(f"  {key}: {json.dumps(value)}  # {why or 'kept'}")
        return "\n".join(lines) + "\n"


def choose(made: Diagnosis, found: list[Partition]) -> None:
    """Choose partitions, the way to request a GPU, and the limits of a job."""
    with_gpus = [p for p in found if p.gpus]
    ranked = sorted(with_gpus or found, key=lambda p: (not p.default, -p.minutes))
    best, others = ranked[0], [p.name for p in ranked[1:]]
    why = "the only one with GPUs" if with_gpus else "no partition has GPUs"
    if others:
        why = f"of {', '.join([best.name, *others])}"
    made.set("partition", best.name, why, found=not others)
    used = {p.name: p for p in found}.get(made.values()["partition"], best)
    if used.gpus:
        made.set("gpus", "gres", f"sinfo: {used.gpus}")
        ask_for_gpu(made, [kind for kind in used.gpus if kind])
    else:
        made.set("gpus", "none", "sinfo lists no GPU")
        made.report(*try_submission(made.site(), GPU_RULE))
    if with_gpus:
        cpu_partition(made, found)
    limits(made, used)
    asked = RULES[GPU_RULE]
    for what, have, need in (
        ("minutes", used.minutes, asked["runtime"]),
        ("mem_mb", used.mem_mb, asked["mem_mb"]),
        ("cpus", used.cpus, asked["cpus_per_task"]),
    ):
        text = f"{used.name}: {what} {have:g}, rule {GPU_RULE} requests {need} at first"
        made.report(text, good=have >= need)


def try_submission(site: Site, rule: str) -> tuple[str, bool]:
    """Run `sbatch --test-only` with a rule's options: its answer, and whether it accepts."""
    options = site.options(rule)
    status, text = run("sbatch", "--test-only", *options, "--wrap=true")
    return f"sbatch --test-only {' '.join(options)}: {text}", not status


def ask_for_gpu(made: Diagnosis, kinds: list[str]) -> None:
    """Find the first way to request a GPU that sbatch accepts: any type, else one."""
    first = ""
    for style in ("gres", "gpus"):
        for kind in (None, *kinds):
            site = made.site(gpus=style, gpu_type=kind)
            text, good = try_submission(site, GPU_RULE)
            first = first or text
            if good:
                if style != "gres":
                    made.set("gpus", style, "sbatch refuses --gres")
                if kind:
                    made.set("gpu_type", kind, "sbatch wants a type", found=False)
                elif len(kinds) > 1:
                    why = f"any of {', '.join(kinds)} would do"
                    made.set("gpu_type", None, why, found=False)
                made.report(text)
                return
    made.report(first, good=False)


def cpu_partition(made: Diagnosis, found: list[Partition]) -> None:
    """Choose a partition without GPUs for the longest jobs, if one fits all attempts."""
    asked = [amounts for rule, amounts in RULES.items() if not on_gpu(rule)]
    time, memory = (
        ATTEMPTS * max(amounts[key] for amounts in asked)
        for key in ("runtime", "mem_mb")
    )
    fit = [p for p in found if not p.gpus and p.minutes >= time and p.mem_mb >= memory]
    for partition in sorted(fit, key=lambda p: -p.minutes):
        site = made.site(cpu_partition=partition.name)
        text, good = try_submission(site, CPU_RULE)
        made.report(text, good=good)
        if good:
            why = "takes the longest jobs of those without GPUs"
            made.set("cpu_partition", partition.name, why, found=len(fit) == 1)
            return


def limits(made: Diagnosis, used: Partition) -> None:
    """Set max_minutes and max_mem_mb, by partition, association and QOS."""
    wall, qos = slurm_queries.allowed(made.values().get("account"))
    asked = made.values().get("qos")
    mine = next((q for q in qos if q.name == asked), qos[0] if qos else None)
    known = {used.name: used.minutes, "your association": wall}
    if mine:
        known[f"QOS {mine.name}"] = mine.minutes or math.inf
        tres = f", at most {mine.tres} a job" if mine.tres else ""
        names = ", ".join(q.name for q in qos)
        made.report(f"QOS {mine.name}{tres}; you may use {names}")
    who = min(known, key=lambda name: known[name])
    if math.isfinite(known[who]):
        made.set("max_minutes", int(known[who]), f"limit of {who}")
    if used.mem_mb:
        made.set("max_mem_mb", used.mem_mb, f"memory of a node of {used.name}")


def accounts(made: Diagnosis) -> None:
    """Find out whether there is accounting, and the account of jobs."""
    text = run("scontrol", "show", "config")[1]
    config = dict(re.findall(r"^(\w+)\s*=\s*(.*?)\s*$", text, re.M))
    if "none" in config.get("AccountingStorageType", "none"):
        made.set("account", None, "the cluster keeps no accounts")
    else:
        account = slurm_queries.default_account()
        why = "your default account" if account else "you have no default account"
        made.set("account", account, why)
    age = slurm_queries.number(config.get("MinJobAge", "300"))
    made.report(f"ended jobs stay in the queue's memory for {age} s", good=age >= 200)


def look_at_node(made: Diagnosis) -> None:
    """Inspect a node by one small job: internet, shared folder, driver."""
    site = made.site()
    folder = Path(tempfile.mkdtemp(dir=Path.cwd(), prefix=".doctor."))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "renamed").write_text("login")
        asked = [f"--{key}={value}" for key, value in site.requests(gpu=True).items()]
        asked += ["--mem=3000", "--time=5", "--ntasks=1"]
        code = [sys.executable, "-m", "labmill.cluster.node_probe", str(folder)]
        text = run("srun", *asked, *code, timeout=300)[1]
        seen = (folder / "renamed").read_text() == "node"
    shutil.rmtree(folder, ignore_errors=True)
    match = re.search(r"^labmill-probe (.*)$", text, re.M)
    if not match:
        made.set("local", ["download", "weights"], "no node answered", found=False)
        made.report(f"no probe of a node: {text[-200:]}", good=False)
        return
    node = json.loads(match[1])
    online = "reach" if node["internet"] else "do not reach"
    local = [] if node["internet"] else ["download", "weights"]
    made.set("local", local, f"compute nodes {online} the internet")
    for text, good in judged(node, seen, site.gpus != "none"):
        made.report(f"{node['host']}: {text}", good=good)


def judged(node: Settings, seen: bool, gpu: bool) -> Iterator[tuple[str, bool]]:
    """Yield the findings of a node's probe, and whether each is good."""
    yield "renames are seen by both sides", node["renames"] and seen
    hold = "hold" if node["sees_lock"] else "DO NOT hold"
    yield f"locks {hold} across machines", node["sees_lock"]
    if gpu:
        built, driver, usable = node["built_for"], node["driver"], node["cuda"]
        text = f"torch for CUDA {built}, driver {driver}, GPU usable: {usable}"
        yield text, usable


def disk(made: Diagnosis) -> None:
    """Report the free space of this folder, and the quota where the system has one."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    made.report(f"{free:.0f} GB free in {Path.cwd()}", good=free > 20)
    status, text = run("quota", "-s")
    if status == 0 and text:
        made.report(f"quota: {' '.join(text.split())[:200]}")


def inspect_cluster(path: Path) -> None:
    """Inspect the cluster, print the findings and write the site file."""
    status, text = run("sinfo", "-h", "-o", "%P|%a|%l|%m|%c|%G")
    if status:
        reason = text.splitlines()[0]
        print(f"No SLURM answers here ({reason}); `make study` runs on this machine.")
        return
    given = (read(path).get("site") if path.exists() else None) or {}
    Site.of({"site": given})
    made = Diagnosis({key: value for key, value in given.items() if value is not None})
    found = slurm_queries.partitions(text)
    if not found:
        print("SLURM answers, but no partition is up; try again when one is.")
        return
    accounts(made)
    choose(made, found)
    look_at_node(made)
    disk(made)
    with atomic_write(path) as file:
        file.write(made.text())
    print("\n".join([*made.lines, f"\n{path} is now:\n", made.text()]))
