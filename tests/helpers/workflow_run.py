"""The real workflow in a working directory of its own, as a user runs it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]

# A study that finishes in seconds: two small networks, two prune steps, real digits.
TINY = {
    "title": "Tiny",
    "data": {"dataset": "digits", "limit": 200, "test_limit": 100},
    "defaults": {
        "model": {"name": "vit", "patch": 4, "dim": 8, "depth": 1, "heads": 2},
        "training": {"epochs": 2, "batch_size": 32, "learning_rate": 1e-3},
    },
    "seeds": [0, 1],
    "variants": {
        "vit": {},
        "cnn": {"model": {"name": "cnn", "layers": ["conv 4", "pool", "flatten"]}},
    },
    "pruning": {"prune": {"variants": ["cnn"], "steps": 2, "finetune": {"epochs": 1}}},
    "measure": {"batches": [1], "repeats": 3},
    "compare": {"network": {"levels": {"vit": ["vit"], "cnn": ["cnn"]}}},
}


@dataclass
class Mill:
    """The real workflow in a temporary working directory."""

    directory: Path

    def write(self, study: dict, name: str = "tiny") -> Path:
        """Write a study file."""
        path = self.directory / "studies" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(study, sort_keys=False))
        return path

    def command(self, *arguments: str, root: Path = ROOT) -> list[str]:
        """The command line that a user types, with two cores."""
        return [
            *(sys.executable, "-m", "snakemake", *arguments),
            *("--snakefile", str(root / "Snakefile")),
            *("--profile", str(root / "profiles/local"), "--cores", "2"),
        ]

    def run(
        self, *arguments: str, root: Path = ROOT, timeout: int = 580
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake and return what it printed, both streams in `stdout`."""
        return subprocess.run(
            self.command(*arguments, root=root),
            cwd=self.directory,
            env=self.environment(root),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def environment(self, root: Path = ROOT) -> dict[str, str]:
        """The environment of the runs: a library of our own if `root` is a copy."""
        environment = dict(os.environ)
        environment.pop("PYTEST_CURRENT_TEST", None)
        # Tests read Snakemake's own words.
        environment.setdefault("VERBOSE", "1")
        if root != ROOT:
            environment["PYTHONPATH"] = str(root / "src")
        return environment

    def build(self, name: str = "tiny", root: Path = ROOT) -> str:
        """Build a study's report; fail with the output if that fails."""
        done = self.run(f"results/{name}/report.html", root=root)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def jobs(self, name: str = "tiny", root: Path = ROOT) -> set[str]:
        """The jobs that a build would run now, as `rule variant seed stage`."""
        done = self.run(f"results/{name}/report.html", "--dry-run", root=root)
        assert done.returncode == 0, done.stdout
        return planned(done.stdout)


def planned(output: str) -> set[str]:
    """The jobs in a dry run's output: rule and wildcards but for the study."""
    jobs, rule = set(), ""
    for line in output.splitlines():
        words = line.split()
        if line.startswith(("rule ", "checkpoint ", "localrule ")):
            rule = words[1].rstrip(":")
            jobs.add(rule)
        elif words[:1] == ["wildcards:"] and rule:
            pairs = dict(p.split("=", 1) for p in line.split(":", 1)[1].split(", "))
            pairs = {key.strip(): value for key, value in pairs.items()}
            kept = [v for k, v in pairs.items() if k not in ("study", "dataset")]
            jobs.discard(rule)
            jobs.add(" ".join([rule, *kept]))
    return jobs
