"""Whatever is tampered with, verify sees it; and an honest report passes."""

import csv
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import analysis_records as made
from helpers.finish_report import finish
from helpers.synthetic_results import make_results
from labmill.archive.chain import chain_mismatches
from labmill.archive.compare import differences
from labmill.archive.records import damaged_files, open_results
from labmill.archive.verify import recompute, verify
from labmill.cli import main
from labmill.core.errors import LabmillError
from labmill.core.files import read_json, write_json


def found_in(results: Path) -> dict[str, str]:
    """Return the state of every check but the split's, whose dataset is invented."""
    verdict = verify(results, data=NOWHERE)
    return {c.key: c.state for c in verdict.checks if c.key != "split"}


ALL_MET = {"files": "met", "chain": "met", "report": "met"}


def test_honest_report_passes(results: Path):
    assert found_in(results) == ALL_MET


def test_report_of_trouble_passes(tmp_path: Path):
    made = make_results(tmp_path, seeds=2, diverged=True, failed=True)
    assert found_in(finish(tmp_path, *made)) == ALL_MET


CELL = ("cnn", "0", "dense")


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file in place, and its seal: who changes one can drop the other."""
    value = read_json(path)
    change(value)
    if isinstance(value, dict):
        value.get("provenance", {}).pop("sha256", None)
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


def forged_twin(results: Path) -> None:
    """A claim before the true one, with its id."""

    def change(claims: Any) -> None:
        claims.insert(0, claims[0] | {"statement": "CNN reaches 100 %."})

    edit_json(results / "claims.json", change)


def other_order(results: Path) -> None:
    """The claims in another order, which numbers them."""
    edit_json(results / "claims.json", lambda claims: claims.reverse())


def sentence_in_report(results: Path) -> None:
    """A number in a sentence of the report."""
    (best,) = [c for c in read_json(results / "claims.json") if c["id"] == "best"]
    said = best["statement"]
    edit_text(results / "report.md", said, said.replace("97.0", "98.0"))


def sentence_in_claim(results: Path) -> None:
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
    """The last row of a network in the report is gone."""
    rows = (results / "report.md").read_text(encoding="utf-8").splitlines()
    row = [line for line in rows if line.startswith("| CNN |")][-1]
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


def word_document(results: Path) -> None:
    """Some bytes after the Word document's end."""
    path = results / "report.docx"
    path.write_bytes(path.read_bytes() + b"more")


def latex(results: Path) -> None:
    """A number among those for LaTeX, and a figure of nobody."""
    path = results / "report_latex/results.tex"
    edit_text(path, "{cnn.test_accuracy}{97", "{cnn.test_accuracy}{99")
    (results / "report_latex/figures/wishes.pdf").write_bytes(b"%PDF")


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
    forged_twin: "claims.json: best: is there 2 times",
    other_order: "claims.json: the claims are in another order",
    concealed_failure: "index.json: runs.0.status is 'failed'",
}
# What is in the files that people read.
HANDED_IN = {
    sentence_in_report: ["report.md, results: is "],
    sentence_in_claim: ["And the CNN is best of all."],
    table_cell: ["a table has '9"],
    table_row: ["nothing in the results supports: '| CNN |", "is missing: '| CNN |"],
    method: ["report.md, method: is '"],
    page: ["report.html: is not what"],
    printed: ["report.pdf: is not what"],
    word_document: ["report.docx: is not what"],
    latex: ["report_latex/results.tex: is not what"],
    drawing: [
        f"figures/{name}.svg: is not what" for name in ("accuracy", "wishes", "forest")
    ],
}
NOWHERE = Path("nowhere")  # the synthetic dataset is invented: no split follows from it


def problems(results: Path) -> str:
    """Return what is found without writing the report again."""
    opened = open_results(results)
    found = damaged_files(opened)
    if not found:
        found = chain_mismatches(opened)[0] + recompute(opened)[1]
    return "\n".join(found)


