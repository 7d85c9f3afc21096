"""A damaged file of a run is named by the summary, and used by none."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.damages import DAMAGES
from labmill.core.errors import LabmillError
from labmill.core.files import file_digest
from labmill.data.records import Card
from labmill.report.report_inputs import ReportFiles
from labmill.report.results import StudyResults
from labmill.report.summarize import KINDS, summarize

RUN = "cnn/seed0/dense"
NAMES = [
    *(f"{RUN}/{name}" for name in ("model.json", "history.csv", "metrics.json")),
    *(f"{RUN}/{name}" for name in ("batches.csv", "predictions.npz", "measure.json")),
    *("cnn/seed0/prune_1/prune.json", "arch/chosen.json"),
]
# A whole file of another run: `labmill verify` compares where each was made.
SILENT = [("other", f"{name}.json") for name in ("measure", "prune", "chosen")]


@pytest.fixture(scope="module")
def whole(
    synthetic: tuple[Path, dict[str, Any], list[Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The synthetic results with the digests that jobs write."""
    source, _, index = synthetic
    root = tmp_path_factory.mktemp("whole") / "work"
    shutil.copytree(source, root)
    for record in index:
        files = {key: root / name for key, name in record["files"].items() if name}
        for key in KINDS.keys() & files.keys():
            content = KINDS[key].read(files[key])
            if key == "description":
                paths = [
                    files[name] for name in ("history", "batches") if name in files
                ]
                digests = {path.name: file_digest(path) for path in paths}
                content = content.model_copy(update={"digests": digests})
            content.write(files[key])
    return root


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_named(
    name: str, whole: Path, synthetic: tuple[Path, Any, list[Any]], tmp_path: Path
):
    results = tmp_path / "work/results/synthetic"
    shutil.copytree(whole, tmp_path / "work")
    path, other = results / name, results / name.replace("seed0", "seed1")
    honest = path.read_bytes()
    foreign = (
        other if other.exists() else results / "vit_sin_relu/seed0/dense" / path.name
    )
    for damage, change in DAMAGES.items():
        path.write_bytes(change(honest, foreign.read_bytes()))
        if (damage, path.name) in SILENT:
            continue
        with pytest.raises(LabmillError) as caught:
            summarize(
                *synthetic[1:],
                runs=results / "runs.csv",
                index_out=results / "index.json",
                claims=results / "claims.json",
            )
        message = str(caught.value)
        # Another run's model.json: history.csv is not of it.
        assert path.name in message or damage == "other", message
        assert message.count("\n") < 3
    assert not (results / "runs.csv").exists()


@pytest.fixture(scope="module")
def summarized(
    synthetic: tuple[Path, dict[str, Any], list[Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The synthetic results with summary, and with the digest of their images."""
    root = tmp_path_factory.mktemp("summarized") / "work"
    shutil.copytree(synthetic[0], root)
    results, data = root / "results/synthetic", root / "data/digits"
    summarize(
        *synthetic[1:],
        runs=results / "runs.csv",
        index_out=results / "index.json",
        claims=results / "claims.json",
    )
    digest = file_digest(data / "images.npy")
    card = Card.read(data / "card.json")
    card.model_copy(update={"arrays": {"images.npy": digest}}).write(data / "card.json")
    return root


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["images.npy", "split.npz"])
def test_what_a_report_shows_is_checked(
    damage: str, name: str, summarized: Path, tmp_path: Path
):
    root, data = tmp_path / "work", tmp_path / "work/data/digits"
    shutil.copytree(summarized, root)
    results = root / "results/synthetic"
    path = data / name if name == "images.npy" else results / name
    foreign = (data / "labels.npy").read_bytes()
    path.write_bytes(DAMAGES[damage](path.read_bytes(), foreign))
    files = ReportFiles.below(results, data, root / "studies")
    with pytest.raises(LabmillError, match=re.escape(name)):
        found = StudyResults.read(files, {})
        _ = (found.pool, found.parts)
