"""The reference page says what the schema says."""

from labmill.options import options
from mill import ROOT


def test_reference_page_is_current():
    written = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    assert written == options(), "run `make options`"
