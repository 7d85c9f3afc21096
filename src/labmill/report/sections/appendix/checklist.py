"""The questions of reproducibility checklists that results answer."""

from collections import Counter

from labmill.report.number_format import duration
from labmill.report.results import StudyResults
from labmill.report.runs import UNUSABLE
from labmill.report.table import Table
from labmill.report.text import listed
from labmill.training.records import ModelDescription


def checklist(results: StudyResults) -> Table:
    """Return question and answer; an archive's README has the same rows."""
    card, states = results.dataset, Counter(row.cells["status"] for row in results.rows)
    trained = [
        found.training for row in results.rows if (found := row.read(ModelDescription))
    ]
    lost = sum(n for state, n in states.items() if state in UNUSABLE)
    untimed = len(results.rows) - len(trained)
    machines = sorted(
        {
            row.provenance["model"]["machine"]["processor"]
            for row in results.rows
            if "model" in row.provenance
        }
    )
    parts = [f"{n} {part}" for part, n in results.sizes.items()]
    rows = [
        [
            "Which data, under which licence?",
            f"{card['name']}, {card['source']}; {card.get('licence') or 'licence not known'}",
        ],
        [
            "How was it divided?",
            f"{listed(parts)} {results.things}, once, by the study's split seed; only the evaluation reads the test part",
        ],
        [
            "Which preprocessing and augmentation?",
            "in the study file; pixels are normalised by mean and deviation of the training part",
        ],
        [
            "Which settings were tried, and how was one chosen?",
            "every one is a row of runs.csv; choices use the validation part only",
        ],
        [
            "How many runs?",
            f"seeds {listed(list(map(str, results.study['seeds'])))}; "
            + ", ".join(
                f"{n} {state.replace('_', ' ')}" for state, n in sorted(states.items())
            ),
        ],
        [
            "Were runs left out?",
            f"{lost} without a usable result are listed, and are in no mean"
            if lost
            else "no",
        ],
        [
            "What do the intervals mean?",
            "95 %; the tests are in the appendix and in claims.json",
        ],
        [
            "How much was computed?",
            f"{duration(sum(one.wall_seconds for one in trained))} of training in {len(trained)} runs and stages: searches, pretext tasks, pruning and diverged runs included"
            + (f"; {untimed} failed and left no time" if untimed else "")
            + "; earlier versions of the study are not counted",
        ],
        [
            "On which machine?",
            f"{listed(machines)}; more in the provenance of every JSON file",
        ],
        [
            "Is a rerun equal?",
            "bit for bit on the same kind of processor with the same libraries",
        ],
    ]
    return Table(
        ["Question", "Answer"],
        rows,
        "Questions of reproducibility checklists, answered from the results.",
        "ll",
    )
