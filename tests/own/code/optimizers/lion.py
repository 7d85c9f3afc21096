"""Lion (Chen et al., 2023, arXiv:2302.06675)."""

import torch


class Lion:
    def __init__(self, betas=(0.9, 0.99), weight_decay=0.0, scale: float = 1.0):
        self.betas, self.weight_decay, self.scale = betas, weight_decay, scale

    def state(self, params):
        return {"momentum": [torch.zeros_like(param) for param in params]}

    def plain(self, params, grads, state, rate):
        first, second = self.betas
        for param, grad, moving in zip(params, grads, state["momentum"], strict=True):
            update = torch.sign(moving.lerp(grad, 1 - first))
            param.mul_(1 - rate * self.weight_decay)
            param.sub_(rate * self.scale * update)
            moving.lerp_(grad, 1 - second)
