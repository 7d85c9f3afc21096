"""The jobs that close a study: the summary of all results, the report, the export."""

from functools import cache
from pathlib import Path
from typing import Any

from labmill import edits, looks
from labmill.differences import differences
from labmill.fingerprint import digest
from labmill.index import results_index
from labmill.job import Job
from labmill.loading import load_study
from labmill.plan import Plan
from labmill.registry import names
from labmill.study import Study

# The libraries that decide a report's bytes.
WRITERS = (
    *("numpy", "matplotlib", "altair", "vl-convert-python", "pillow"),
    *("jinja2", "pypandoc_binary", "typst"),
)


def summarize_job(plan: Plan) -> Job:
    """Collect all results of the study into one table."""
    code, libraries = ("report.summarize",), ("scipy",)
    return Job("summarize", told(plan), code, libraries, consumed(plan))


def report_job(plan: Plan) -> Job:
    """Write the report, which shows how the study runs on a cluster too."""
    return writing(told(plan) | {"slurm": plan.slurm}, summarize_job(plan).fingerprint)


def writing(settings: dict[str, Any], summary: str) -> Job:
    """Write the report of a summary, by its fingerprint.

    Its record names all that decides the report's bytes beside the results.
    """
    figures = (f"report.figures.{name}" for name in names("report/figures"))
    return Job(
        "report",
        settings,
        ("report.write", *figures),
        WRITERS,
        {"summary": summary, "templates": templates()},
    )


@cache
def templates() -> str:
    """Fingerprint of the report's templates, styles and scripts."""
    report = Path(__file__).parent / "report"
    files = sorted([*report.glob("templates/*"), *report.glob("assets/*")])
    return digest({path.name: path.read_text(encoding="utf-8") for path in files})


def mlflow_job(plan: Plan) -> Job:
    """Export all runs as an MLflow store."""
    summary = {"summary": summarize_job(plan).fingerprint}
    return Job("mlflow", {}, ("export",), ("mlflow-skinny",), summary)


def consumed(plan: Plan) -> dict[str, str]:
    """Label → fingerprint of every job whose files the summary reads.

    Prune loops are taken to their last step: where they end, only results can tell.
    """
    found = {}
    for record in results_index(plan, lambda *_: {"finished": False}):
        if record["kind"] == "search":
            stage = record["stage"]
            found[f"search {stage}"] = plan.select_job(stage).fingerprint
        elif record["kind"] == "edits":
            variant = record["variant"]
            job = edits.confirm_job(plan, variant)
            found[f"edits of {variant}"] = job.fingerprint
        elif record["kind"] in ("variant", "pretext"):
            at = (record["variant"], record["seed"], record["stage"])
            for kind, job in stage_jobs(plan, *at, record["files"]):
                label = "{} seed {} {}".format(*at)
                found[f"{label} {kind}"] = job.fingerprint
    return found


def stage_jobs(
    plan: Plan, variant: str, seed: int, stage: str, files: dict[str, str]
) -> list[tuple[str, Job]]:
    """The jobs that made a stage's files; its training is behind each of them."""
    jobs = []
    if "metrics" in files:
        jobs.append(("evaluate", plan.evaluate_job(variant, seed, stage)))
    if "measure" in files:
        jobs.append(("measure", plan.measure_job(variant, seed, stage)))
    for kind in looks.LOOKS.keys() & files.keys():
        jobs.append((kind, looks.look_job(plan, kind, variant, seed)))
    return jobs


def told(plan: Plan) -> dict[str, Any]:
    """What the report tells of the study: all of it, and what a scale reduced."""
    study = full = signed(plan, plan.study)
    if plan.scale != "full":
        full = signed(plan, load_study(plan.path)[0])
    reduced = list(differences(full, study))
    # Keys are sorted on the way, but the first level is the reference, and questions
    # stand in the report as the study asks them.
    for place, question in enumerate(study["compare"].values()):
        question |= {"order": list(question["levels"]), "place": place}
    return {"study": study, "scale": plan.scale, "reduced": reduced}


def signed(plan: Plan, study: Study) -> dict[str, Any]:
    """The study as JSON values; what it does not say of its author, config.yaml does."""
    values = study.model_dump(mode="json", exclude={"laptop", "smoke"})
    own = {key: value for key, value in values["author"].items() if value}
    values["author"] |= plan.author | own
    return values
