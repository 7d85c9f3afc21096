"""Everything that can be checked of a study file before anything runs."""

import re
from dataclasses import dataclass
from pathlib import Path

from labmill.core.errors import LabmillError
from labmill.core.trees import JsonObject
from labmill.study.check_compatibility import check_compatibility
from labmill.study.check_models import Facts, check_analyses, check_data
from labmill.study.check_references import check_references
from labmill.study.load import load_study
from labmill.study.scales import SCALES
from labmill.study.schema import LONGEST_NAME, PERIODIC, Study
from labmill.study.variants import ResolvedVariants, as_selected
from labmill.study.yaml_source import YamlSource


@dataclass(frozen=True)
class CheckedStudy:
    """A study without a mistake that can be seen before anything runs."""

    study: Study  # its settings at a scale, as `run` leaves them
    source: YamlSource  # its file, for messages about what is found later
    facts: Facts
    variants: ResolvedVariants  # all that it trains


def check_study(
    path: str | Path, scale: str = "full", changes: JsonObject | None = None
) -> CheckedStudy:
    """Read a study file at a scale and check all of it; `changes`: see `load_study`."""
    check_file_name(Path(path))
    study, source = load_study(path, scale, changes)
    facts = check_data(study.data, source)
    check_references(study, source)
    selected = as_selected(study)
    variants = ResolvedVariants(selected, source, facts)
    # Variants that `run` leaves out are checked too: another scale runs them.
    everything = variants
    if study.run:
        whole = study.model_copy(update={"run": None})
        everything = ResolvedVariants(whole, source, facts)
    check_compatibility(selected, everything.values(), facts, source)
    models = {name: variant.model for name, variant in everything.items()}
    check_analyses(study, models, source)
    return CheckedStudy(selected, source, facts, variants)


def check_file_name(path: Path) -> None:
    """Check that a study file's name can be part of paths in results/."""
    name = path.stem
    if (
        not re.fullmatch(r"[a-z][a-z0-9_]*", name)
        or name in SCALES
        or len(name) > LONGEST_NAME
        or PERIODIC.search(name)
    ):
        raise LabmillError(
            f"{path}: a study's file name is lower-case letters, digits and _, at most "
            f"{LONGEST_NAME}, and none of: {', '.join(SCALES)}"
        )
