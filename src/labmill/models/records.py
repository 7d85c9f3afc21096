"""The JSON file that describes pretrained weights."""

from labmill.core.records import Record


class WeightsCard(Record):
    """card.json: where the weights of another library's network are from."""

    library: str
    network: str
    source: str
    licence: str | None = None
    # Whether the file has the digest that its library or the study declares.
    verified: bool
    # SHA-256 by name: of the file that was fetched, and of model.safetensors.
    digests: dict[str, str]
