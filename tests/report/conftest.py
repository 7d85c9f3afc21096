"""A whole report for every test of its pages."""

from pathlib import Path

import pytest

from helpers.report_page import built
from helpers.synthetic_results import STUDY

NUMBER = '{{ result("cnn", "test_accuracy") }}'
OWN = f"""The CNN got {NUMBER} of the images [@lecun].

# A heading of mine

Mathematics: $a^2 + \\frac{{b}}{{c}}$ and *emphasis*.
"""
REFERENCES = """@article{lecun, author={LeCun, Yann}, title={Gradient-based learning},
journal={Proceedings of the IEEE}, year={1998}}"""


@pytest.fixture(scope="session")
def report_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole report: search, pruning, a diverged run, own words, references."""
    report = {
        "text": {"results": OWN, "my_remarks": "What I think of it."},
        "references": REFERENCES,
    }
    return built(
        tmp_path_factory.mktemp("report"),
        search=True,
        diverged=True,
        changes={
            "report": report,
            "question": f"Which is better than the CNN's {NUMBER}?",
            "compare": STUDY["compare"]
            | {
                "network": STUDY["compare"]["network"]
                | {"question": f"Can the ViT reach {NUMBER}?"}
            },
        },
    )
