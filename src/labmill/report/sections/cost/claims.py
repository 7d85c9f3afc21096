"""Time of a pass with the library's layers and with matrix products."""

from collections.abc import Mapping

from labmill.analysis.records import Formulations, Seconds
from labmill.report.claims.claim import Claim, Phrase, Statement, claim
from labmill.report.results import StudyResults

FORMULATED = Statement(
    "{label:name}, one pass over {images:images} in batches of {batch} on "
    "{threads:threads}: inference takes {inference:list}; training takes {training:list}. "
    "Logits differ by {difference} at most."
)
NAMES = {
    "library": "with the library's layers",
    "unfold": "with patches unfolded into one matrix product",
    "shifted": "with a product per position of the kernel",
}


def make_claims(results: StudyResults) -> list[Claim]:
    """Return one claim per variant whose formulations were timed."""
    return [
        claim(
            FORMULATED,
            f"formulate:{run.variant}",
            [
                run.source("formulate", field)
                for field in ("inference", "training", "largest_difference")
            ],
            n=min(time.n for time in record.inference.values()),
            label=run.label,
            images=record.images,
            batch=record.batch,
            threads=record.threads,
            inference=medians(record.inference),
            training=medians(record.training),
            difference=f"{max(record.largest_difference.values()):.0e}",
        )
        for run, record in results.analysed_runs(Formulations)
    ]


def medians(times: Mapping[str, Seconds]) -> list[Phrase]:
    """Return the median time of each formulation."""
    return [
        Phrase("{time:seconds_of} {name}", time=time.median_s, name=NAMES[name])
        for name, time in times.items()
    ]
