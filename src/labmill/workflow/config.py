"""What config.yaml, a site file and `--config` may say: all of it, and nothing else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from labmill.core.errors import LabmillError
from labmill.core.trees import Settings
from labmill.study.error_messages import mistakes
from labmill.study.schema import Count, Name, Section
from labmill.study.yaml_source import YamlSource, dotted

# Snakemake hands the words of `--config partial=true` on as text.
WORDS = {"true": True, "false": False}
Switch = Annotated[bool, BeforeValidator(lambda value: WORDS.get(str(value), value))]


def changes_as_text(changes: Mapping[str, Any]) -> str:
    """Return changes of settings as one word for `--config`: JSON, percent-encoded.

    Snakemake would read numbers inside a mapping as text.
    """
    return quote(json.dumps(changes), safe="")


def read_changes(value: Any) -> Any:
    """Return the changes that are written as one word, or anything else unchanged."""
    return json.loads(unquote(value)) if isinstance(value, str) else value


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
    # Changes of every study's settings: labmill run NAME --set training.epochs=2
    set: Annotated[dict[str, Any], BeforeValidator(read_changes)] = Field(
        default_factory=dict
    )
    site: Any = None


def read_config(config: Settings) -> Config:
    """Snakemake's config, checked."""
    try:
        return Config.model_validate_json(json.dumps(config, default=str))
    except ValidationError as error:
        lines = [
            f"config: {dotted(at)}: {message}"
            for at, message in mistakes(Config, config, error)
        ]
        raise LabmillError("\n".join(lines)) from None


def correct_config(workflow: Any, config: Settings) -> None:
    """Replace the values that Snakemake read as YAML 1.1 by what the files contain.

    To Snakemake `0012345` is 5349 and `1:30` is 90, and of two equal keys the last one
    counts. Values from the command line stay.
    """
    files = [*workflow.configfiles, *workflow.config_settings.configfiles]
    for path in dict.fromkeys(map(Path, files)):
        exact = YamlSource(path, empty=True).data
        text = path.read_text(encoding="utf-8")
        replace_equal(config, yaml.safe_load(text) or {}, exact)


def replace_equal(config: Settings, old: Any, new: Settings) -> None:
    """Replace in `config` what equals `old` by the value at the same key of `new`."""
    for key, value in old.items():
        if str(key) not in new or key not in config:
            continue
        if isinstance(value, dict) and isinstance(config[key], dict):
            replace_equal(config[key], value, new[str(key)])
        elif config[key] == value:
            config[key] = new[str(key)]