@pytest.mark.parametrize("tamper", INSIDE, ids=lambda f: f.__name__)
def test_tampering_with_results_is_seen(tamper: Callable[[Path], None], results: Path):
    tamper(results)
    assert INSIDE[tamper] in problems(results)


def test_every_tampering_with_the_report_is_named(results: Path):
    for tamper in HANDED_IN:
        tamper(results)
    verdict = verify(results, data=NOWHERE)
    found = "\n".join(verdict.mismatches)
    for tamper, expected in HANDED_IN.items():
        assert any(one in found for one in expected), (tamper, found)
    # Nothing else is blamed.
    files = {f"figures/{name}.svg" for name in ("accuracy", "wishes", "forest")}
    files |= {"report.md", "report.html", "report.pdf", "report.docx"}
    files |= {"report_latex/results.tex", "report_latex/figures/wishes.pdf"}
    assert {re.split("[:,]", line)[0] for line in verdict.mismatches} == files


def test_reports_of_other_writers_cannot_be_compared(results: Path):
    def change(record: Any) -> None:
        record["code"] |= {"typst": "0.1", "report.table": "12345678"}
        record["machine"]["system"] = "Darwin arm64"

    edit_json(results / "report.json", change)
    printed(results)
    page(results)
    report = verify(results, data=NOWHERE).checks[-1]
    assert report.state == "unchecked"
    assert [reason.partition(", ")[0] for reason in report.unchecked] == [
        "report.html",
        "report.pdf",
    ]
    for reason in report.unchecked:
        assert "another version of labmill, typst 0.1 (here " in reason
        assert "Darwin" in reason


def test_tampered_prediction_goes_through_to_claims_and_report(results: Path):
    path = results / "cnn/seed1/dense/predictions.npz"
    with np.load(path) as file:
        arrays = dict(file)
    arrays["test_logits"][:40] = np.roll(arrays["test_logits"][:40], 1, axis=1)
    np.savez(path, **arrays)
    found = "\n".join(verify(results, data=NOWHERE).mismatches)
    files = ("metrics.json", "runs.csv", "claims.json: best", "report.md, results")
    for file in (*files, "report.html", "report.pdf", "figures/accuracy.svg"):
        assert file in found
    assert f"{path.relative_to(results.parents[1])}: not the file whose" in found


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


def test_nothing_to_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(LabmillError, match=r"no finished report here.*index\.json"):
        verify(tmp_path)
    assert main(["verify", str(tmp_path)]) == 2
    assert "no finished report here" in capsys.readouterr().err


def cut(path: Path) -> None:
    """Keep the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    """Keep nothing of a file."""
    path.write_bytes(b"")


def zeroed(path: Path) -> None:
    """Keep a file's size, and nothing of its content."""
    path.write_bytes(bytes(path.stat().st_size))


def one_bit(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))


