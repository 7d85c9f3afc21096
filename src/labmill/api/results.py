"""A study's results as tables, arrays and networks."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from labmill.api.predictions import table
from labmill.core import project
from labmill.core.errors import LabmillError, suggest
from labmill.core.files import read_json
from labmill.core.fingerprint import dataset_key
from labmill.core.records import read_rows
from labmill.data.arrays import read_npz
from labmill.data.records import Card, SplitSummary
from labmill.training.records import EpochRow

if TYPE_CHECKING:
    from labmill.api.model import TrainedNetwork

PARTS = ("validation", "test")


class StudyResults:
    """The finished results of one study at one scale.

    Attributes:
        folder: `results/<study>` or `results/<scale>/<study>`.
        index: the content of index.json.
    """

    def __init__(self, folder: str | Path) -> None:
        """Open a results folder.

        Raises:
            LabmillError: the folder has no finished results.
        """
        self.folder = Path(folder)
        path = self.folder / "index.json"
        try:
            self.index: dict[str, Any] = read_json(path)
            planned = Path(self.index["results"])
        except (OSError, ValueError, KeyError, TypeError):
            raise LabmillError(
                f"{self.folder}: no finished results (index.json is missing or "
                "damaged); first run: make study NAME=<study>"
            ) from None
        self.root = self.folder.resolve().parents[len(planned.parts) - 1]

    def __repr__(self) -> str:
        """Return the study with its variants."""
        return f"StudyResults({str(self.folder)!r}: {', '.join(self.variants)})"

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per variant, seed and stage; fractions are 0..1."""
        path = self.folder / "runs.csv"
        try:
            return pd.read_csv(path)
        except (OSError, ValueError) as error:
            raise LabmillError(
                f"{path}: damaged or missing ({error}); delete it and run the study's "
                "command again"
            ) from None

    @property
    def variants(self) -> list[str]:
        """Names of the variants, in the study's order."""
        declared = self.runs[self.runs["kind"] == "variant"]
        return list(dict.fromkeys(declared["variant"]))

    @property
    def claims(self) -> list[dict[str, Any]]:
        """Every computed statement with estimate, interval, test and sources."""
        return list(read_json(self.folder / "claims.json"))

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the logits."""
        return list(SplitSummary.read(self.folder / "split.json").classes)

    @cached_property
    def card(self) -> Card:
        """The dataset's card: name, source, classes, image size, mean and std."""
        data = self.index["provenance"]["settings"]["study"]["data"]
        key = dataset_key(data["dataset"], data["arguments"])
        return Card.read(self.root / "data" / key / "card.json")

    def run(self, variant: str, seed: int = 0, stage: str = "dense") -> Path:
        """Return the folder of one stage of one run.

        Raises:
            LabmillError: the study has no such variant, seed or stage.
        """
        found = self.runs
        for key, value in (("variant", variant), ("seed", seed), ("stage", stage)):
            known = [str(one) for one in found[key].unique()]
            if str(value) not in known:
                hint = suggest(str(value), known)
                raise LabmillError(f"{self.folder}: no {key} {value!r}; {hint}")
            found = found[found[key].astype(str) == str(value)]
        return self.folder / variant / f"seed{seed}" / stage

    def history(
        self, variant: str, seed: int = 0, stage: str = "dense"
    ) -> pd.DataFrame:
        """Return one row per epoch: losses, accuracies, learning rate, seconds."""
        path = self.run(variant, seed, stage) / "history.csv"
        read_rows(EpochRow, path)  # a damaged file is one message
        return pd.read_csv(path)

    def predictions(
        self, variant: str, seed: int = 0, stage: str = "dense", part: str = "test"
    ) -> pd.DataFrame:
        """Return label, prediction, probability and logits of each image.

        Args:
            variant: name of the variant.
            seed: seed of the run.
            stage: `dense` or a pruning step such as `prune_2`.
            part: `validation` or `test`.
        """
        if part not in PARTS:
            raise LabmillError(f"part: found {part!r}; {suggest(part, PARTS)}")
        path = self.run(variant, seed, stage) / "predictions.npz"
        names = [f"{part}_{what}" for what in ("logits", "labels", "indices")]
        logits, labels, indices = read_npz(path, *names).values()
        return table(logits, self.classes).assign(
            label=[self.classes[label] for label in labels], image=indices
        )

    def load_model(
        self, variant: str, seed: int = 0, stage: str = "dense"
    ) -> "TrainedNetwork":
        """Return the trained network with its normalisation."""
        from labmill.api.model import TrainedNetwork

        with project.using(self.root):
            return TrainedNetwork.load(
                self.run(variant, seed, stage), self.card, self.classes
            )
