"""A head: Snakemake with the cluster's profile, in a directory of its own."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
# Everything but training beside the head, so that a test costs few jobs.
SITE = {
    "partition": "gpu",
    "gpu_type": "h200",
    "local": [
        *("download", "split", "evaluate", "measure", "select", "summarize", "report")
    ],
}
TARGETS = ("model.safetensors", "predictions.npz")
# Two users who are not root, in a group that shares the data; Debian's own, and its
# Python, since that of .venv may lie where only root can go.
USERS, GROUP = ("nobody", "games"), "users"
PYTHON_OF_ALL = "/usr/bin/python3"
# Every head of this test run.
STARTED: list[subprocess.Popen[bytes]] = []


class Head:
    """`snakemake --profile profiles/slurm` in a directory of its own."""

    def __init__(
        self,
        directory: Path,
        study: dict[str, Any],
        *arguments: str,
        site: dict[str, Any] = SITE,
        root: Path = ROOT,
        user: str | None = None,
    ) -> None:
        self.directory, self.arguments, self.root = directory, arguments, root
        self.user = user
        self.process: subprocess.Popen[bytes] | None = None
        (directory / "studies").mkdir(parents=True)
        (directory / "hold").mkdir()
        (directory / "studies/s.yaml").write_text(yaml.safe_dump(study))
        (directory / "site.yaml").write_text(yaml.safe_dump({"site": site}))
        self.log = directory / "head.log"
        if user:
            for path in (directory, *directory.glob("**/*")):
                shutil.chown(path, user, GROUP)

    def command(self, *targets: str, profile: str = "slurm") -> list[str]:
        """Snakemake's command line."""
        command = [
            PYTHON_OF_ALL if self.user else sys.executable,
            *("-m", "snakemake", *targets),
            *("--snakefile", str(self.root / "Snakefile")),
            *("--profile", str(self.root / "profiles" / profile)),
        ]
        if profile == "slurm":
            command += ["--configfile", "site.yaml", "--latency-wait", "20"]
            command += ["--slurm-init-seconds-before-status-checks", "3"]
        return [*command, *self.arguments]

    def start(self, *targets: str, profile: str = "slurm") -> "Head":
        """Start it; the output goes to a file."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(*targets, profile=profile),
                cwd=self.directory,
                env=self.environment(),
                **identity(self.user),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        STARTED.append(self.process)
        return self

    def environment(self) -> dict[str, str]:
        """With a home and packages, where the user is another."""
        ours = environment(self.root)
        if not self.user:
            return ours
        packages = f"{ours['PYTHONPATH']}:{sysconfig.get_path('purelib')}"
        home = {"HOME": str(self.directory), "USER": self.user, "TMPDIR": "/tmp"}
        return ours | home | {"PYTHONPATH": packages}

    def wait(self, seconds: float = 600) -> int:
        """The exit status."""
        assert self.process is not None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running: {self.output}") from None

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End the head alone by a signal."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait()

    @property
    def ended(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None

    @property
    def output(self) -> str:
        return self.log.read_text()

    def file(self, variant: str, name: str) -> Path:
        """A file of a variant's trained net."""
        return self.directory / f"results/s/{variant}/seed0/dense/{name}"

    def targets(self, *variants: str) -> list[str]:
        """What `start` is given to train and evaluate these variants."""
        files = [self.file(v, name) for v in variants for name in TARGETS]
        return [str(path.relative_to(self.directory)) for path in files]

    def training(self, variant: str) -> str:
        """The log of a variant's training; empty before it begins."""
        path = self.directory / f"logs/train/s.{variant}.seed0.log"
        return path.read_text() if path.exists() else ""

    # --- with the gate of `gated` --------------------------------------------------------

    def hold(self, *variants: str) -> None:
        """Let these variants wait after each epoch."""
        for variant in variants:
            (self.directory / "hold" / variant).touch()

    def release(self, variant: str) -> None:
        """Let a variant train on."""
        (self.directory / "hold" / variant).unlink(missing_ok=True)

    def trained(self, variant: str) -> list[tuple[int, int]]:
        """Epochs of a variant that were trained to their end: epoch, SLURM job."""
        path = self.directory / "trained.txt"
        lines = path.read_text().splitlines() if path.exists() else ()
        rows = [line.split() for line in lines]
        return [(int(epoch), int(job)) for name, epoch, job in rows if name == variant]

    def saved(self, variant: str) -> bool:
        """Whether a variant's run has saved a state to go on from."""
        folder = self.file(variant, "state")
        return any(folder.glob("*/state.safetensors"))


def identity(user: str | None) -> dict[str, Any]:
    """Of a process of that user, whose new files the group may write."""
    if not user:
        return {}
    return {"user": user, "group": GROUP, "extra_groups": [], "umask": 0o002}


def two_users(folder: Path) -> tuple[str | None, str | None]:
    """Two users who can run labmill here; (None, None), root itself, where none can."""
    for path in (folder, *folder.parents[:-1]):
        path.chmod(path.stat().st_mode | 0o111)
    probe = [PYTHON_OF_ALL, "-c", "import snakemake, torch"]
    path = {"PYTHONPATH": sysconfig.get_path("purelib")}
    try:
        done = subprocess.run(probe, env=path, cwd="/", **identity(USERS[0]))
    except OSError:
        return None, None
    return (None, None) if done.returncode else USERS


def gated(folder: Path) -> Path:
    """A copy of labmill whose training goes through the gate (gate.py)."""
    root = folder / "labmill"
    for name in ("workflow", "profiles", "src", "studies"):
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "site.yaml")
        shutil.copytree(ROOT / name, root / name, ignore=ignore)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, root / name)
    training = root / "src/labmill/training"
    shutil.copy(Path(__file__).parent / "training_gate.py", training / "gate.py")
    with (training / "trainer.py").open("a") as file:
        file.write("\n\nfrom labmill.training import gate\n")
        file.write("Trainer.one_epoch = gate.held(Trainer.one_epoch)\n")
    return root


def environment(root: Path = ROOT) -> dict[str, str]:
    """Of the head and its jobs: one thread, that labmill, and no trace of pytest."""
    # With PYTHONDONTWRITEBYTECODE every job would compile torch again.
    left_out = ("PYTEST", "SLURM", "PYTHONDONTWRITE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
    kept["VERBOSE"] = "1"  # tests read Snakemake's own words
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root / "src")}


def same_results(one: Head, two: Head, variant: str, reference: str) -> bool:
    """Whether a run's weights and predictions are another's, byte for byte."""
    pairs = [(one.file(variant, n), two.file(reference, n)) for n in TARGETS]
    return all(mine.read_bytes() == theirs.read_bytes() for mine, theirs in pairs)
