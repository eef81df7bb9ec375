"""Store and recall: keep one symbol in mind while others pass by; a memory task without a download.

**Task.** Time is cut into segments. In every segment but the last a random symbol is shown. In one
of them a store signal comes along with it; in the last one a recall signal asks which symbol was
shown then. All other symbols are distraction, and look just the same. The store segment is drawn
evenly from those that leave at least `min_gap` segments between store and recall, so the delay is
not known in advance. The target is the stored symbol: one label a sequence, and a network that
remembers nothing is right in 1/symbols of them. The task is a variant of the one that Bellec et al.
(2018) showed adaptive spiking networks to solve.

**Input.** Channels come in populations of five: one for each symbol, then store, then recall. A
channel whose population is active spikes with probability `rate` in a step; besides, every channel
spikes with probability `noise`, so that it has a spike with 1 - (1 - rate)(1 - noise) while active
and with `noise` while not. Spikes are independent of one another.

    segment      0     1     2     3     4     5     6     7
    symbol       b     d     a     a     c     b     d     -
    store        .     .     |     .     .     .     .     .
    recall       .     .     .     .     .     .     .     |      target: a

**Split.** Training, validation and test sequences are drawn independently, each from a child of
`task_seed` of its own: the size of one does not touch the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from srnn.datasets._base import DataError, Info, SequenceDataset, Splits
from srnn.datasets._draws import check_number, check_whole

_POPULATION = 5
"""Channels that stand for one symbol or one signal."""


@dataclass(frozen=True)
class _Task:
    """The rules by which sequences are drawn."""

    symbols: int
    segments: int
    segment_steps: int
    rate: float
    noise: float
    min_gap: int

    @property
    def channels(self) -> int:
        return (self.symbols + 2) * _POPULATION

    @property
    def steps(self) -> int:
        return self.segments * self.segment_steps

    def draw(
        self, size: int, seed: np.random.SeedSequence
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Draw spikes [time, size, channels] and targets [size]."""
        random = np.random.default_rng(seed)
        each = np.arange(size)
        shown = random.integers(self.symbols, size=(self.segments - 1, size))
        store = random.integers(self.segments - 1 - self.min_gap, size=size)

        active = np.zeros((self.segments, size, self.symbols + 2), bool)
        active[np.arange(self.segments - 1)[:, None], each, shown] = True
        active[store, each, self.symbols] = True
        active[-1, :, self.symbols + 1] = True

        while_active = 1 - (1 - self.rate) * (1 - self.noise)
        spikes = np.empty((self.steps, size, self.channels), np.uint8)
        for step in range(self.steps):  # step by step, so that the draws are never all in memory
            probability = np.where(active[step // self.segment_steps], while_active, self.noise)
            spikes[step] = random.random((size, self.channels)) < probability.repeat(_POPULATION, 1)
        return spikes, shown[store, each]


class RecallSequences(SequenceDataset):
    """Generated sequences of store and recall.

    Args:
        info: What the dataset is.
        spikes: [time, sequences, channels] uint8.
        targets: [sequences] int64, the stored symbol.
    """

    def __init__(
        self, info: Info, spikes: npt.NDArray[np.uint8], targets: npt.NDArray[np.int64]
    ) -> None:
        super().__init__(info)
        self._spikes = torch.from_numpy(spikes)
        self._targets = torch.from_numpy(targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Inputs [time, batch, channels] float32, targets [batch] int64."""
        chosen = torch.as_tensor(indices)
        return self._spikes[:, chosen].float(), self._targets[chosen]


def recall(
    *,
    symbols: int = 4,
    segments: int = 8,
    segment_steps: int = 15,
    rate: float = 0.3,
    noise: float = 0.01,
    min_gap: int = 2,
    train: int = 2048,
    valid: int = 512,
    test: int = 1024,
    task_seed: int = 0,
) -> Splits:
    """Store and recall: (symbols + 2) * 5 channels, one target a sequence, chance level 1/symbols.

    Args:
        symbols: Number of symbols, and of classes.
        segments: Segments of a sequence, the last of which asks.
        segment_steps: Time steps of a segment.
        rate: Probability that a channel of an active population spikes in a step.
        noise: Probability that a channel spikes in a step besides.
        min_gap: Segments that at least lie between the store and the recall segment.
        train: Number of training sequences.
        valid: Number of validation sequences.
        test: Number of test sequences.
        task_seed: Seed of all sequences.

    Raises:
        DataError: An option has no meaning, or no segment is left to store in.
    """
    check_whole("symbols", symbols, 2)
    check_whole("segments", segments, 2)
    check_whole("segment_steps", segment_steps, 1)
    check_number("rate", rate, 0, 1)
    check_number("noise", noise, 0, 1)
    check_whole("min_gap", min_gap, 0)
    for name, size in (("train", train), ("valid", valid), ("test", test)):
        check_whole(name, size, 1)
    check_whole("task_seed", task_seed, 0)
    if segments < min_gap + 2:
        raise DataError(
            f"A gap of {min_gap} segments leaves none of {segments} to store in: "
            f"choose segments of at least {min_gap + 2}."
        )

    task = _Task(symbols, segments, segment_steps, rate, noise, min_gap)
    info = Info(
        name="recall",
        title=f"Store and recall of {symbols} symbols",
        channels=task.channels,
        steps=task.steps,
        classes=tuple(f"symbol {symbol}" for symbol in range(symbols)),
        streaming=False,
        split=f"generated from seed {task_seed}: {train} sequences to train, {valid} to validate "
        f"and {test} to test, all drawn independently",
        encoding=f"{_POPULATION} Bernoulli channels a symbol, rate {rate:g}, noise {noise:g}",
        licence="generated; none needed",
        citation="after Bellec, Salaj, Subramoney, Legenstein and Maass, Long short-term memory "
        "and learning-to-learn in networks of spiking neurons, NeurIPS 2018",
        source="generated by srnn.datasets.recall",
    )
    seeds = np.random.SeedSequence(task_seed).spawn(3)
    return Splits(
        info,
        RecallSequences(info, *task.draw(train, seeds[0])),
        RecallSequences(info, *task.draw(valid, seeds[1])),
        lambda: RecallSequences(info, *task.draw(test, seeds[2])),
    )
