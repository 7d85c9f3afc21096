"""Query SLURM's commands about a cluster, for the preflight."""

import getpass
import os
import re
import subprocess
from dataclasses import dataclass, field

# A gres of sinfo's list: gpu:4, gpu:a100:4, gpu:nvidia_a100-sxm4-80gb:4(S:0-1), …
GPU = re.compile(r"(?:^|,)gpu(?::([^:,()]+))?:(\d+)(?=[,(]|$)")


@dataclass
class Partition:
    """One partition: time limit in minutes, largest node, GPU type → most per node.

    Of a partition with GPUs the nodes that have some count.
    """

    name: str
    default: bool
    minutes: float
    mem_mb: int = 0
    cpus: int = 0
    gpus: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Qos:
    """A quality of service that a user may request; a limit that it lacks is None."""

    name: str
    minutes: float | None
    tres: str


def run(*command: str, timeout: float = 30) -> tuple[int, str]:
    """Run a command; return its exit status and output, both streams in one."""
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
    """Convert SLURM's [days-]hours:minutes:seconds to minutes.

    >>> minutes("1-02:00:00"), minutes("30:00"), minutes("infinite")
    (1560.0, 30.0, inf)
    """
    if not text[:1].isdigit():
        return float("inf")
    days, _, clock = text.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    hours, mins, secs = [0, 0, 0, *parts][-3:]
    return int(days or 0) * 1440 + hours * 60 + mins + secs / 60


def number(text: str) -> int:
    """Return the digits at the beginning: SLURM writes 16000+ for "at least"."""
    digits = re.match(r"\d+", text)
    return int(digits[0]) if digits else 0


def partitions(text: str) -> list[Partition]:
    """Parse `sinfo -h -o "%P|%a|%l|%m|%c|%G"`, without partitions that are not up."""
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        name, state, limit, memory, cpus, gres = line.split("|")
        if state != "up":
            continue
        gpus = {kind: int(count) for kind, count in GPU.findall(gres)}
        default = name.endswith("*")
        fresh = Partition(name.rstrip("*"), default, minutes(limit))
        made = found.setdefault(name, fresh)
        if gpus and not made.gpus:
            made.mem_mb = made.cpus = 0
        if gpus or not made.gpus:
            made.mem_mb = max(made.mem_mb, number(memory))
            made.cpus = max(made.cpus, number(cpus))
        for kind, count in gpus.items():
            made.gpus[kind] = max(made.gpus.get(kind, 0), count)
    return list(found.values())


def user_name() -> str:
    """Return the user's name, or the number of one without an entry in passwd."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def default_account() -> str | None:
    """Return the user's default account."""
    asked = ("show", "user", user_name(), "format=defaultaccount")
    status, text = run("sacctmgr", "-nP", *asked)
    return None if status else text.partition("\n")[0].strip() or None


def allowed(account: str | None) -> tuple[float, list[Qos]]:
    """Return a user's limits on an account: minutes, and the QOS, the default first."""
    where = ["where", f"user={user_name()}"]
    where += [f"account={account}"] if account else []
    asked = ("show", "assoc", *where, "format=maxwall,defaultqos,qos")
    status, text = run("sacctmgr", "-nP", *asked)
    rows = [line.split("|") for line in text.splitlines() if line.count("|") == 2]
    if status or not rows:
        return float("inf"), []
    wall, default, names = rows[0]
    _, text = run("sacctmgr", "-nP", "show", "qos", "format=name,maxwall,maxtres")
    known = {
        name: Qos(name, minutes(limit) if limit else None, tres)
        for name, limit, tres in (line.split("|") for line in text.splitlines())
    }
    mine = dict.fromkeys([default, *names.split(",")])
    return minutes(wall), [known[name] for name in mine if name in known]
