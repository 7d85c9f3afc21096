"""The reference page says what the schema says."""

from helpers.workflow_run import ROOT
from labmill.study.options_page import options


def test_reference_page_is_current():
    written = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    assert written == options(), "run `make options`"
