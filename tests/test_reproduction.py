"""scripts/reproduction.py: runs of several machines on record, and the table of results.md."""

import json
import shutil

from helpers.scripts import load_script
from helpers.synthetic_results import make_results


def test_runs_of_two_machines_are_one_row(tmp_path, monkeypatch):
    script = load_script("reproduction")
    page, record = tmp_path / "results.md", tmp_path / "runs.csv"
    kept = "| `synthetic` | `cnn` | kept |\n"
    page.write_text(f"before\n{script.BEGIN}{kept}{script.END}after\n")
    monkeypatch.setattr(script, "PAGE", page)
    monkeypatch.setattr(script, "RECORD", record)
    monkeypatch.setattr(script, "study_names", lambda: ["synthetic"])

    def finished(place: str, seeds: int, *lacking: str) -> str:
        root = tmp_path / place
        make_results(root, seeds)
        for path in root.glob("results/synthetic/*/*/dense/model.json"):
            digests = {"model.safetensors": "ab" * 32}
            path.write_text(
                json.dumps(json.loads(path.read_text()) | {"digests": digests})
            )
        for name in lacking:
            shutil.rmtree(root / "results" / "synthetic" / name)
        monkeypatch.chdir(root)
        script.main()
        return page.read_text()

    first = finished("a", 2, "cnn", "vit_sin_relu/seed1")
    assert kept in first  # nothing is known of it
    assert "| 1 | one run: not compared |" in first
    second = finished("b", 3, "vit_sin_relu/seed0")
    assert first.startswith("before\n") and second.endswith("after\n")
    assert kept not in second
    row = next(line for line in second.splitlines() if "`vit_sin_relu`" in line)
    assert "| 88.0 % |" in row and "| 3 |" in row
    runs = {run.key: run for run in script.on_record()}
    assert ("synthetic", "vit_sin_relu", 0) in runs  # of the first machine
    assert len(runs) == 15
    assert all(len(run.weights) == 64 for run in runs.values())
    again = record.read_bytes()
    script.main()
    assert record.read_bytes() == again and page.read_text() == second
