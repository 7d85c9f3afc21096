"""Some pixels become white, in images that are drawn."""

import torch

DRAWS = 3


def augment(images, draws, share: float = 0.1):
    rows, columns = (draws[:, axis, None] * images.shape[-1] for axis in (0, 1))
    line = torch.arange(images.shape[-1], device=images.device)
    white = (line == rows.long())[:, :, None] & (line == columns.long())[:, None]
    chosen = draws[:, 2, None, None, None] < share
    return torch.where(white[:, None] & chosen, 255, images)
