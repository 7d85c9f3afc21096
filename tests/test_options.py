"""The reference page says what the schema says."""

from conftest import ROOT
from labmill.options import options


def test_reference_page_is_current():
    written = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    assert written == options(), "run `make options`"
