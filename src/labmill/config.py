"""What config.yaml, a site file and `--config` may say: all of it, and nothing else."""

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from labmill.errors import LabmillError
from labmill.loading import mistakes
from labmill.reading import dotted
from labmill.study import Count, Name, Section

# Snakemake hands the words of `--config partial=true` on as text.
WORDS = {"true": True, "false": False}
Switch = Annotated[bool, BeforeValidator(lambda value: WORDS.get(str(value), value))]


class Config(Section):
    """The keys of config.yaml, described there. `author` and `site` check their own."""

    studies: tuple[Name, ...] | None = None
    scale: Literal["full", "laptop", "smoke"] = "full"
    author: Any = None
    mirror: str | None = None
    store: str = "data/store"
    budget: Annotated[float, Field(ge=0)] | None = None
    pack: Count | None = None
    partial: Switch = False
    # Told by a head to the packs that are a part of it.
    packed: Switch = False
    site: Any = None


def read_config(config: dict[str, Any]) -> Config:
    """Snakemake's config, checked.

    Raises:
        LabmillError: an unknown key, or a value of the wrong kind.
    """
    try:
        return Config.model_validate_json(json.dumps(config, default=str))
    except ValidationError as error:
        lines = [
            f"config: {dotted(at)}: {message}"
            for at, message in mistakes(Config, config, error)
        ]
        raise LabmillError("\n".join(lines)) from None
