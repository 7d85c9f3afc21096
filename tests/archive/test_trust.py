"""Every row of docs/trust.md: a forgery, and what catches it.

The forger knows the format: after each forgery metrics, summary and digests are
computed from the forged files as an honest workflow would.
"""

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from helpers import forgeries
from helpers.archives import contents_of, packed_again
from helpers.forgeries import RUN, republish
from labmill.archive.archive import write_archive
from labmill.archive.assignment import Assignment, requirement_checks
from labmill.archive.chain import chain_mismatches
from labmill.archive.records import damaged_files, open_results
from labmill.archive.reevaluate import different_rows, reevaluate
from labmill.archive.reproduce import Outcome, compare, reproduce
from labmill.archive.sandbox import bare_environment, sandbox
from labmill.archive.split_check import split_mismatches
from labmill.archive.unpack import unpack
from labmill.archive.verify import recompute
from labmill.cli import main
from labmill.core.errors import LabmillError
from labmill.core.files import file_digest, read_json, write_json
from labmill.core.paths import PACKAGE
from labmill.plan.plan import Plan

Forgery = Callable[[Path], None]


@pytest.fixture
def work(trained: Path, tmp_path: Path) -> Path:
    """A copy of the results of a real study."""
    shutil.copytree(trained, tmp_path / "work", symlinks=True)
    return tmp_path / "work" / "results" / "tiny"


def found_in(results: Path) -> dict[str, list[str]]:
    """Return what each check finds, without writing the report again."""
    opened = open_results(results)
    if damaged := damaged_files(opened):
        return {"files": damaged}
    data = results.parents[1] / "data"
    found = {
        "chain": chain_mismatches(opened)[0],
        "split": split_mismatches(opened, data)[0],
        "report": recompute(opened)[1],
        "weights": reevaluate(opened, data)[0],
    }
    return {key: problems for key, problems in found.items() if problems}


CAUGHT: dict[Forgery, set[str]] = {
    forgeries.swapped_logits: {"weights"},
    forgeries.random_weights: {"weights"},
    forgeries.other_weights: {"weights"},
    forgeries.unlisted_weights: {"files"},
    forgeries.no_weights: {"weights"},
    forgeries.sealed_labels: {"split", "weights"},
    forgeries.other_split: {"chain", "split"},
    forgeries.seed_copied: {"chain"},
    forgeries.declared_diverged: {"chain"},
    forgeries.trained_longer: {"chain"},
    forgeries.larger_network: {"chain", "weights"},
    forgeries.invented_fingerprint: {"chain"},
    forgeries.other_settings: {"chain"},
    forgeries.opened_again: {"chain"},
}
RERUN = (
    forgeries.trained_on_test_images,
    forgeries.chosen_seed,
    forgeries.other_learning_rate,
    forgeries.history_shortened,
    forgeries.seeds_exchanged,
    forgeries.prettier_history,
)
NOTHING = (
    forgeries.timings_divided,
    forgeries.opening_hidden,
    forgeries.logits_nudged,
    forgeries.renamed_author,
)


def named(forge: Forgery) -> str:
    """Return the name of a test's forgery, as docs/trust.md has it."""
    return forge.__name__


@pytest.mark.parametrize("forge", CAUGHT, ids=named)
def test_forgery_is_caught(forge: Forgery, work: Path):
    forge(work)
    republish(work)
    found = found_in(work)
    assert found.keys() >= CAUGHT[forge], found
    assert "report" not in found, found  # the forger computed all again


@pytest.mark.parametrize("forge", RERUN, ids=named)
def test_only_a_rerun_catches(forge: Forgery, work: Path, trained: Path):
    """The rerun is `trained`, which equals what the workflow makes, bit for bit."""
    forge(work)
    republish(work)
    assert found_in(work) == {}
    file = f"results/tiny/{RUN}/predictions.npz"
    weights = {
        path.relative_to(work.parents[1]).as_posix(): file_digest(path)
        for path in work.rglob("model.safetensors")
    }
    opened = replace(open_results(work), weights=weights)
    found = compare(opened, file, trained, tolerance=1.0)
    assert found.outcome is Outcome.DIFFERENT, found
    true_network = forge is forgeries.prettier_history
    assert ("weights" in found.unequal) is not true_network


@pytest.mark.parametrize("forge", NOTHING, ids=named)
def test_nothing_catches(forge: Forgery, work: Path):
    forge(work)
    republish(work)
    assert found_in(work) == {}


