"""Two trained networks on the same test images: what one seed can show."""

from collections.abc import Iterable
from typing import Any

from labmill.evaluation.statistics import holm, paired_images, verdict
from labmill.report.claims import words
from labmill.report.claims.evidence import Contrast, Evidence, correct
from labmill.report.claims.template import Judged, Test, judged

IMAGES = Judged(
    higher="On these {images} test images, for these two trained networks (seed {seed}), "
    "{first} has a test accuracy {difference} higher than {second}: {only_first} images "
    "only the first gets right, {only_second} only the second (McNemar's exact test, {p} "
    "after Holm's correction). Whether this would happen again with other seeds, this "
    "does not say.",
    lower="On these {images} test images, for these two trained networks (seed {seed}), "
    "{first} has a test accuracy {difference} lower than {second}: {only_first} images "
    "only the first gets right, {only_second} only the second (McNemar's exact test, {p} "
    "after Holm's correction). Whether this would happen again with other seeds, this "
    "does not say.",
    not_shown="On these {images} test images, for these two trained networks (seed "
    "{seed}), no difference in test accuracy between {first} and {second} is shown: "
    "{only_first} images only the first gets right, {only_second} only the second "
    "(McNemar's exact test, {p} after Holm's correction).",
    too_few="There are too few test images to compare {first} and {second}.",
)


def image_claims(
    evidence: Evidence, contrasts: Iterable[Contrast], section: str
) -> list[dict[str, Any]]:
    """Single networks against each other on the test images; Holm over the contrasts."""
    made = []
    for one in contrasts:
        for seed, pairs in list(one.pairs.items())[:1]:
            for first, second in pairs:
                right = [correct(evidence, row)[0] for row in (first, second)]
                made.append((one, seed, first, second, paired_images(*right)))
    adjusted = holm([compared.p for *_, compared in made])
    claims = []
    for (one, seed, *rows, compared), p_adjusted in zip(made, adjusted, strict=True):
        ends = ":".join(row.cells["variant"] for row in rows)
        labels = [stage_label(row) for row in rows]
        test = Test(
            name="McNemar's exact test over test images",
            n=compared.n,
            family=f"{section}: single networks",
            estimate=compared.estimate,
            low=compared.low,
            high=compared.high,
            p=compared.p,
            p_adjusted=p_adjusted,
            verdict=verdict(p_adjusted, estimate=compared.estimate, n_seeds=None),
        )
        claims.append(
            judged(
                IMAGES,
                test,
                f"{one.id}:images:{ends}",
                section,
                [
                    {"file": row.record["files"]["predictions"], "field": "test_logits"}
                    for row in rows
                ],
                about=one.about,
                contrast=one.told("test_accuracy"),
                images=f"{compared.n:,}",
                seed=seed,
                first=labels[0],
                second=labels[1],
                difference=words.points(
                    compared.estimate, words.decimals(compared.n, 1)
                ),
                only_first=compared.only_first,
                only_second=compared.only_second,
                p=words.p_value(p_adjusted if p_adjusted is not None else compared.p),
            )
        )
    return claims


def stage_label(row: Any) -> str:
    """A network's name: its variant's, with the stage where that is not `dense`."""
    label, stage = words.named(row.cells["label"]), row.cells["stage"]
    return label if stage == "dense" else f"{label} after {words.named(stage)}"
