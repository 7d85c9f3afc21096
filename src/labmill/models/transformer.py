"""Encoder–decoder transformer for sequences of tokens.

Vaswani et al., 2017, arXiv:1706.03762: sinusoidal positions, post-norm, ReLU
feed-forward.

Differs: one table embeds source and target, the output layer has separate weights,
and there is one layer of each kind unless asked otherwise.
"""

import math
from typing import TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labmill.data.datasets.sequences import read_tokens
from labmill.models.attention import causal_mask
from labmill.models.blocks import (
    BlockModel,
    BlockOptions,
    DecoderBlock,
    EncoderBlock,
)
from labmill.models.embedding import sinusoidal_table

KIND = "sequence"  # token sequences in, logits per target position out

REQUIRES = {
    "dim": ("dim >= 1", "must be at least 1"),
    "ffn": ("ffn >= 1", "must be at least 1"),
    "heads": ("heads >= 1 and dim % heads == 0", "must divide dim"),
    "encoder_layers": ("encoder_layers >= 1", "must be at least 1"),
    "decoder_layers": ("decoder_layers >= 1", "must be at least 1"),
    "mlp_widths": (
        "mlp_widths is None or (len(mlp_widths) == encoder_layers + decoder_layers "
        "and min(mlp_widths) >= 1)",
        "must have one number from 1 per encoder block, then one per decoder block",
    ),
    "max_length": (
        "max_length is None or (max_length >= 1 and max_length >= image_size)",
        "must not be shorter than the sequences",
    ),
    "dropout": ("0 <= dropout < 1", "must be at least 0 and below 1"),
}


def attention_mask(padding: Tensor | None) -> Tensor | None:
    """Return the mask (B, 1, 1, S) of a padding (B, S) that is True where padded."""
    return None if padding is None else ~padding[:, None, None]


class Masks(TypedDict):
    """Mask arguments of a decoder block."""

    causal: bool
    mask: Tensor | None
    memory_mask: Tensor | None


