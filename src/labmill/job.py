"""One job's params: what Snakemake compares to decide whether it runs again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property, wraps
from importlib import metadata
from typing import Any

from labmill.fingerprint import canonical, code_fingerprints, digest

# Reading it costs a millisecond, and every job of a plan names the same few libraries.
version = cache(metadata.version)


@dataclass(frozen=True)
class Job:
    """One job's params: all that its result depends on, and nothing else.

    Attributes:
        kind: the rule.
        settings: what the study says, as plain JSON values.
        modules: modules of this package that the job starts from.
        libraries: installed libraries that decide its numbers.
        consumes: what it reads from other jobs: label → fingerprint.
    """

    kind: str
    settings: dict[str, Any]
    modules: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    consumes: dict[str, str] = field(default_factory=dict)

    @cached_property
    def record(self) -> dict[str, Any]:
        """Settings, code and consumed fingerprints: kept in the job's output too."""
        code = code_fingerprints(f"labmill.{module}" for module in self.modules)
        code |= {name: version(name) for name in self.libraries}
        return {
            "kind": self.kind,
            "settings": self.settings,
            "code": code,
            "consumes": self.consumes,
        }

    @cached_property
    def params(self) -> str:
        """The record as canonical text: Snakemake reruns the job when it changes."""
        return canonical(self.record)

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits over the params."""
        return digest(self.record)


def remembered(make: Callable[..., Job]) -> Callable[..., Job]:
    """A plan's method whose jobs are made once per plan and arguments.

    A step of a prune loop depends on all steps before it, and a choice on all points:
    made again at every mention, the jobs of a study would be as many as their square.
    """

    @wraps(make)
    def asked(plan: Any, *about: Any, **named: Any) -> Job:
        key = (make.__name__, *map(str, about), *map(str, sorted(named.items())))
        if key not in plan.made:
            plan.made[key] = make(plan, *about, **named)
        return plan.made[key]

    return asked
