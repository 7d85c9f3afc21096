"""Cards and split settings for tests, with defaults for what a test does not mind."""

from pathlib import Path
from typing import Any

from labmill.data.records import Card
from labmill.data.stratify import SplitSettings
from labmill.study.schema import Data


def made_card(path: Path | None = None, **changes: Any) -> Card:
    """Return a card; write it where a path is given."""
    fields: dict[str, Any] = {
        "name": "made",
        "source": "made",
        "digest": "d",
        "classes": ("a", "b"),
        "image_size": 8,
        "channels": 1,
        "official": {"train": 2},
        "class_counts": {},
        "mean": (0.3,),
        "std": (0.37,),
    }
    card = Card.model_validate(fields | changes)
    if path is not None:
        card.write(path)
    return card


def split_settings(**changes: Any) -> SplitSettings:
    """Return the study's defaults with changes."""
    defaults = Data().model_dump(include={*SplitSettings.__dataclass_fields__})
    return SplitSettings(**(defaults | changes))
