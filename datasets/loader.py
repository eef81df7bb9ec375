"""Batches in an order that can be stopped anywhere and continued exactly.

The order of epoch e is a permutation drawn from (seed, e) and from nothing else, so a position in
the data is two numbers: the epoch and the batches taken from it. `SequenceLoader` hands them out
and takes them back with `state_dict` and `load_state_dict`, which Lightning calls on a loader that
has them. What the two numbers count goes along with them, so that no other loader takes them for
its own.
"""

import math
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from srnn.datasets._base import DataError, SequenceDataset
from srnn.datasets._draws import check_whole, permutation

_SEEDS = 2**64
"""How many seeds torch's generators have."""


class _EpochOrder(Sampler[int]):
    """The sequences that one process reads in an epoch, and how far it has read.

    Attributes:
        epoch: The epoch whose order is used.
        batch: Number of batches taken from it; an iteration leaves them out.
        resumed: Whether that position was loaded, so that the next iteration has to continue there.
    """

    def __init__(
        self, size: int, batch_size: int, shuffle: bool, seed: int, rank: int, world_size: int
    ) -> None:
        self._size = size
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self.move_to(0)

    def move_to(self, epoch: int, batch: int = 0, *, resumed: bool = False) -> None:
        """Take a position."""
        self.epoch, self.batch, self.resumed = epoch, batch, resumed

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch, as `torch.utils.data.DistributedSampler` has it.

        Lightning calls this with its own count before every epoch. That matters: it does not give a
        loader its state back from a checkpoint that was written at the end of an epoch.
        """
        if epoch != self.epoch:
            self.move_to(epoch)

    def __len__(self) -> int:
        """Number of sequences of a whole epoch, wherever the position is."""
        if self._shuffle:
            return math.ceil(self._size / self._world_size)
        return len(range(self._rank, self._size, self._world_size))

    def __iter__(self) -> Iterator[int]:
        if self._shuffle:
            order = permutation(self._size, self._seed, self.epoch)
            # Repeats the beginning of the order until all processes have the same number.
            order = np.resize(order, len(self) * self._world_size)
        else:
            order = np.arange(self._size)
        own = order[self._rank :: self._world_size]
        return iter(own[self.batch * self._batch_size :].tolist())


class SequenceLoader(DataLoader[tuple[Tensor, Tensor]]):
    """A `DataLoader` of time-first batches that continues an interrupted epoch exactly.

    It yields inputs [time, batch, channels] float32 and targets [batch] or [time, batch] int64. A
    new iteration begins a new epoch, unless nothing was taken from the last one or a state was
    loaded. Iterate it once at a time. The global random state is neither read nor changed.

    Several processes share a dataset by `rank` and `world_size`. Shuffled, all of them get equally
    many sequences, by repeating a few, because training would wait for a process that has run out.
    In file order every sequence is read exactly once, so that an evaluation counts none twice, and
    the processes' numbers may differ by one. With Lightning, set
    ``Trainer(use_distributed_sampler=False)``.

    Args:
        dataset: The sequences.
        batch_size: Sequences of a batch in this process.
        shuffle: Whether every epoch has a random order of its own; otherwise the order of the file.
        seed: Seed of the orders.
        rank: Number of this process.
        world_size: Number of processes.
        num_workers: Processes that prepare batches; 0 prepares them in this one.
        drop_last: Whether to leave out a last batch that is not full.

    Raises:
        DataError: A number has no meaning, or there would be no batch at all.
    """

    def __init__(
        self,
        dataset: SequenceDataset,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
        drop_last: bool = False,
    ) -> None:
        check_whole("batch_size", batch_size, 1)
        check_whole("seed", seed, 0)
        if seed >= _SEEDS:
            raise DataError(f"seed must lie below 2**64, not at {seed}.")
        check_whole("rank", rank, 0)
        check_whole("world_size", world_size, 1)
        check_whole("num_workers", num_workers, 0)
        if rank >= world_size:
            raise DataError(f"rank must lie below world_size={world_size}, not at {rank}.")
        if len(dataset) == 0:
            raise DataError(
                f"The dataset {dataset.info.name!r} is empty: there is nothing to load."
            )
        self._sequences = dataset
        self._order = _EpochOrder(len(dataset), batch_size, shuffle, seed, rank, world_size)
        # Not the rank: Lightning gives every process the state of the first.
        self._counted: dict[str, int] = {
            "size": len(dataset),
            "batch_size": batch_size,
            "shuffle": shuffle,
            "seed": seed,
            "world_size": world_size,
            "drop_last": drop_last,
        }
        if drop_last and len(self._order) < batch_size:
            raise DataError(
                f"drop_last leaves no batch of {batch_size} in {len(self._order)} sequences: "
                "choose a smaller batch_size."
            )
        super().__init__(
            dataset,
            batch_size,
            sampler=self._order,
            num_workers=num_workers,
            collate_fn=_as_it_is,
            worker_init_fn=_leave_signals_to_the_process,
            drop_last=drop_last,
            # Otherwise torch takes a seed for its workers from the global generator.
            generator=torch.Generator().manual_seed(seed),
        )

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:  # type: ignore[override]
        # A generator: nothing moves before the first batch is asked for, so that a state may still
        # be loaded after iter(), and an iterator that is never used costs no epoch.
        order = self._order
        finished = order.batch == len(self)
        left_midway = order.batch > 0 and not order.resumed
        if finished or left_midway:
            order.move_to(order.epoch + 1)
        order.resumed = False
        # Before the workers start: each of them gets a copy of the dataset as it is now.
        self._sequences.set_epoch(order.epoch)
        for batch in super().__iter__():
            order.batch += 1  # what was handed out, whatever the workers have prefetched
            yield batch
        order.move_to(order.epoch + 1)

    def state_dict(self) -> dict[str, int]:
        """Give the position, the epoch and the number of batches taken from it, and what counts.

        A loop that never asks for more than the last batch, as Lightning's does, leaves ``batch ==
        len(loader)``: the epoch is finished, and the next iteration begins the next one.
        """
        return {"epoch": self._order.epoch, "batch": self._order.batch, **self._counted}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Make the next iteration continue at a position that `state_dict` gave.

        Args:
            state_dict: The position, and the settings of the loader that it is from; those that are
                left out, as they were in older states, are taken to be this loader's.

        Raises:
            DataError: This loader has no such position, or counts in another way.
        """
        epoch: Any = state_dict.get("epoch")
        batch: Any = state_dict.get("batch")
        check_whole("The epoch of a loader's state", epoch, 0)
        check_whole("The batch of a loader's state", batch, 0)
        for name, own in self._counted.items():
            if (saved := state_dict.get(name, own)) != own:
                raise DataError(
                    f"The loader's state is that of a loader with {name}={saved!r}, and this one "
                    f"has {name}={own!r}: continue with the dataset and the settings that it was "
                    "saved with."
                )
        if batch > len(self):
            raise DataError(
                f"The loader's state is at batch {batch} of an epoch that has {len(self)}: "
                "continue with the dataset and the batch size that it was saved with."
            )
        self._order.move_to(epoch, batch, resumed=True)


def _as_it_is(batch: Any) -> Any:
    """Collate nothing: the dataset gives whole batches."""
    return batch


def _leave_signals_to_the_process(worker: int) -> None:
    """Let a worker outlive Ctrl-C and SIGTERM, which a terminal or a scheduler sends to all.

    The process that loads decides what comes of them, and ends its workers by itself; one that lost
    a worker in the middle of a batch could not even save.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
