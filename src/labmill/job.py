"""One job's params: what Snakemake compares to decide whether it runs again."""

from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from typing import Any

from labmill.fingerprint import canonical, code_fingerprints, digest


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
