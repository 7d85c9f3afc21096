"""Whatever is tampered with, verify sees it; and an honest report passes."""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finish import finish
from synthetic import make_results

from labmill.errors import LabmillError
from labmill.report.mismatches import differences
from labmill.report.verify import HOLDS, Verdict, main, recomputed, verify
from labmill.runtime import read_json, write_json


def test_honest_report_passes(results: Path):
    assert verify(results) == Verdict([], [])


def test_report_of_trouble_passes(tmp_path: Path):
    made = make_results(tmp_path, seeds=2, diverged=True, failed=True)
    assert verify(finish(tmp_path, *made)) == Verdict([], [])


CELL = ("cnn", "0", "dense")


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file in place."""
    value = read_json(path)
    change(value)
    write_json(path, value)


def edit_text(path: Path, old: str, new: str) -> None:
    """Replace the first `old`, which must be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def prediction(results: Path) -> None:
    """One image's logits now say another class."""
    path = results / "cnn/seed1/dense/predictions.npz"
    with np.load(path) as file:
        arrays = dict(file)
    arrays["test_logits"][5] = np.roll(arrays["test_logits"][5], 1)
    np.savez(path, **arrays)


def label(results: Path) -> None:
    """One image's label is another."""
    path = results / "cnn/seed1/dense/predictions.npz"
    with np.load(path) as file:
        arrays = dict(file)
    arrays["test_labels"][5] = (arrays["test_labels"][5] + 1) % 10
    np.savez(path, **arrays)


def metric(results: Path) -> None:
    """An accuracy is a little larger."""

    def change(metrics: Any) -> None:
        metrics["parts"]["test"]["accuracy"] += 0.0025

    edit_json(results / "cnn/seed1/dense/metrics.json", change)


def confusion(results: Path) -> None:
    """One image has moved in a confusion matrix."""

    def change(metrics: Any) -> None:
        metrics["parts"]["validation"]["confusion"][3][3] -= 1

    edit_json(results / "cnn/seed1/dense/metrics.json", change)


def class_accuracy(results: Path) -> None:
    """A class has been touched up."""

    def change(metrics: Any) -> None:
        metrics["parts"]["test"]["class_accuracy"]["3"] = 1.0

    edit_json(results / "vit_sin_relu/seed0/dense/metrics.json", change)


def opening(results: Path) -> None:
    """The test set was opened once more than said."""
    path = results / "test_openings.jsonl"
    line = json.loads(path.read_text().splitlines()[0]) | {"weights": "1"}
    path.write_text(path.read_text() + json.dumps(line) + "\n")


def measurement(results: Path) -> None:
    """A latency was rewritten after the summary."""

    def change(measure: Any) -> None:
        measure["latency"][0]["median_ms"] /= 2

    edit_json(results / "cnn/seed0/dense/measure.json", change)


def epoch(results: Path) -> None:
    """The last epoch of a history was rewritten after the summary."""
    path = results / "cnn/seed0/dense/history.csv"
    lines = path.read_text().splitlines()
    cells = lines[-1].split(",")
    cells[2] = "0.999999"
    path.write_text("\n".join([*lines[:-1], ",".join(cells)]) + "\n")


def ranking(results: Path) -> None:
    """A search's winner was swapped."""

    def change(chosen: Any) -> None:
        chosen["ranking"][:2] = chosen["ranking"][1::-1]

    edit_json(results / "arch/chosen.json", change)


def cell_of_runs(results: Path) -> None:
    """A cell of runs.csv."""
    path = results / "runs.csv"
    with path.open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    (row,) = [r for r in table if (r["variant"], r["seed"], r["stage"]) == CELL]
    row["test_accuracy"] = "0.99"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def removed_run(results: Path) -> None:
    """A run that did not please is gone from runs.csv."""
    path = results / "runs.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3] + lines[4:]))


