"""The settings, code and libraries that decide a report's bytes."""

from functools import cache
from hashlib import sha256
from pathlib import Path

from labmill.core import registry
from labmill.core.fingerprint import digest
from labmill.core.trees import JsonObject, Settings
from labmill.plan.job import Job
from labmill.plan.planned_study import PlannedStudy
from labmill.study.schema import Study

# The libraries that decide a report's bytes.
WRITERS = (
    *("numpy", "matplotlib", "pillow"),
    *("jinja2", "pypandoc_binary", "typst"),
)


def report_job(settings: Settings, summary: str) -> Job:
    """Return the job that writes the report of a summary, by its fingerprint.

    Its record names all that decides the report's bytes, but for the results.
    """
    return Job(
        "report",
        settings,
        (
            "report.write",
            *topics("report/figures"),
            *topics("report/answers"),
            *section_modules(),
            *own_figures(settings["study"]),
        ),
        WRITERS,
        {"summary": summary, "templates": templates()},
    )


@cache
def templates() -> str:
    """Return the fingerprint of the report's templates, styles and scripts."""
    report = Path(__file__).parents[1] / "report"
    patterns = ("templates/*", "assets/*", "sections/*/*.j2")
    files = sorted(path for pattern in patterns for path in report.glob(pattern))
    return digest(
        {
            path.relative_to(report).as_posix(): sha256(path.read_bytes()).hexdigest()
            for path in files
        }
    )


def topics(kind: str) -> list[str]:
    """Return labmill's modules of a registered kind, as a job names its code."""
    names = registry.names(kind)
    return [registry.code_of(kind, n) for n in names if not registry.is_own(kind, n)]


def own_figures(study: JsonObject) -> list[str]:
    """Return the modules of the user's own figures that a study names."""
    kind = "report/figures"
    names = [*study["figures"], study["report"].get("hero")]
    return [registry.code_of(kind, n) for n in names if n and registry.is_own(kind, n)]


def section_modules() -> list[str]:
    """Return the modules that templates of sections use."""
    return [
        f"report.sections.{path.parent.name}.{path.stem}"
        for section in registry.files("report/sections").values()
        for name in ("evidence", "sentences", "tables")
        if (path := section.with_name(f"{name}.py")).is_file()
    ]


def signed(planned: PlannedStudy, study: Study) -> Settings:
    """Return the study as JSON; author fields default to config.yaml."""
    values = study.model_dump(mode="json", exclude={"laptop", "smoke"})
    own = {key: value for key, value in values["author"].items() if value}
    values["author"] |= planned.author | own
    return values
