"""Two datasets as one: to train on the validation sequences too, once they have chosen an epoch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from srnn.datasets._base import SequenceDataset
from srnn.datasets.packed import PackedSpikes


class JoinedSequences(SequenceDataset):
    """The sequences of one dataset, and after them those of another of the same kind.

    Args:
        first: What `info` and `drawn` are taken from.
        second: Its sequences are numbered on from the first one's.
    """

    def __init__(self, first: SequenceDataset, second: SequenceDataset) -> None:
        super().__init__(first.info)
        self._first = first
        self._second = second

    @property
    def drawn(self) -> dict[str, list[int]]:
        """What was drawn to make the task: the same for both."""
        return self._first.drawn

    def packed(self) -> "PackedJoinedSequences | None":
        """The same sequences with their inputs as bits, where both datasets have them so."""
        first, second = self._first.packed(), self._second.packed()
        if first is None or second is None:
            return None
        return PackedJoinedSequences(first, second)

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch of both."""
        self._first.set_epoch(epoch)
        self._second.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Encode a batch, in the order of the indices."""
        wanted = torch.as_tensor(indices)
        of_second = wanted >= len(self._first)
        if not of_second.any():
            return self._first.__getitems__(wanted.tolist())
        if of_second.all():
            return self._second.__getitems__((wanted - len(self._first)).tolist())
        x1, y1 = self._first.__getitems__(wanted[~of_second].tolist())
        x2, y2 = self._second.__getitems__((wanted[of_second] - len(self._first)).tolist())
        # Where each sequence that was asked for lies, now that those of the second come last.
        place = of_second.int().argsort(stable=True).argsort()
        return self._inputs(x1, x2, place), torch.cat([y1, y2], -1)[..., place]

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """One sequence, as the dataset gives it that has it."""
        index = range(len(self))[index]
        begin = len(self._first)
        return self._first[index] if index < begin else self._second[index - begin]

    def _inputs(self, first: Any, second: Any, place: Tensor) -> Any:
        """Put the inputs of two batches together, in an order."""
        return torch.cat([first, second], 1)[:, place]


class PackedJoinedSequences(JoinedSequences):
    """The sequences of two datasets whose inputs are bits."""

    def _inputs(self, first: PackedSpikes, second: PackedSpikes, place: Tensor) -> PackedSpikes:
        words = torch.cat([first.words, second.words], 1)[:, place]
        return PackedSpikes(words, first.channels)