def sentence(results: Path) -> None:
    """A claim's sentence in claims.json."""

    def change(claims: Any) -> None:
        claims[0]["statement"] = claims[0]["statement"].replace("97.0", "99.0")

    edit_json(results / "claims.json", change)


def verdict(results: Path) -> None:
    """A claim's verdict."""

    def change(claims: Any) -> None:
        (claim,) = [c for c in claims if c["id"] == "compare:network:cnn"]
        claim["verdict"] = "lower"

    edit_json(results / "claims.json", change)


def invented_claim(results: Path) -> None:
    """A claim that nothing computes."""

    def change(claims: Any) -> None:
        claims.append(claims[0] | {"id": "invented"})

    edit_json(results / "claims.json", change)


def sentence_in_report(results: Path) -> None:
    """A number in a sentence of the report."""
    (best,) = [c for c in read_json(results / "claims.json") if c["id"] == "best"]
    said = best["statement"]
    edit_text(results / "report.md", said, said.replace("97.0", "98.0"))


def sentence_among_observations(results: Path) -> None:
    """A sentence of its own among the numbered claims."""
    mark = "]{#claim-1}"
    edit_text(results / "report.md", mark, f" And the CNN is best of all.{mark}")


def table_cell(results: Path) -> None:
    """One cell of a table of the report."""
    rows = (results / "report.md").read_text(encoding="utf-8").splitlines()
    row = next(line for line in rows if line.startswith("| CNN |") and "%" in line)
    cell = next(cell for cell in row.split(" | ") if "%" in cell)
    edit_text(results / "report.md", row, row.replace(cell, f"9{cell}", 1))


def table_row(results: Path) -> None:
    """A row of a table of the report is gone."""
    rows = (results / "report.md").read_text(encoding="utf-8").splitlines()
    row = next(line for line in rows if line.startswith("| CNN |"))
    edit_text(results / "report.md", row + "\n", "")


def concealed_failure(results: Path) -> None:
    """A finished run is said to have failed."""

    def change(index: Any) -> None:
        index["runs"][0]["status"] = "failed"

    edit_json(results / "index.json", change)


def method(results: Path) -> None:
    """A sentence of the report that states no claim."""
    edit_text(results / "report.md", "accuracy is reported on test", "and on")


def page(results: Path) -> None:
    """A sentence of the page."""
    edit_text(results / "report.html", "<p>", "<p>It is proven. ")


def printed(results: Path) -> None:
    """Some bytes after the PDF's end."""
    path = results / "report.pdf"
    path.write_bytes(path.read_bytes() + b"%more")


def drawing(results: Path) -> None:
    """A figure without content, one too many and one too few."""
    (results / "figures/accuracy.svg").write_text("")
    (results / "figures/wishes.svg").write_text("<svg/>")
    (results / "figures/forest.svg").unlink()


# What is in the results themselves, and what recomputing says of it.
INSIDE = {
    prediction: "cnn/seed1/dense/metrics.json: parts.test.accuracy",
    metric: "cnn/seed1/dense/metrics.json: parts.test.accuracy",
    confusion: "parts.validation.confusion.3.3",
    class_accuracy: "parts.test.class_accuracy.3",
    label: "cnn/seed1/dense/predictions.npz: not of the sealed images",
    opening: "test_openings.jsonl lists 2",
    measurement: "runs.csv: cnn seed 0 dense.latency_ms_b1 ",
    epoch: "runs.csv: cnn seed 0 dense.train_accuracy",
    ranking: "arch/chosen.json: ranking",
    cell_of_runs: "runs.csv: cnn seed 0 dense.test_accuracy is 0.99",
    removed_run: "runs.csv: 35 rows, recomputed: 36",
    sentence: "claims.json: best.statement",
    verdict: "claims.json: compare:network:cnn.verdict is 'lower'",
    invented_claim: "claims.json: invented: nothing supports this claim",
    concealed_failure: "index.json: runs.0.status is 'failed'",
}
# What is in the files that people read.
HANDED_IN = {
    sentence_in_report: ["report.md, summary: says "],
    sentence_among_observations: ["And the CNN is best of all."],
    table_cell: ["a table says '9"],
    table_row: ["nothing in the results says so: | CNN |", "not found: | CNN |"],
    method: ["report.md, method: says 'Every variant"],
    page: ["report.html: is not the file"],
    printed: ["report.pdf: is not the file"],
    drawing: [
        f"figures/{name}.svg: is not the file"
        for name in ("accuracy", "wishes", "forest")
    ],
}