def any_bit(path: Path) -> None:
    """Flip a bit that depends on the content."""
    data = bytearray(path.read_bytes())
    at = random.Random(bytes(data)).randrange(8 * len(data))
    data[at // 8] ^= 1 << at % 8
    path.write_bytes(bytes(data))


def other_type(path: Path) -> None:
    """Put a file of the same kind with another layout in its place."""
    if path.suffix == ".npz":
        np.savez(path, x=np.array([{"a": 1}], dtype=object))
    elif path.suffix == ".safetensors":
        path.write_bytes(b"[]")
    else:
        path.write_text("x\n1,2\n" if path.suffix == ".csv" else "[]\n")


def other_run(path: Path) -> None:
    """Put another run's file in its place."""
    root = next(folder for folder in path.parents if folder.name == "results")
    neighbour = path.parents[2] / "seed2" / "dense" / path.name
    for other in (neighbour, *sorted(root.rglob(f"*{path.suffix}"))):
        if other.is_file() and other.read_bytes() != path.read_bytes():
            path.write_bytes(other.read_bytes())
            return


RUN = "cnn/seed0/dense"
DAMAGED = [
    *(f"{RUN}/{name}" for name in ("model.json", "history.csv", "batches.csv")),
    *(f"{RUN}/{name}" for name in ("metrics.json", "predictions.npz", "measure.json")),
    *(f"{RUN}/model.safetensors", "cnn/seed0/prune_1/prune.json", "arch/chosen.json"),
    *("split.json", "split.npz", "test.npz", "test_openings.jsonl"),
    *("index.json", "runs.csv", "claims.json"),
    # Of optional analyses.
    *(f"vit_sin_relu/seed0/dense/{name}" for name in ("examine.json", "examine.npz")),
    *(f"{RUN}/{name}" for name in ("represent.json", "represent.npz")),
    *(f"{RUN}/influence.json", f"{RUN}/formulate.json", "cnn/edits.json"),
    "cnn/confirmed.json",
]
DAMAGES = [cut, empty, zeroed, one_bit, any_bit, other_type, other_run]


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a study with every optional analysis."""
    kinds = {
        "examine": made.examination,
        "represent": made.representation,
        "influence": lambda: (made.influence(), None),
        "formulate": lambda: (made.formulations(), None),
    }
    root = tmp_path_factory.mktemp("analysed")
    changes = {kind: {"variants": ["cnn"]} for kind in kinds}
    changes["examine"] = {"variants": ["vit_sin_relu"]}
    job, index = make_results(root, search=True, changes=changes)
    for record in index:
        files = record["files"]
        for kind in kinds.keys() & files.keys():
            content, arrays = kinds[kind]()
            content.write(root / files[kind])
            if arrays:
                np.savez(root / files[f"{kind}_arrays"], **arrays)
    files = {
        kind: f"results/synthetic/cnn/{kind}.json" for kind in ("edits", "confirmed")
    }
    made.edits().write(root / files["edits"])
    made.confirmed().write(root / files["confirmed"])
    index.append({"kind": "edits", "variant": "cnn", "files": files})
    return finish(root, job, index)


@pytest.mark.parametrize("name", ["description", "metrics"])
def test_a_changed_name_of_a_runs_file_is_told(results: Path, name: str):
    # One flipped bit of the index ended in a KeyError.
    def change(index: Any) -> None:
        files = index["runs"][0]["files"]
        files[f"{name}x"] = files.pop(name)

    edit_json(results / "index.json", change)
    with pytest.raises(LabmillError, match=rf"index.json: .*'{name}x?' is "):
        open_results(results)


def test_every_damage_of_every_kind_of_file_is_named(analysed: Path):
    silent, tried = [], 0
    for name in DAMAGED:
        path = analysed / name
        honest = path.read_bytes()
        for damage in DAMAGES:
            path.write_bytes(honest)
            damage(path)
            if path.read_bytes() == honest:
                continue
            tried += 1
            try:
                found = problems(analysed)
            except LabmillError as error:
                found = str(error)
            if name not in found:
                silent.append((name, damage.__name__, found[:200]))
        path.write_bytes(honest)
    assert silent == []
    assert tried > 140


@pytest.mark.parametrize("moved", ["", "x"])
def test_a_file_without_a_digest_is_named(analysed: Path, moved: str):
    path = analysed / "index.json"
    honest = path.read_bytes()
    index = json.loads(honest)
    name = "results/synthetic/vit_sin_tanh/seed0/dense/predictions.npz"
    digest = index["digests"].pop(name)
    if moved:
        index["digests"][name + moved] = digest
    path.write_text(json.dumps(index))
    try:
        found = problems(analysed)
    finally:
        path.write_bytes(honest)
    assert f"{name}: index.json has no digest of it" in found
    assert not moved or f"found {name}x, which is a file of no run" in found


def test_a_folder_in_the_place_of_a_file_is_named(analysed: Path):
    for name in DAMAGED:
        path = analysed / name
        path.rename(analysed / "aside")
        path.mkdir()
        try:
            found = problems(analysed)
        except LabmillError as error:
            found = str(error)
        path.rmdir()
        (analysed / "aside").rename(path)
        assert name in found, (name, found[:200])