def test_elsewhere_the_tolerance_decides(work: Path, trained: Path):
    """Another processor may round otherwise, so that its rerun is not bit-equal."""
    forgeries.other_learning_rate(work)

    def elsewhere(description: Any) -> None:
        description["provenance"]["machine"]["processor"] = "Another 9000"

    forgeries.edit(work / RUN / "model.json", elsewhere)
    opened, file = open_results(work), f"results/tiny/{RUN}/predictions.npz"
    assert compare(opened, file, trained, tolerance=1.0).outcome is Outcome.WITHIN
    assert compare(opened, file, trained, tolerance=0.0).outcome is Outcome.DIFFERENT


def test_a_deleted_seed_is_missing(work: Path):
    forgeries.deleted_seed(work)
    republish(work)
    opened = open_results(work)
    required = requirement_checks(Assignment(title="x", seeds=2), opened, None)
    (seeds,) = [check for check in required.checks if check.key == "seeds"]
    assert seeds.problems == ["cnn: 1 finished (seeds [1])"]


def test_every_row_of_the_page_has_its_test():
    """And every forgery of these tests has its row."""
    page = (Path(__file__).parents[2] / "docs/trust.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    tests_of = {
        row: {*re.findall(r"`(\w+_\w+)`", row.rstrip("| ").split(" | ")[-1])}
        for row in rows
        if not row.startswith(("| forgery", "| n = ", "| K = "))
    }
    assert [row for row, names in tests_of.items() if not names] == []
    assert len(tests_of) >= 20
    named_there = set().union(*tests_of.values())
    tests = "".join(
        path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py")
    )
    known = {*re.findall(r"def (test_\w+)", tests)}
    known |= {named(forge) for forge in (*CAUGHT, *RERUN, *NOTHING)}
    assert named_there >= {named(forge) for forge in (*CAUGHT, *RERUN, *NOTHING)}
    assert named_there <= known, named_there - known


def test_an_honest_study_passes(work: Path):
    assert found_in(work) == {}


def test_dataset_with_other_labels_or_images(work: Path):
    folder = work.parents[1] / "data/digits"
    labels = np.load(folder / "labels.npy")
    np.save(folder / "labels.npy", np.roll(labels, 1))
    assert "not what card.json says" in found_in(work)["split"][0]


def test_images_of_the_report_are_compared(real: Path, work: Path, tmp_path: Path):
    def change(files: dict[str, bytes]) -> None:
        arrays = dict(np.load(io.BytesIO(files["data/digits/shown.npz"])))
        arrays["images"] = arrays["images"][::-1]
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        files["data/digits/shown.npz"] = file.getvalue()

    root = tmp_path / "out"
    unpack(packed_again(real, tmp_path / "x.zip", change), root)
    found, _ = split_mismatches(
        open_results(root / "results/tiny"), work.parents[1] / "data"
    )
    assert found == ["data/digits/shown.npz: other images than the dataset's"]


def test_another_study_file_is_refused(real: Path, tmp_path: Path):
    def change(files: dict[str, bytes]) -> None:
        name = "studies/tiny.yaml"
        files[name] = files[name].replace(b"epochs: 2", b"epochs: 9")

    changed = packed_again(real, tmp_path / "x.zip", change)
    with pytest.raises(LabmillError, match="has changed since results/tiny was made"):
        reproduce(changed)


def test_logits_may_differ_by_rounding_alone():
    logits = np.random.default_rng(0).normal(size=(50, 10)).astype(np.float32)
    assert different_rows(logits, logits * (1 + 1e-6)) == 0
    swapped = logits.copy()
    swapped[3] = np.roll(swapped[3], 1)
    assert different_rows(logits, swapped) == 1


def test_a_run_is_trained_again_bit_for_bit(
    real: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
):
    """By the code here, on another path and one core; nothing of the archive is run."""
    monkeypatch.chdir(trained)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        verdict, reruns = reproduce(real, "cnn:0")
    finally:
        os.sched_setaffinity(0, cores)
    assert verdict.mismatches == [] and verdict.unchecked == []
    assert [rerun.outcome for rerun in reruns] == [Outcome.EQUAL]
    assert all(not rerun.unequal and rerun.alike for rerun in reruns)


ATTEMPT = """
try:
    open({mark!r}, 'w')
except OSError:
    pass
"""


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
def test_the_sandbox_finds_labmill_below_the_users_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(PACKAGE.parents[2]))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    call = "import labmill, snakemake_logger_plugin_labmill"
    inside = sandbox(tmp_path)
    assert inside.prefix
    subprocess.run([*inside.prefix, sys.executable, "-c", call], check=True)


