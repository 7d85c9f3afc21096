"""The trainings that a search for a small architecture edit needs.

Which edit a job trains depends on results, the jobs do not: the k-th brief training of
`cnn` is the variant `cnn_edit<k>` (0: `cnn` unchanged), the k-th full one
`cnn_confirmed<k>`, and each takes its layers from a ranking when it runs.
"""

from collections.abc import Iterator

from labmill.core import registry
from labmill.study.load import resolve_training
from labmill.study.schema import Choice, Edits
from labmill.study.variants import ResolvedVariant
from labmill.study.yaml_source import YamlSource

PROPOSED, CONFIRMED = "edits", "confirmed"


def ranking_name(variant: str, kind: str) -> str:
    """Return the name that slots use for the ranking with their layers."""
    return f"{variant}__{kind}"


def trial_slots(
    edits: Edits, origin: ResolvedVariant, source: YamlSource
) -> Iterator[ResolvedVariant]:
    """Yield the brief and the full trainings for the edits of one variant."""
    at = ("edits", "variants")
    allowed = {a.name for a in registry.arguments("models", origin.model.name)}
    if "layers" not in allowed:
        source.fail(f"{origin.model.name} is not described by `layers`", at)
    if origin.chosen or origin.start:
        source.fail(
            f"{origin.name} begins from a search or a pretext; write its settings "
            "into a separate variant",
            at,
        )
    if edits.confirm > edits.trials:
        source.fail(
            f"found {edits.confirm}; only {edits.trials} edits are tried (edits.trials)",
            ("edits", "confirm"),
        )
    brief = resolve_training(
        origin.training, {"epochs": edits.epochs}, source, ("edits", "epochs")
    )
    for number in range(edits.trials + 1):
        yield ResolvedVariant(
            name=f"{origin.name}_edit{number}",
            kind="edit",
            label=f"{origin.label}, edit {number}" if number else origin.label,
            model=origin.model,
            training=brief,
            seeds=origin.seeds[:1],
            chosen=Choice(search=ranking_name(origin.name, PROPOSED), rank=number + 1),
        )
    for number in range(1, edits.confirm + 1):
        yield ResolvedVariant(
            name=f"{origin.name}_confirmed{number}",
            kind="variant",
            label=f"{origin.label}, edit confirmed {number}",
            model=origin.model,
            training=origin.training,
            seeds=origin.seeds,
            chosen=Choice(search=ranking_name(origin.name, CONFIRMED), rank=number),
            test_flip=origin.test_flip,
            test_shift=origin.test_shift,
        )
