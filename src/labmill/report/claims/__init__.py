"""Every sentence of the report that holds a number or a comparison, as data.

A claim: `id, section, statement, inputs: [{file, field}], test, family, n, estimate,
interval, p, p_holm, verdict`. It is a pure function of the files in `inputs`; fractions
are 0..1 and differences are first minus second, as the statement names them.
`p_holm` is corrected over `family`; `verdict` is null for claims that only report.
"""

from typing import Any

from labmill.report.claims.accuracy import ranking_claims
from labmill.report.claims.compare import compare_claims
from labmill.report.claims.evidence import Evidence

__all__ = ["Evidence", "make_claims"]

MAKERS = (ranking_claims, compare_claims)


def make_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """All claims of a study, section by section."""
    return [claim for make in MAKERS for claim in make(evidence)]
