"""Write a finished report again: `python -m labmill.report.again results/x [folder]`.

Figures, claims and tables are made anew from the files of the runs by the code as it is
now; nothing is trained. Into the results' own folder, or into another one.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from labmill.cluster.script import batch_lines
from labmill.errors import LabmillError
from labmill.report.read import Place
from labmill.report.rewrite import rewrite
from labmill.report.summarize import summary
from labmill.report.verify import records_of
from labmill.runtime import read_json


def again(results: Path, folder: Path | None = None) -> Path:
    """Write runs.csv, claims.json and the report of `results`; return its HTML.

    folder: where to; the results' own by default. LabmillError without an index.json.
    """
    out = folder or results
    if not (results / "index.json").is_file():
        raise LabmillError(f"{results}: no results here; build the study first")
    index = read_json(results / "index.json")
    made = summary(
        index["provenance"], records_of(index), Place(results, index["results"])
    )
    out.mkdir(parents=True, exist_ok=True)
    rewrite(results, made, out, batch_lines({}))
    return out / "report.html"


def main(arguments: Sequence[str]) -> int:
    """0 when the report is written, 2 when it cannot be."""
    if len(arguments) not in (1, 2):
        print("Say which: python -m labmill.report.again results/<study> [folder]")
        return 2
    try:
        print(again(*map(Path, arguments)))
    except LabmillError as error:
        print(f"Error: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
