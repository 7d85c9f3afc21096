"""Tables as CSV."""

from pathlib import Path

import pytest

from labmill.core.csv_tables import read_table
from labmill.core.errors import LabmillError


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path):
    # Readers would take the last one, people the first.
    path = tmp_path / "runs.csv"
    path.write_text("a,test_accuracy,test_accuracy\n1,0.99,0.5\n")
    with pytest.raises(LabmillError, match=r"runs\.csv: damaged, a column is there"):
        read_table(path)
