"""How the learning rate goes on during training."""

import math
from collections.abc import Callable

from .config import TrainingOptions


def learning_rate_factor(options: TrainingOptions, total_steps: int) -> Callable[[int], float]:
    """Return the factor of the learning rate as a function of the number of batches seen.

    Args:
        options: the schedule and its settings.
        total_steps: batches of the whole training.

    Returns:
        A function from 0 .. total_steps to the factor: 1 throughout (``constant``), from 1 to 0
        along a line or half a cosine, or multiplied by ``lr_factor`` every ``lr_step`` epochs
        (``step``).
    """
    per_epoch = max(total_steps // options.epochs, 1)

    def done(step: int) -> float:
        return min(step / max(total_steps, 1), 1.0)

    factors: dict[str, Callable[[int], float]] = {
        "constant": lambda step: 1.0,
        "linear": lambda step: 1.0 - done(step),
        "cosine": lambda step: 0.5 * (1.0 + math.cos(math.pi * done(step))),
        "step": lambda step: options.lr_factor ** (step // per_epoch // options.lr_step),
    }
    return factors[options.schedule]
