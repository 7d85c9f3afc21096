"""Up to how many labels something helps: a question of `compare` over label counts."""

from collections.abc import Iterable, Mapping, Sequence

from labmill.report.claims.claim import (
    Claim,
    Kind,
    Phrase,
    TestedStatement,
    claim,
    telling_digits,
)
from labmill.report.claims.comparison import ACCURACY, Comparison, Outcome
from labmill.report.claims.findings import findings, pair_of
from labmill.report.number_format import decimals
from labmill.report.results import StudyResults
from labmill.report.sweeps import Sweep, sweeps
from labmill.report.text import listed, named, number_of
from labmill.stats.margins import Verdict
from labmill.stats.significance import LEAST_SEEDS

LIST = "{others} Differences: {list:semicolons} ({seeds:seeds})."
LABELS = TestedStatement(
    higher="Test accuracy is higher with {first} than with {second} at {above}." + LIST,
    lower="Test accuracy is lower with {first} than with {second} at {below}." + LIST,
    equal="Test accuracy is practically equal with {first} and {second} at {equal}."
    + LIST,
    undecided="Whether test accuracy differs between {first} and {second} is undecided at "
    "{open}." + LIST,
    untested="{seeds:seeds} cannot show at which label counts {first} and {second} differ "
    "in test accuracy; at least {least:spelled} are needed. Differences: "
    "{list:semicolons}.",
)
WORDS = {
    Verdict.LOWER: "the other way round",
    Verdict.PRACTICALLY_EQUAL: "practically equal",
    Verdict.UNDECIDED: "undecided",
}
OTHERS = " It is {list:list}."
OTHER = "{word} at {labels}"
# Place in the sweep → outcome.
Known = Mapping[int, Outcome]


def label_count_claims(results: StudyResults) -> list[Claim]:
    """Compare each level with the first, over all label counts at once."""
    return [
        found
        for sweep in sweeps(results.study)
        for found in sweep_claims(results, sweep)
    ]


def sweep_claims(results: StudyResults, sweep: Sweep) -> list[Claim]:
    """Answer one question: each level against the first one at every label count."""
    (reference, base), *others = sweep.levels.items()
    claims = []
    for level, variants in others:
        pairs = enumerate(zip(variants, base, strict=True))
        known = {
            place: outcome
            for place, pair in pairs
            if (outcome := findings(results).outcome(pair_of(results, "", pair)))
        }
        if known:
            id = f"labels:{sweep.name}:{level}"
            sides = Comparison(id, named(level), named(reference), [])
            images = results.test_images(variants[0])
            claims.append(level_claim(sweep, sides, known, images))
    return claims


def level_claim(sweep: Sweep, sides: Comparison, known: Known, images: int) -> Claim:
    """Compare one level with the reference; the verdict is that of most interest."""
    places = {
        verdict: [p for p, o in known.items() if o.test.verdict is verdict]
        for verdict in Verdict
    }
    first = next(verdict for verdict in Verdict if places[verdict])
    tested = [p for p in places[first] if known[p].test.made] or places[first]
    deciding = known[tested[-1]]
    others = [
        Phrase(OTHER, word=WORDS[verdict], labels=counts(sweep, places[verdict]))
        for verdict in list(Verdict)[1:]
        if verdict is not first and places[verdict]
    ]
    return claim(
        LABELS,
        sides.id,
        [one for outcome in known.values() for one in outcome.inputs()],
        test=deciding.test,
        kind=Kind.QUESTION,
        about=sweep.name,
        first=sides.first,
        second=sides.second,
        above=counts(sweep, places[Verdict.HIGHER]),
        below=counts(sweep, places[Verdict.LOWER]),
        equal=counts(sweep, places[Verdict.PRACTICALLY_EQUAL]),
        open=counts(sweep, places[Verdict.UNDECIDED]),
        others=Phrase(OTHERS, list=others) if others else None,
        list=list(differences(sweep, known, images)),
        seeds=min(outcome.test.n for outcome in known.values()),
        least=LEAST_SEEDS,
    )


def differences(sweep: Sweep, known: Known, images: int) -> Iterable[Phrase]:
    """Yield each label count's difference with its interval."""
    for place, outcome in known.items():
        test = outcome.test
        digits = telling_digits(test, ACCURACY, decimals(images, test.n))
        text = f"{{labels}}: {{difference:signed.{digits}}}"
        if test.low is not None and test.high is not None:
            text += f" (95\N{NO-BREAK SPACE}% interval {{ends:ends.{digits}}})"
        yield Phrase(
            text,
            labels=counts(sweep, [place]),
            difference=test.estimate,
            ends=(test.low, test.high),
        )


def counts(sweep: Sweep, places: Sequence[int]) -> str:
    """Return label counts in words."""
    labels = [sweep.labels[place] for place in places]
    return listed(
        ("all labels" if n is None else number_of(n, "label") for n in labels), most=20
    )
