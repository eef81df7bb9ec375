"""Two datasets as one: to train on the validation sequences too, once they have chosen an epoch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from srnn.datasets._base import SequenceDataset


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
        return torch.cat([x1, x2], 1)[:, place], torch.cat([y1, y2], -1)[..., place]
