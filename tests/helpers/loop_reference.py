"""A vision transformer written as one would explain it: one sequence, one head, one
token at a time. Slow on purpose; shares only weights with `labmill.models.vit`."""

import math

import torch
from torch import nn


def vit(model: nn.Module, images: torch.Tensor, arguments: dict) -> torch.Tensor:
    """What `build(**arguments)` with this model's weights should return."""
    weights = dict(model.named_parameters())
    outputs = torch.stack([_one(weights, image, arguments) for image in images])
    return outputs.softmax(1) if arguments["softmax_output"] else outputs


def _one(weights: dict, image: torch.Tensor, a: dict) -> torch.Tensor:
    tokens = _patches(weights, image, a)
    inserted_after = {"start": 0, "inserted": a["class_token_layer"]}
    inserted_after = inserted_after.get(a["class_token"])
    if inserted_after == 0:
        tokens = [weights["class_token"][0, 0], *tokens]
    tokens = _with_positions(weights, tokens, a)
    for layer in range(1, a["depth"] + 1):
        tokens = _block(weights, f"encoder.{layer - 1}", tokens, None, a)
        if layer == inserted_after:
            tokens = [weights["class_token"][0, 0], *tokens]
    if a["class_token"] == "mean":
        patches, read = tokens, sum(tokens) / len(tokens)
    elif a["class_token"] == "after":
        patches, read = tokens, weights["class_token"][0, 0]
    else:
        patches, read = tokens[1:], tokens[0]
    queries = [read]
    if a["queries"] == "classes":
        queries = [read + query for query in weights["queries"][0]]
    for layer in range(a["decoder_depth"]):
        queries = _block(weights, f"decoder.{layer}", queries, patches, a)
    if a["final_norm"]:
        queries = [_norm(weights, "norm", query) for query in queries]
    matrix, bias = weights["head.weight"], weights["head.bias"]
    if a["queries"] == "classes":
        rows = zip(matrix, queries, bias, strict=True)
        return torch.stack([row @ query + b for row, query, b in rows])
    return matrix @ queries[0] + bias


def _patches(weights: dict, image: torch.Tensor, a: dict) -> list[torch.Tensor]:
    size, patch, stride = a["image_size"], a["patch"], a["stride"] or a["patch"]
    side = 1
    while (side - 1) * stride + patch < size:
        side += 1
    padded = (side - 1) * stride + patch
    start = (padded - size) // 2
    canvas = torch.zeros(image.shape[0], padded, padded, dtype=image.dtype)
    canvas[:, start : start + size, start : start + size] = image
    matrix = weights["embedding.project.weight"]
    tokens = []
    for row in range(side):
        for column in range(side):
            y, x = row * stride, column * stride
            piece = canvas[:, y : y + patch, x : x + patch]
            token = matrix.flatten(1) @ piece.flatten()
            tokens.append(token + weights["embedding.project.bias"])
    return tokens


def _sinusoid(position: int, dim: int) -> list[float]:
    row = []
    for pair in range(math.ceil(dim / 2)):
        angle = position / 10_000 ** (2 * pair / dim)
        row += [math.sin(angle), math.cos(angle)]
    return row[:dim]


def _with_positions(weights: dict, tokens: list, a: dict) -> list[torch.Tensor]:
    if a["positions"] == "none":
        return tokens
    if a["positions"] == "learnable":
        rows = list(weights["positions"])
    elif a["positions"] == "sinusoidal":
        rows = [_sinusoid(t, a["dim"]) for t in range(len(tokens))]
    else:
        first = a["class_token"] == "start" or (
            a["class_token"] == "inserted" and a["class_token_layer"] == 0
        )
        side = math.isqrt(len(tokens) - first)
        half = a["dim"] // 2
        rows = [
            _sinusoid(row, half) + _sinusoid(column, half)
            for row in range(side)
            for column in range(side)
        ]
        rows = [[0.0] * a["dim"]] * first + rows
    return [
        token + torch.as_tensor(row, dtype=torch.float32).to(token)
        if not isinstance(row, torch.Tensor)
        else token + row
        for token, row in zip(tokens, rows, strict=True)
    ]


def _norm(weights: dict, name: str, x: torch.Tensor) -> torch.Tensor:
    centred = x - x.mean()
    scaled = centred / torch.sqrt((centred**2).mean() + 1e-5)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _block(
    weights: dict, name: str, tokens: list, memory: list | None, a: dict
) -> list:
    heads = a["heads"] if memory is None else a["decoder_heads"] or a["heads"]

    def attend(xs):
        return _attention(weights, f"{name}.attention", xs, None, heads, a)

    def cross(xs):
        return _attention(weights, f"{name}.cross", xs, memory, heads, a)

    def mlp(xs):
        function = {
            "relu": lambda x: x.clamp(min=0),
            "tanh": torch.tanh,
            "gelu": lambda x: x * (1 + torch.erf(x / math.sqrt(2))) / 2,
        }[a["activation"]]
        first, second = (
            (weights[f"{name}.mlp.{i}.weight"], weights[f"{name}.mlp.{i}.bias"])
            for i in (0, 3)
        )
        return [second[0] @ function(first[0] @ x + first[1]) + second[1] for x in xs]

    branches = [attend, mlp] if memory is None else [attend, cross, mlp]
    for number, branch in enumerate(branches):
        norm = f"{name}.norms.{number}"
        if a["norm"] == "pre":
            added = branch([_norm(weights, norm, x) for x in tokens])
            tokens = [x + y for x, y in zip(tokens, added, strict=True)]
        else:
            added = branch(tokens)
            sums = [x + y for x, y in zip(tokens, added, strict=True)]
            tokens = [_norm(weights, norm, x) for x in sums]
    return tokens


def _projected(weights: dict, name: str, part: int, head: int, heads: int, x, a: dict):
    """Part number `part` (query, key …) of one token in one head."""
    width = a["dim"] // heads
    if a["projections"] == "joint":
        start = part * a["dim"] + head * width
        rows = slice(start, start + width)
        matrix = weights[f"{name}.linear.weight"][rows]
        return matrix @ x + weights[f"{name}.linear.bias"][rows]
    columns = slice(part * width, (part + 1) * width)
    matrix = weights[f"{name}.weight"][head][:, columns]
    own = x[head * width : (head + 1) * width]
    return own @ matrix + weights[f"{name}.bias"][head, 0, columns]


def _attention(weights: dict, name: str, xs: list, memory, heads: int, a: dict) -> list:
    mixed = [[] for _ in xs]
    for head in range(heads):

        def part(number, x, source="project", head=head):
            return _projected(weights, f"{name}.{source}", number, head, heads, x, a)

        queries = [part(0, x) for x in xs]
        if memory is None:
            keys, values = [part(1, x) for x in xs], [part(2, x) for x in xs]
        else:
            keys = [part(0, m, "project_memory") for m in memory]
            values = [part(1, m, "project_memory") for m in memory]
        for token, query in enumerate(queries):
            scores = torch.stack([query @ key / math.sqrt(len(key)) for key in keys])
            share = torch.exp(scores - scores.max())
            share = share / share.sum()
            mixed[token].append(sum(s * v for s, v in zip(share, values, strict=True)))
    outputs = [torch.cat(parts) for parts in mixed]
    if a["projections"] == "headwise":
        return outputs
    matrix, bias = weights[f"{name}.out.weight"], weights[f"{name}.out.bias"]
    return [matrix @ x + bias for x in outputs]
