"""A head: Snakemake with the cluster's profile, in a directory of its own."""

import os
import subprocess
import sys
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


class Head:
    """`snakemake --profile profiles/slurm` in a directory of its own."""

    def __init__(
        self,
        directory: Path,
        study: dict[str, Any],
        *arguments: str,
        site: dict[str, Any] = SITE,
    ) -> None:
        self.directory, self.arguments = directory, arguments
        self.process: subprocess.Popen[bytes] | None = None
        (directory / "studies").mkdir(parents=True)
        (directory / "studies/s.yaml").write_text(yaml.safe_dump(study))
        (directory / "site.yaml").write_text(yaml.safe_dump({"site": site}))
        self.log = directory / "head.log"

    def start(self, *targets: str, profile: str = "slurm") -> "Head":
        """Start it; the output goes to a file."""
        command = [
            *(sys.executable, "-m", "snakemake", *targets),
            *("--snakefile", str(ROOT / "Snakefile")),
            *("--profile", str(ROOT / "profiles" / profile)),
        ]
        if profile == "slurm":
            command += ["--configfile", "site.yaml", "--latency-wait", "20"]
            command += ["--slurm-init-seconds-before-status-checks", "3"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.arguments],
                cwd=self.directory,
                env=environment(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self

    def wait(self, seconds: float = 600) -> int:
        """The exit status."""
        assert self.process is not None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running: {self.output}") from None

    def kill(self) -> None:
        """SIGKILL the head alone."""
        assert self.process is not None
        self.process.kill()
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

    def training(self, variant: str) -> str:
        """The log of a variant's training; empty before it begins."""
        path = self.directory / f"logs/train/s.{variant}.seed0.log"
        return path.read_text() if path.exists() else ""


def environment() -> dict[str, str]:
    """Of the head and its jobs: one thread, and no trace of pytest."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SLURM"))
    }
    return kept | {"OMP_NUM_THREADS": "1"}
