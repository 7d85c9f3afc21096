"""One job's params: what Snakemake compares to decide whether it runs again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, wraps
from importlib import metadata
from typing import Any, Concatenate, ParamSpec, Protocol, TypedDict, TypeVar

from labmill.core.fingerprint import (
    canonical,
    code_fingerprints,
    full_name,
    text_digest,
)
from labmill.core.project import per_folder
from labmill.core.trees import Settings


class JobRecord(TypedDict):
    """A job's params as they are stored: also in the provenance of its outputs."""

    kind: str
    settings: Settings
    code: dict[str, str]  # fingerprint of each module, version of each library
    consumes: dict[str, str]


@dataclass(frozen=True)
class Job:
    """One job's params: all that its result depends on, and nothing else.

    Attributes:
        modules: that the job starts from: of labmill, and `own.models.mixer`.
        consumes: what it reads from other jobs: label → fingerprint.
    """

    kind: str  # the rule
    settings: Settings  # the study's settings for this job, as plain JSON values
    modules: tuple[str, ...]
    libraries: tuple[str, ...] = ()  # installed libraries that decide its numbers
    consumes: dict[str, str] = field(default_factory=dict)

    @property
    def record(self) -> JobRecord:
        """Settings, code and consumed fingerprints: stored in the job's output too."""
        return {
            "kind": self.kind,
            "settings": self.settings,
            "code": code_of(self.modules, self.libraries),
            "consumes": self.consumes,
        }

    @cached_property
    def params(self) -> str:
        """The record as canonical text: Snakemake reruns the job when it changes."""
        return canonical(self.record)

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits over the params."""
        return text_digest(self.params)


@per_folder
def code_of(modules: tuple[str, ...], libraries: tuple[str, ...]) -> dict[str, str]:
    """Return the fingerprints of modules, and versions; one dict for all jobs of a kind."""
    code = code_fingerprints(map(full_name, modules))
    return code | {name: metadata.version(name) for name in libraries}


class JobCache(Protocol):
    """An object that stores the jobs that it has made, by method and arguments."""

    jobs_made: dict[tuple[Any, ...], Job]


Made = TypeVar("Made", bound=JobCache)
Arguments = ParamSpec("Arguments")


def cached_job(
    make: Callable[Concatenate[Made, Arguments], Job],
) -> Callable[Concatenate[Made, Arguments], Job]:
    """Make each job of a plan once.

    A pruning step depends on all steps before it and a choice on all points of its
    search: without the cache, planning a study would take quadratic time.
    """

    @wraps(make)
    def cached(plan: Made, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Job:
        key = (make.__name__, args, tuple(sorted(kwargs.items())))
        if key not in plan.jobs_made:
            plan.jobs_made[key] = make(plan, *args, **kwargs)
        return plan.jobs_made[key]

    return cached