@pytest.mark.parametrize("tamper", INSIDE, ids=lambda f: f.__name__)
def test_tampering_with_results_is_seen(tamper: Callable[[Path], None], results: Path):
    tamper(results)
    _, found = recomputed(results)
    assert any(INSIDE[tamper] in mismatch for mismatch in found), found


def test_every_tampering_with_the_report_is_named(results: Path):
    for tamper in HANDED_IN:
        tamper(results)
    verdict = verify(results)
    found = "\n".join(verdict.mismatches)
    for tamper, said in HANDED_IN.items():
        assert any(one in found for one in said), (tamper, found)
    # Nothing else is blamed.
    assert verdict.unchecked == []
    files = {f"figures/{name}.svg" for name in ("accuracy", "wishes", "forest")}
    files |= {"report.md", "report.html", "report.pdf"}
    assert {re.split("[:,]", said)[0] for said in verdict.mismatches} == files


def test_other_makers_cannot_be_compared(results: Path):
    def change(record: Any) -> None:
        record["code"] |= {"typst": "0.1", "report.tables": "12345678"}
        record["machine"]["system"] = "Darwin arm64"

    edit_json(results / "report.json", change)
    assert verify(results) == Verdict([], [])  # the bytes are the same all the same
    printed(results)
    page(results)
    verdict = verify(results)
    assert verdict.mismatches == []
    why = "as it was written with another version of labmill, typst 0.1 (here "
    assert [said.partition(", ")[0] for said in verdict.unchecked] == [
        "report.html",
        "report.pdf",
    ]
    assert all(why in said and "Darwin" in said for said in verdict.unchecked)
    assert HOLDS not in str(verdict)


def test_tampered_prediction_goes_through_to_claims_and_report(results: Path):
    path = results / "cnn/seed1/dense/predictions.npz"
    with np.load(path) as file:
        arrays = dict(file)
    arrays["test_logits"][:40] = np.roll(arrays["test_logits"][:40], 1, axis=1)
    np.savez(path, **arrays)
    found = "\n".join(verify(results).mismatches)
    files = ("metrics.json", "runs.csv", "claims.json: best", "report.md, results")
    for file in (*files, "report.html", "report.pdf", "figures/accuracy.svg"):
        assert file in found


def test_rounding_is_no_tampering():
    stored = {"a": [1.0, 2], "b": None}
    assert differences(stored, {"a": [1.0 + 1e-13, 2], "b": None}, "x") == []
    assert differences(stored, {"a": [1.0, 3], "b": None}, "x") == [
        "x.a.1 is 2, recomputed: 3"
    ]
    assert (
        differences(stored, {"a": [1.0], "b": 1}, "x")[1]
        == "x.b is None, recomputed: 1"
    )


def test_command(results: Path, capsys: pytest.CaptureFixture[str]):
    command = [sys.executable, "-m", "labmill.report.verify", str(results)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert HOLDS in done.stdout
    metric(results)
    assert main([str(results)]) == 1
    said = capsys.readouterr().out
    assert "parts.test.accuracy is 0.9" in said and "mismatches" in said


def test_nothing_to_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(LabmillError, match=r"no finished report here.*index\.json"):
        verify(tmp_path)
    assert main([str(tmp_path)]) == 2
    assert main([]) == 2
    assert "Say which one" in capsys.readouterr().out
