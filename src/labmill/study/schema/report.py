"""The sections `author`, `compare`, `published` and `report`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from labmill.core.trees import Settings
from labmill.study.schema.base import (
    Epoch,
    Members,
    Name,
    NotNegative,
    Section,
    Texts,
    Unique,
)

# Sections that only the author can write; empty, they show prompts.
INTERPRETATION = ("discussion", "conclusion")


class Author(Section):
    """Who hands the report in; shown on its first page."""

    name: str | None = Field(None, description="Your name.")
    roll_number: str | None = Field(None, description="Roll or matriculation number.")
    course: str | None = Field(None, description="Course, term, assignment.")


class Comparison(Section):
    """A question about one factor, answered from the results."""

    question: str | None = Field(
        None, description="Heading in the report; numbers as in `report.text`."
    )
    levels: dict[str, Members] = Field(
        description="Level → variants; the n-th variants of all levels are compared with "
        "each other (a level may be one variant, listed for each of the others). The "
        "first level is the reference."
    )
    metric: str | Annotated[Texts, Field(min_length=1)] = Field(
        "test_accuracy", description="A column of runs.csv, or several."
    )


class PublishedPoint(Section):
    """A point of a search in an earlier report."""

    settings: Settings = Field(description="Setting (`model.dim`) → value.")
    accuracy: float = Field(description="Its accuracy on test images.")
    seconds: float | None = Field(None, description="Its training time.")


class Published(Section):
    """Metrics of an earlier report, as fractions and seconds."""

    source: str = Field(description="Where they were published.")
    variants: dict[Name, dict[str, float | dict[str, float]]] = Field(
        description="Variant → metric (a column of runs.csv, `class_accuracy`) → value."
    )
    searches: dict[Name, Annotated[tuple[PublishedPoint, ...], Unique]] = Field(
        default_factory=dict,
        description="Search → its published points, compared with the same settings here.",
    )
    confusions: dict[Name, dict[str, dict[str, float]]] = Field(
        default_factory=dict,
        description="Variant → true class → predicted class → share of its images.",
    )
    history: dict[Name, dict[str, dict[Epoch, float]]] = Field(
        default_factory=dict,
        description="Variant or pretext → column of history.csv → epoch → value.",
    )
    notes: dict[Name, str] = Field(
        default_factory=dict, description="What differs, by variant or pretext."
    )
    edits: dict[Name, Name] = Field(
        default_factory=dict,
        description="Edited variant → the variant before the edit: the published effect "
        "is compared with the effect here.",
    )


class Task(Section):
    """A task of the assignment, and where the report answers it."""

    text: str = Field(description="The task, as the assignment words it.")
    marks: NotNegative | None = Field(None, description="Marks that it gives.")
    answers: Texts = Field(
        (), description="Questions (`compare`), searches, prune loops or sections."
    )


class Report(Section):
    """What the report shows, and the author's own words."""

    length: Literal["short", "full"] = Field(
        "short",
        description="`short`: at most about 10 pages of PDF, details in `appendix.pdf`; "
        "`full`: one document.",
    )
    hero: str | None = Field(
        None,
        description="Figure of the first page; default: the test accuracy of all variants.",
    )
    sections: Texts | None = Field(
        None,
        description="Sections in order; default: all that have content. The first page, "
        "discussion and conclusion are always there.",
    )
    text: dict[str, str] = Field(
        default_factory=dict,
        description='Your Markdown by section; `{{ result("vit", "test_accuracy") }}` works, '
        "and so do pictures (PNG, JPEG, SVG) below the study's folder.",
    )
    tasks: tuple[Task, ...] = Field(
        (), description="Checklist for who grades: task, marks, where it is answered."
    )
    background: bool = Field(
        False,
        description="Explain each kind of network in a few sentences, with its formula.",
    )
    final: bool = Field(
        False,
        description="Ready to hand in: a discussion and a conclusion of your own must be "
        "there.",
    )
    references: str = Field("", description="BibTeX.")

    @model_validator(mode="after")
    def complete(self) -> "Report":
        """Refuse a final report without the author's interpretation."""
        missing = [
            name for name in INTERPRETATION if not self.text.get(name, "").strip()
        ]
        if self.final and missing:
            raise ValueError(
                f"final: true needs your own words in {' and '.join(f'text.{m}' for m in missing)}; "
                "a draft shows prompts there"
            )
        return self
