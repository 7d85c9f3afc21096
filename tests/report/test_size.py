"""How large the page gets."""

from pathlib import Path

import pytest

from helpers import synthetic_results as synthetic
from helpers.report_page import built
from helpers.synthetic_results import STUDY

MOST = 5_000_000


def test_the_page_of_120_runs_stays_below_5_mb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # Forty networks with long names and three seeds each, a curve of 100 epochs per run.
    monkeypatch.setattr(synthetic, "EPOCHS", 100)
    labels = [f"Network {i} of forty, as wide as deep" for i in range(40)]
    variants = {
        f"network{i}": STUDY["variants"]["cnn"] | {"label": label}
        for i, label in enumerate(labels)
    }
    levels = {"few": ["network0", "network1"], "many": ["network2", "network3"]}
    changes = {
        "variants": variants,
        "pruning": {},
        "published": None,
        "compare": {"width": {"levels": levels}},
    }
    folder = built(tmp_path, changes=changes)
    assert len(list((folder).glob("*/seed*"))) == 120
    assert (folder / "report.html").stat().st_size < MOST
