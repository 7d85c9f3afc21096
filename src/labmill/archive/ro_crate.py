"""Describe an archive for other tools and for people.

`ro-crate-metadata.json` makes it a Workflow Run RO-Crate (w3id.org/ro/wfrun/workflow/0.5):
the workflow, its one execution, what went in and what came out. `README.md` says the same
in words, with the total compute and the items of a reproducibility checklist.
"""

import hashlib
import json
import mimetypes
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import jinja2
from rocrate.model import ContextEntity, Person
from rocrate.rocrate import ROCrate

from labmill.archive.records import REPORT, TABLES, Opened
from labmill.core.progress import duration, starts
from labmill.report.number_format import format_of
from labmill.report.results import StudyResults
from labmill.report.sections.appendix.checklist import checklist
from labmill.report.text import escape
from labmill.training.records import ModelDescription

METADATA, README = "ro-crate-metadata.json", "README.md"
WORKFLOW = "code/Snakefile"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
COMPUTED = {
    "seconds": "seconds of all jobs: failed, repeated and preliminary ones included",
    "starts": "starts of jobs",
    "failed": "starts that failed",
    "killed": "starts that were killed",
}
TYPES = {".npz": "application/x-npz", ".safetensors": "application/x-safetensors"}
TYPES |= {
    ".yaml": "application/yaml",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
}
TYPES |= {".lock": "text/plain", ".j2": "text/x-jinja", ".smk": "text/x-snakemake"}


def crate_metadata(
    opened: Opened, results: StudyResults, files: Mapping[str, bytes]
) -> bytes:
    """Return ro-crate-metadata.json.

    Args:
        opened: the results.
        results: the same, as the report reads them.
        files: content of every file by its name in the archive.
    """
    study = results.study
    date = opened.index["provenance"]["date"]
    crate = ROCrate(version="1.1")
    crate.name = study["title"]
    crate.description = (
        results.filled(study["question"], "question")
        or f"Results of the study {study['title']}"
    )
    crate.root_dataset["datePublished"] = date
    crate.license = crate.add(
        ContextEntity(crate, "https://spdx.org/licenses/MIT", {
            "@type": "CreativeWork", "name": "MIT License",
            "description": "Of the code. Of the data: see data/*/card.json.",
        })
    )  # fmt: skip
    for name, data in sorted(files.items()):
        facts = {
            "contentSize": str(len(data)),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        suffix = Path(name).suffix
        media = TYPES.get(suffix) or mimetypes.types_map.get(suffix, "text/plain")
        facts |= {"name": name, "encodingFormat": media}
        if name == WORKFLOW:
            facts["name"] = "labmill"
            workflow = crate.add_workflow(
                None, name, main=True, lang="snakemake", properties=facts
            )
            workflow["license"] = crate.license
            workflow["version"] = version("labmill")
        else:
            crate.add_file(None, name, properties=facts)
    author = study.get("author") or {}
    agent = crate.add(
        Person(crate, "#author", {"name": author.get("name") or "not given"})
    )
    crate.root_dataset["author"] = agent
    made = [f"{opened.place.planned}/{name}" for name in (*REPORT, *TABLES)]
    action = crate.add_action(
        workflow,
        "#run",
        object=[
            crate.get(name) for name in files if name.startswith(("studies/", "data/"))
        ],
        result=[crate.get(name) for name in made if name in files],
        properties={
            "name": f"labmill: {study['title']}, scale {opened.index['scale']}",
            "endTime": date,
            "actionStatus": "http://schema.org/CompletedActionStatus",
            "description": "Snakemake trained and evaluated every variant of the study.",
        },
    )
    action["agent"] = agent
    if computed := compute(opened):
        action["additionalProperty"] = [
            crate.add(
                ContextEntity(
                    crate,
                    f"#{key}",
                    {"@type": "PropertyValue", "name": name, "value": computed[key]},
                )
            )
            for key, name in COMPUTED.items()
        ]
    crate.root_dataset["mentions"] = action
    crate.get(README)["about"] = crate.root_dataset
    profiles = [
        crate.add(
            ContextEntity(
                crate,
                identifier,
                {
                    "@type": "CreativeWork",
                    "name": name,
                    "version": identifier.rpartition("/")[2],
                },
            )
        )
        for identifier, name in PROFILES.items()
    ]
    crate.root_dataset["conformsTo"] = profiles
    return (json.dumps(crate.metadata.generate(), indent=1) + "\n").encode()


def compute(opened: Opened) -> dict[str, int]:
    """Return what all starts of the study's jobs took, by the logs next to its results.

    Nothing where there are no logs.
    """
    found = list(
        starts(opened.place.planned.removeprefix("results/"), opened.root / "logs")
    )
    if not found:
        return {}
    return {
        "seconds": round(sum(one.seconds for one in found)),
        "starts": len(found),
        "failed": sum(one.error is not None for one in found),
        "killed": sum(one.ended is None for one in found),
    }


def readme(
    opened: Opened, results: StudyResults, *, weights: bool, own_code: bool
) -> bytes:
    """Return README.md: what this is, how to check it, compute, checklist.

    `weights`, `own_code`: whether the archive holds the evaluated networks, and code of
    the author.
    """
    index = opened.index
    own_images = results.study["data"]["dataset"] == "image_folder"
    runs = (
        "{variant}:{seed}".format(**run)
        for run in index["runs"]
        if opened.file(run, "predictions") and not own_images
    )
    template = (Path(__file__).parent / "README.md.j2").read_text()
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(template).render(
        study=results.study,
        index=index,
        name=index["study"],
        networks=list(networks(results)),
        checklist=checklist(results).rows,
        computed=compute(opened),
        duration=duration,
        weights=weights,
        own_code=own_code,
        own_images=own_images,
        run=next(runs, None),
    )
    return text.encode()


def networks(results: StudyResults) -> Iterator[list[str]]:
    """Yield name, family, parameters, test accuracy and number of seeds of each variant."""
    for variant in results.variants:
        about = results.first(variant, ModelDescription)
        cells = [
            format_of(column)(mean.estimate) if mean else "–"
            for column in ("parameters", "test_accuracy")
            for mean in [results.mean(variant, column)]
        ]
        seeds = len(results.values(variant, "test_accuracy"))
        family = about.name if about else "–"
        yield [escape(results.label(variant)), family, *cells, str(seeds)]
