"""Every sentence of the report that holds a number or a comparison, as data.

A claim: `id, section, kind, about, contrast, statement, inputs: [{file, field}], test,
family, n, estimate, interval, p, p_adjusted, verdict`. It is a pure function of the files in
`inputs`; fractions are 0..1 and differences are first minus second, as the statement
names them. `kind` is a `template.Kind`, `about` the question, loop, search or variant
that is answered. `p_adjusted` is corrected over `family`; `verdict` is null for claims
that only report.
"""

from typing import Any

from labmill.report.claims.accuracy import ranking_claims
from labmill.report.claims.arithmetic import decoding_claims, speed_claims
from labmill.report.claims.budgets import budget_claims
from labmill.report.claims.chance import chance_claims
from labmill.report.claims.compare import compare_claims
from labmill.report.claims.cost import confusion_claims, curve_claims
from labmill.report.claims.edits import (
    edit_claims,
    profile_claims,
    published_edit_claims,
)
from labmill.report.claims.evidence import Evidence
from labmill.report.claims.examined import examine_claims
from labmill.report.claims.lessons import lesson_claims
from labmill.report.claims.looks import formulate_claims, influence_claims
from labmill.report.claims.others import (
    failure_claims,
    published_claims,
    search_claims,
)
from labmill.report.claims.pruning import pruning_claims
from labmill.report.claims.represent import mixing_claims, pretext_claims

__all__ = ["SECTIONS", "Evidence", "make_claims"]

# `section` of a claim, in the order in which claims are made.
SECTIONS = {
    "ranking": (ranking_claims, chance_claims, decoding_claims),
    "compare": (budget_claims, compare_claims),
    "classes": (confusion_claims,),
    "published": (published_claims, published_edit_claims),
    "cost": (speed_claims, formulate_claims),
    "pruning": (pruning_claims, influence_claims),
    "search": (search_claims,),
    "examine": (examine_claims,),
    "profile": (profile_claims,),
    "edits": (edit_claims,),
    "represent": (pretext_claims, mixing_claims),
    "curves": (lesson_claims, curve_claims),
    "failures": (failure_claims,),
}


def make_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """All claims of a study."""
    return [
        claim
        for makers in SECTIONS.values()
        for make in makers
        for claim in make(evidence)
    ]
