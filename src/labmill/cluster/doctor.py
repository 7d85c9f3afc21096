"""make doctor: look at the cluster, write its site file, say what was a guess.

python -m labmill.cluster.doctor SITE_FILE
"""

import fcntl
import getpass
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labmill.cluster.site import Site, options
from labmill.runtime import atomic_write

# What the profile asks for at most in its first attempt.
NEEDS = {"minutes": 240, "mem_mb": 16000, "cpus": 4}


@dataclass
class Partition:
    """One partition: time limit in minutes, GPU type → number per node."""

    name: str
    default: bool
    minutes: float
    mem_mb: int
    cpus: int
    gpus: dict[str, int] = field(default_factory=dict)


@dataclass
class Diagnosis:
    """What the site file will say, and why."""

    site: dict[str, Any] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def set(self, key: str, value: Any, why: str, *, found: bool = True) -> None:
        """One line of the site file."""
        self.site[key] = value
        self.why[key] = f"{'found' if found else 'guessed'}: {why}"

    def say(self, text: str, *, good: bool = True) -> None:
        """One line on the terminal."""
        self.lines.append(("  ok       " if good else "  warning  ") + text)


def run(*command: str, timeout: float = 30) -> tuple[int, str]:
    """Exit status and what was printed, on either stream."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False
        )
    except FileNotFoundError:
        return 127, f"{command[0]}: not installed"
    except subprocess.TimeoutExpired:
        return 124, f"{command[0]}: no answer in {timeout:.0f} s"
    return done.returncode, (done.stdout + done.stderr).strip()


def minutes(text: str) -> float:
    """SLURM's [days-]hours:minutes:seconds in minutes.

    >>> minutes("1-02:00:00"), minutes("30:00"), minutes("infinite")
    (1560.0, 30.0, inf)
    """
    if not text[:1].isdigit():
        return float("inf")
    days, _, clock = text.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    hours, mins, secs = [0, 0, 0, *parts][-3:]
    return int(days or 0) * 1440 + hours * 60 + mins + secs / 60


def partitions(text: str) -> list[Partition]:
    """From `sinfo -h -o "%P|%a|%l|%m|%c|%G"`; partitions that are not up are left out."""
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        name, state, limit, memory, cpus, gres = line.split("|")
        if state != "up":
            continue
        facts = (name.endswith("*"), minutes(limit), number(memory), number(cpus))
        made = found.setdefault(name, Partition(name.rstrip("*"), *facts))
        for kind, count in re.findall(r"gpu(?::([A-Za-z]\w*))?:(\d+)", gres):
            made.gpus[kind] = max(made.gpus.get(kind, 0), int(count))
    return list(found.values())


def number(text: str) -> int:
    """The digits at the beginning: SLURM writes 16000+ for "at least"."""
    return int(re.match(r"\d*", text)[0] or 0)


def choose(made: Diagnosis, found: list[Partition]) -> Partition:
    """Partition and way to ask for a GPU."""
    with_gpus = [p for p in found if p.gpus]
    ranked = sorted(with_gpus or found, key=lambda p: (not p.default, -p.minutes))
    best, others = ranked[0], [p.name for p in ranked[1:]]
    why = "the only one with GPUs" if with_gpus else "no partition has GPUs"
    if others:
        why = f"of {', '.join([best.name, *others])}"
    made.set("partition", best.name, why, found=not others)
    without = [p for p in found if not p.gpus]
    if with_gpus and without:
        made.set("cpu_partition", without[0].name, "has no GPUs", found=False)
    if not best.gpus:
        made.set("gpus", "none", "sinfo lists no GPU")
        return best
    kinds = [kind for kind in best.gpus if kind]
    made.set("gpus", "gres", f"sinfo: {best.gpus}")
    if len(kinds) > 1:
        made.set("gpu_type", None, f"any of {', '.join(kinds)} would do", found=False)
    for what, have, need in (
        ("minutes", best.minutes, NEEDS["minutes"]),
        ("mem_mb", best.mem_mb, NEEDS["mem_mb"]),
        ("cpus", best.cpus, NEEDS["cpus"]),
    ):
        made.say(
            f"{best.name}: {what} {have:g}, the profile asks for {need}"
            + ("" if have >= need else ": lower set-resources in config.yaml"),
            good=have >= need,
        )
    return best


def accounts(made: Diagnosis) -> None:
    """Accounting, and the account that jobs are booked on."""
    text = run("scontrol", "show", "config")[1]
    config = dict(re.findall(r"^(\w+)\s*=\s*(.*?)\s*$", text, re.M))
    if "none" in config.get("AccountingStorageType", "none"):
        made.set("account", None, "the cluster keeps no accounts")
    else:
        asked = ("show", "user", getpass.getuser(), "format=defaultaccount")
        status, text = run("sacctmgr", "-nP", *asked)
        account = None if status else text.partition("\n")[0].strip() or None
        why = "your default account" if account else "you have no default account"
        made.set("account", account, why)
    age = number(config.get("MinJobAge", "300"))
    made.say(f"ended jobs stay in the queue's memory for {age} s", good=age >= 200)


def look_at_node(made: Diagnosis) -> None:
    """One small job: internet, shared folder, driver."""
    site = Site.of({"site": made.site})
    folder = Path(tempfile.mkdtemp(dir=Path.cwd(), prefix=".doctor."))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "renamed").write_text("login")
        asked = [*options(site), "--mem=3000", "--time=5", "--ntasks=1"]
        code = [sys.executable, "-m", "labmill.cluster.probe", str(folder)]
        text = run("srun", *asked, *code, timeout=300)[1]
        seen = (folder / "renamed").read_text() == "node"
    shutil.rmtree(folder, ignore_errors=True)
    match = re.search(r"^labmill-probe (.*)$", text, re.M)
    if not match:
        made.set("local", ["download"], "no node answered", found=False)
        made.say(f"no probe of a node: {text[-200:]}", good=False)
        return
    node = json.loads(match[1])
    online = "reach" if node["internet"] else "do not reach"
    local = [] if node["internet"] else ["download"]
    made.set("local", local, f"compute nodes {online} the internet")
    made.say(
        f"{node['host']}: renames are seen by both sides", good=node["renames"] and seen
    )
    made.say(
        f"{node['host']}: locks "
        + (
            "hold across machines"
            if node["sees_lock"]
            else "DO NOT hold across machines"
        ),
        good=node["sees_lock"],
    )
    if site.gpus != "none":
        made.say(
            f"{node['host']}: torch for CUDA {node['built_for']}, driver "
            f"{node['driver']}, GPU usable: {node['cuda']}",
            good=node["cuda"],
        )


def try_submission(made: Diagnosis) -> None:
    """`sbatch --test-only` with what the profile will ask; --gpus where --gres fails."""
    amounts = [f"--mem={NEEDS['mem_mb']}", f"--time={NEEDS['minutes']}"]
    amounts += [f"--cpus-per-task={NEEDS['cpus']}", "--ntasks=1", "--wrap=true"]
    for style in dict.fromkeys([made.site["gpus"], "gpus"]):
        site = Site.of({"site": made.site | {"gpus": style}})
        status, text = run("sbatch", "--test-only", *options(site), *amounts)
        if status == 0:
            if style != made.site["gpus"]:
                made.set("gpus", style, "sbatch refuses --gres")
            break
        if made.site["gpus"] == "none":
            break
    made.say(f"sbatch --test-only {' '.join(options(site))}: {text}", good=not status)


def disk(made: Diagnosis) -> None:
    """Room in this folder, and the quota where the system tells."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    made.say(f"{free:.0f} GB free in {Path.cwd()}", good=free > 20)
    status, text = run("quota", "-s")
    if status == 0 and text:
        made.say(f"quota: {' '.join(text.split())[:200]}")


def text_of(made: Diagnosis) -> str:
    """The site file."""
    lines = [
        "# Written by `make doctor`; keys: docs/slurm.md. A guess wants your eye.",
        "site:",
    ]
    for key, value in made.site.items():
        lines.append(f"  {key}: {json.dumps(value)}  # {made.why[key]}")
    return "\n".join(lines) + "\n"


def main(path: Path) -> None:
    """Look, tell, write."""
    status, text = run("sinfo", "-h", "-o", "%P|%a|%l|%m|%c|%G")
    if status:
        reason = text.splitlines()[0]
        print(f"No SLURM answers here ({reason}); `make study` runs on this machine.")
        return
    made = Diagnosis()
    found = partitions(text)
    if not found:
        print("SLURM answers, but no partition is up; try again when one is.")
        return
    choose(made, found)
    accounts(made)
    try_submission(made)
    look_at_node(made)
    disk(made)
    with atomic_write(path) as file:
        file.write(text_of(made))
    print("\n".join([*made.lines, f"\n{path} now says:\n", text_of(made)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
