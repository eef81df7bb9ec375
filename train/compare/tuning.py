"""Equal budgets: the same number of trials for every model, the same epochs, chosen on validation.

Trial 1 is a model's own recipe. The others are drawn around it, by the same random numbers for all
models:

| setting       | drawn from                                                              |
|---------------|-------------------------------------------------------------------------|
| ``lr``        | the recipe's, times 4^x with x spread evenly between -1 and 1           |
| ``clip_norm`` | 0.3, 1, 3                                                               |
| ``readout``   | softmax-sum, mean, last; stream stays where every step has a label      |

x is a golden-ratio sequence from a random start, so that a few trials are never all on one side,
and fewer trials are the beginning of more. The seed is --seed in all trials. What wins at the size
of the comparison is used at every other width and penalty too.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..config import Experiment
from ..errors import NotFiniteError
from ..run_folder import RunFolder

LR_FACTOR = 4.0
"""How far the learning rate may lie above or below the recipe's."""
GOLDEN = (5**0.5 - 1) / 2
"""Step, as a share of the range, at which any number of draws lies most evenly."""
CLIP_NORMS = (0.3, 1.0, 3.0)
"""Norms at which the gradient is clipped."""
READOUTS = ("softmax-sum", "mean", "last")
"""Ways to read an answer to a whole sequence."""


@dataclass(frozen=True)
class Trial:
    """One setting that was tried.

    Attributes:
        experiment: the settings.
        folder: the run; None if its numbers stopped being finite.
        validation: the best accuracy of its epochs on validation; None likewise.
        seconds: how long it trained; None likewise.
    """

    experiment: Experiment
    folder: RunFolder | None
    validation: float | None
    seconds: float | None


def drawn(experiment: Experiment, trials: int) -> list[Experiment]:
    """Draw the settings to try: those given, and others around them."""
    # Of the seed alone: every model gets the same draws.
    numbers = random.Random(experiment.seed)
    settings = [experiment]
    share = numbers.random()
    while len(settings) < trials:
        share = (share + GOLDEN) % 1
        lr = experiment.lr * LR_FACTOR ** (2 * share - 1)
        clip = numbers.choice(CLIP_NORMS)
        readout: Any = numbers.choice(READOUTS)
        if experiment.readout == "stream":
            readout = "stream"
        settings.append(
            replace(
                experiment,
                lr=float(f"{lr:.3g}"),
                clip_norm=clip,
                readout=readout,
                burn_in=0 if readout == "last" else experiment.burn_in,
            )
        )
    return settings


def tuned(
    experiment: Experiment, trials: int, train: Callable[[Experiment], RunFolder]
) -> tuple[Experiment, list[Trial]]:
    """Try settings and choose those with the best validation accuracy, the first of equal ones.

    Args:
        experiment: the settings to start from.
        trials: how many to try.
        train: trains and validates, without looking at the test set.

    Returns:
        The settings chosen, and all that were tried.

    Raises:
        NotFiniteError: if the numbers of none of them stayed finite.
    """
    tried = []
    for settings in drawn(experiment, trials):
        try:
            folder = train(settings)
        except NotFiniteError:
            tried.append(Trial(settings, None, None, None))
            continue
        summary = folder.read_summary()
        tried.append(Trial(settings, folder, summary["validation"], summary["seconds"]))
    # The score of a game may be any number, also below that of every trial that stayed finite.
    best = max(tried, key=lambda t: -math.inf if t.validation is None else t.validation)
    if best.validation is None:
        raise NotFiniteError(
            f"No trial of --model {experiment.model} stayed finite: give a smaller --lr."
        )
    return best.experiment, tried
