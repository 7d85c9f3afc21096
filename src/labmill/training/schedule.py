"""The learning rate as a closed form of the step."""

import math

from labmill.study import Training


def last_epoch(training: Training) -> int:
    """How many epochs a run has at most."""
    return training.until.max_epochs if training.until else training.epochs


def learning_rate(training: Training, step: int, steps_per_epoch: int) -> float:
    """The rate of `step` (0-based, over the whole run).

    With T steps in all and w of them warm-up: peak * (step + 1) / w while step < w,
    then peak * f(p), p = (step - w) / (T - w): f is 1, a half cosine or a straight line
    from 1 to `final`, or gamma ** (epoch // step_epochs).
    """
    schedule = training.schedule
    warmup = round(schedule.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return training.learning_rate * (step + 1) / warmup
    total = last_epoch(training) * steps_per_epoch
    passed = (step - warmup) / max(1, total - warmup)
    match schedule.kind:
        case "constant":
            share = 1.0
        case "cosine":
            half = (1 + math.cos(math.pi * passed)) / 2
            share = schedule.final + (1 - schedule.final) * half
        case "one_cycle":
            share = 1 - (1 - schedule.final) * passed
        case "step":
            epoch = step // steps_per_epoch
            share = schedule.gamma ** (epoch // schedule.step_epochs)
    return training.learning_rate * share
