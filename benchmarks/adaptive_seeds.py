"""`python benchmarks/adaptive_seeds.py FOLDER`: studies in rounds against 12 fixed seeds.

Runs each study of benchmarks/adaptive in FOLDER, then with a list of 12 seeds (which
reuses the finished runs: a run does not depend on how many others there are), and writes
the comparison to docs/statistics.md. The same command continues.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from error_page import processor, replace_part, table

ROOT = Path(__file__).parents[1]
STUDIES = sorted(Path(__file__).with_name("adaptive").glob("*.yaml"))
TEXT = """### Three real studies

Each study of `benchmarks/adaptive` in rounds (3 to 12 seeds) and with 12 fixed seeds, tested in the ordinary way."""


def build(folder: Path, name: str, study: dict[str, Any], cores: str) -> None:
    """Build the claims of a study in a working directory."""
    path = folder / "studies" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "snakemake", f"results/{name}/claims.json"),
        *("--snakefile", str(ROOT / "Snakefile")),
        *("--profile", str(ROOT / "profiles/local"), "--cores", cores),
    ]
    subprocess.run(command, cwd=folder, check=True)


def verdicts(results: Path) -> dict[str, str]:
    """Return the verdict on each question of a study, by the claim's id."""
    claims = json.loads((results / "claims.json").read_text(encoding="utf-8"))
    return {c["id"]: c["verdict"] for c in claims if c["kind"] == "question"}


def seeds(results: Path) -> dict[str, int]:
    """Return the number of runs of each variant."""
    index = json.loads((results / "index.json").read_text(encoding="utf-8"))
    found: dict[str, int] = {}
    for run in index["runs"]:
        found[run["variant"]] = found.get(run["variant"], 0) + 1
    return found


def row(folder: Path, path: Path, cores: str) -> list[str]:
    """Run one study twice, and return its row of the table."""
    study = yaml.safe_load(path.read_text(encoding="utf-8"))
    fixed = study | {"seeds": list(range(study["seeds"]["most"]))}
    results = folder / "results" / path.stem
    build(folder, path.stem, study, cores)
    ours, few = verdicts(results), seeds(results)
    build(folder, path.stem, fixed, cores)
    theirs, many = verdicts(results), seeds(results)
    runs, all_runs = sum(few.values()), sum(many.values())
    same = sum(ours[key] == theirs[key] for key in theirs)
    return [
        path.stem,
        ", ".join(f"{key.rpartition(':')[2]}: {theirs[key]}" for key in theirs),
        f"{same} of {len(theirs)}",
        ", ".join(f"{variant} {n}" for variant, n in few.items()),
        f"{runs} of {all_runs}",
        f"{100 * runs / all_runs:.0f} %",
    ]


def main() -> None:
    """Run the studies and write the part of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="working directory for the runs")
    parser.add_argument("--cores", default="all")
    given = parser.parse_args()
    head = [
        "study",
        "verdicts with 12 seeds",
        "the same in rounds",
        "seeds",
        "runs",
        "",
    ]
    rows = [row(given.folder, path, given.cores) for path in STUDIES]
    command = (
        f"Command: `python benchmarks/adaptive_seeds.py FOLDER` ({os.cpu_count()} cores of "
        f"{processor()})."
    )
    replace_part("three real studies", "\n\n".join([TEXT, command, table(head, rows)]))


if __name__ == "__main__":
    main()