def test_code_of_an_archive_is_shown_and_never_run_untrusted(
    real: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mark = tmp_path / "executed"
    shown: list[str] = []

    def change(files: dict[str, bytes]) -> None:
        name = "code/src/labmill/training/train.py"
        files[name] += ATTEMPT.format(mark=str(mark)).encode()
        for name in files:
            if name.endswith("cnn/seed0/dense/model.json"):
                files[name] = files[name].replace(
                    b'"training.train": "', b'"training.train": "0'
                )

    changed = packed_again(real, tmp_path / "x.zip", change)
    with pytest.raises(LabmillError, match=r"made by other code than this \(training"):
        reproduce(changed, "cnn:0", show=shown.append)
    assert not mark.exists()
    assert f"+    open({str(mark)!r}, 'w')" in shown[0]
    if not shutil.which("bwrap"):
        return
    # Trusted, it runs, and cannot reach what is not its own.
    monkeypatch.chdir(trained)
    _, reruns = reproduce(changed, "cnn:0", trust_code=True, show=shown.append)
    assert "in a sandbox" in shown[-1] and not mark.exists()
    assert [rerun.outcome for rerun in reruns] == [Outcome.EQUAL]


def test_real_archive_is_graded(
    real: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    spec = tmp_path / "assignment.yaml"
    spec.write_text("title: Exercise\nseeds: 2\n")
    data = str(trained / "data")
    assert main(["grade", str(real), "--spec", str(spec), "--data", data]) == 0
    found = capsys.readouterr().out
    assert "8 of 8 requirements are met." in found, found
    assert contents_of(real)["code/LICENSE"]


def test_weights_of_own_images_are_evaluated_where_the_images_are(
    work: Path, monkeypatch: pytest.MonkeyPatch
):
    """The digits stand for the images; the folder that the study names is not read."""
    root = work.parents[1]
    study, index = root / "studies/tiny.yaml", read_json(work / "index.json")
    settings = yaml.safe_load(study.read_text())
    own = {"dataset": "image_folder", "arguments": {"path": "nowhere", "image_size": 8}}
    settings["data"] |= own | {"arguments": own["arguments"] | {"channels": 1}}
    study.write_text(yaml.safe_dump(settings, sort_keys=False))
    plan = Plan(study)
    index["provenance"]["settings"] = plan.report_settings()
    write_json(work / "index.json", index)
    assert "data/image_folder" in reevaluate(open_results(work), root / "data")[1][0]
    (root / "data/digits").rename(root / "data" / plan.dataset_key)
    assert reevaluate(open_results(work), root / "data") == ([], [])


def test_archive_without_weights_fails(work: Path, tmp_path: Path):
    write_archive(work, tmp_path / "x.zip", weights=False)
    root = tmp_path / "out"
    unpack(tmp_path / "x.zip", root)
    found, _ = reevaluate(open_results(root / "results/tiny"), work.parents[1] / "data")
    assert "the weights are not in the archive" in found[0]


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
def test_trusted_code_sees_no_network_and_no_files_of_the_caller(tmp_path: Path):
    secret = Path.home() / f".labmill-test-{os.getpid()}"
    secret.write_text("key")
    code, work = tmp_path / "code", tmp_path / "work"
    code.mkdir()
    work.mkdir()
    attempt = (
        "import os, pathlib, socket\n"
        f"assert not os.path.exists({str(secret)!r}), 'home'\n"
        "assert not any('SECRET' in name for name in os.environ), 'environment'\n"
        "names = [name for _, name in socket.if_nameindex()]\n"
        "assert names == ['lo'], names\n"
        f"assert pathlib.Path({str(code)!r}).is_dir(), 'code'\n"
        "try: pathlib.Path('/etc/labmill-test').write_text('x'); raise SystemExit('wrote')\n"
        "except OSError: pass\n"
        "pathlib.Path('done').write_text('x')\n"
    )
    try:
        isolated = sandbox(work, readable=[code])
        assert isolated.prefix, isolated.told
        done = subprocess.run(
            [*isolated.prefix, sys.executable, "-c", attempt],
            env=bare_environment(),
            capture_output=True,
            text=True,
        )
    finally:
        secret.unlink()
    assert done.returncode == 0, done.stderr + done.stdout
    assert (work / "done").read_text() == "x"


def test_a_machine_without_a_sandbox_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("labmill.archive.sandbox.shutil.which", lambda name: None)
    isolated = sandbox(tmp_path)
    assert isolated.prefix == () and "WITHOUT a sandbox" in isolated.told