class Transformer(BlockModel):
    """A network of source tokens to logits of the target tokens; see `build`.

    Tokens are int64 in 0..vocabulary-1. Paddings are boolean, True where padded; no
    sequence may be padded as a whole.
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        length: int,
        dim: int,
        heads: int,
        encoder_widths: list[int],
        decoder_widths: list[int],
        dropout: float,
        arguments: dict[str, object],
    ):
        super().__init__()
        self.built_with = arguments
        block: BlockOptions = {
            "projections": "joint",
            "activation": "relu",
            "norm": "post",
            "dropout": dropout,
        }
        self.start_token = vocabulary
        self.embedding = nn.Embedding(vocabulary + 1, dim)
        nn.init.normal_(self.embedding.weight, std=dim**-0.5)
        table = sinusoidal_table(length, dim)
        self.positions: Tensor
        self.register_buffer("positions", table, persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.encoder = nn.ModuleList(
            EncoderBlock(dim, heads, hidden=width, **block) for width in encoder_widths
        )
        self.decoder = nn.ModuleList(
            DecoderBlock(dim, heads, hidden=width, **block) for width in decoder_widths
        )
        self.head = nn.Linear(dim, vocabulary)

    def embed(self, tokens: Tensor, first: int = 0) -> Tensor:
        """Return √dim · embedding + position, (B, T, dim); positions from `first`."""
        x = self.embedding(tokens) * math.sqrt(self.embedding.embedding_dim)
        x = self.dropout(x + self.positions[first : first + tokens.shape[1]])
        return x

    def shift(self, target: Tensor) -> Tensor:
        """Return the decoder's input to predict `target`: start token, all but last."""
        return F.pad(target[:, :-1], (1, 0), value=self.start_token)

    def encode(self, source: Tensor, source_padding: Tensor | None = None) -> Tensor:
        """Return the memory (B, S, dim) of source tokens (B, S)."""
        x = self.embed(source)
        for block in self.encoder_blocks():
            x = block(x, mask=attention_mask(source_padding))
        return x

    def _masks(
        self,
        length: int,
        device: torch.device,
        source_padding: Tensor | None,
        target_padding: Tensor | None,
    ) -> "Masks":
        """Return the decoder's mask arguments; the causal mask alone needs no tensor."""
        masks: Masks = {
            "causal": True,
            "mask": None,
            "memory_mask": attention_mask(source_padding),
        }
        if target_padding is not None:
            shifted = F.pad(target_padding[:, :-1], (1, 0), value=False)
            masks["causal"] = False
            masks["mask"] = ~shifted[:, None, None] & causal_mask(length, device)
        return masks

    def forward_features(
        self,
        source: Tensor,
        target: Tensor | None = None,
        *,
        source_padding: Tensor | None = None,
        target_padding: Tensor | None = None,
    ) -> Tensor:
        """Return what the head reads to predict each target token, (B, T, dim)."""
        if target is None:
            source, target = read_tokens(source)
        memory = self.encode(source, source_padding)
        masks = self._masks(
            target.shape[1], target.device, source_padding, target_padding
        )
        x = self.embed(self.shift(target))
        for block in self.decoder_blocks():
            x = block(x, memory, **masks)
        return x

    def forward(
        self,
        source: Tensor,
        target: Tensor | None = None,
        *,
        source_padding: Tensor | None = None,
        target_padding: Tensor | None = None,
    ) -> Tensor:
        """Return logits (B, T, vocabulary) of source (B, S) and target (B, T).

        Those at position t depend on the source and the target before t (teacher
        forcing): the loss compares them with `target` itself. Without `target`, `source` is an
        image of both (see `labmill.data.datasets.sequences`).
        """
        features = self.forward_features(
            source,
            target,
            source_padding=source_padding,
            target_padding=target_padding,
        )
        logits: Tensor = self.head(features)
        return logits

    @torch.no_grad()
    def greedy(
        self,
        source: Tensor,
        length: int,
        *,
        cached: bool = True,
        source_padding: Tensor | None = None,
    ) -> Tensor:
        """Return the most likely token, `length` times: int64 (B, length).

        `cached` keeps keys and values of earlier positions in place of decoding the
        whole prefix again.
        """
        memory = self.encode(source, source_padding)
        mask = attention_mask(source_padding)
        caches = [block.start(memory) for block in self.decoder_blocks()]
        tokens = source.new_full((source.shape[0], 1), self.start_token)
        for position in range(length):
            if cached:
                x = self.embed(tokens[:, -1:], position)
                for block, cache in zip(self.decoder_blocks(), caches, strict=True):
                    x = block.step(x, cache, memory_mask=mask)
            else:
                x = self.embed(tokens)
                for block in self.decoder_blocks():
                    x = block(x, memory, causal=True, memory_mask=mask)
            best = self.head(x[:, -1:]).argmax(-1)
            tokens = torch.cat((tokens, best), dim=1)
        return tokens[:, 1:]

    def attention_maps(
        self,
        source: Tensor,
        target: Tensor,
        *,
        source_padding: Tensor | None = None,
        target_padding: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return attention weights per layer, for figures.

        `encoder` (layers, B, heads, S, S), `decoder` (layers, B, heads, T, T), `cross`
        (layers, B, heads, T, S). Row t of the last two predicts target token t.
        """
        maps: dict[str, list[Tensor]] = {"encoder": [], "decoder": [], "cross": []}
        x = self.embed(source)
        for block in self.encoder_blocks():
            mask = attention_mask(source_padding)
            maps["encoder"].append(block.attention_map(x, mask=mask))
            x = block(x, mask=mask)
        memory, x = x, self.embed(self.shift(target))
        masks = self._masks(
            target.shape[1], target.device, source_padding, target_padding
        )
        for layer in self.decoder_blocks():
            own, cross = layer.attention_maps(x, memory, **masks)
            maps["decoder"].append(own)
            maps["cross"].append(cross)
            x = layer(x, memory, **masks)
        return {name: torch.stack(layers) for name, layers in maps.items()}


def build(
    *,
    num_classes: int,
    image_size: int,
    in_channels: int = 1,
    dim: int = 256,
    heads: int = 8,
    ffn: int = 1024,
    encoder_layers: int = 1,
    decoder_layers: int = 1,
    mlp_widths: list[int] | None = None,
    max_length: int | None = None,
    dropout: float = 0.0,
) -> nn.Module:
    """Build a sequence model: source and target tokens, or an image of both, to logits.

    Args:
        num_classes: size of the vocabulary; the start token comes on top of it.
        image_size: length of the sequences.
        in_channels: has no meaning here; a sequence has one token per position.
        dim: features of a token.
        heads: attention heads of every block.
        ffn: hidden features of a feed-forward part.
        encoder_layers: blocks of the encoder.
        decoder_layers: blocks of the decoder.
        mlp_widths: hidden features of each feed-forward part (encoder, then decoder)
            in place of `ffn`; what pruning changes.
        max_length: positions kept, for decoding longer sequences; None: `image_size`.
        dropout: share of features dropped after the embedding, inside each
            feed-forward part and at the end of each branch.
    """
    arguments = dict(locals())
    widths = mlp_widths or [ffn] * (encoder_layers + decoder_layers)
    return Transformer(
        vocabulary=num_classes,
        length=max_length or image_size,
        dim=dim,
        heads=heads,
        encoder_widths=widths[:encoder_layers],
        decoder_widths=widths[encoder_layers:],
        dropout=dropout,
        arguments=arguments,
    )
