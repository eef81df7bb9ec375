"""What a dataset is: its description, its indexed sequences, and its three splits."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor
from torch.utils.data import Dataset

IGNORE = -100
"""The target of a time step that has no label (the `ignore_index` of torch's losses)."""


class DataError(Exception):
    """Data or an option is wrong; the message says what, where, and what to do."""


@dataclass(frozen=True)
class Info:
    """What a dataset is.

    Attributes:
        name: The name `load` knows it by.
        title: Its full name.
        channels: Input channels of one time step.
        steps: Time steps of one sequence.
        classes: Class names; the position is the label.
        streaming: True if every time step has a target, False if every sequence has one.
        split: One sentence on how training, validation and test data are told apart.
        encoding: One phrase on how the input was made, for the result tables.
        licence: Licence of the data, as far as it is known.
        citation: Whom to cite.
        source: Where the data come from.
        caveat: What a reader of a score must know, such as that epochs were chosen on the test set;
            printed beside every accuracy.
    """

    name: str
    title: str
    channels: int
    steps: int
    classes: tuple[str, ...]
    streaming: bool
    split: str
    encoding: str
    licence: str
    citation: str
    source: str
    caveat: str = ""

    @property
    def outputs(self) -> int:
        """How many outputs a network needs: one for each class."""
        return len(self.classes)

    @property
    def score(self) -> str:
        """The score by which networks are chosen."""
        return "accuracy"


@dataclass(frozen=True)
class EpisodeInfo(Info):
    """What a task is whose sequences are episodes that the network itself brings about.

    Its classes are the actions, one of which is to be taken at every time step.
    """

    @property
    def outputs(self) -> int:
        """One for each action, and one for the reward that is still expected."""
        return len(self.classes) + 1

    @property
    def score(self) -> str:
        """The reward of an episode."""
        return "reward"


class SequenceDataset(Dataset[tuple[Tensor, Tensor]], ABC):
    """Indexed sequences of one length.

    A dataset keeps its data compactly and encodes a whole batch at once, in `__getitems__`; torch's
    `DataLoader` calls that where it exists. A single item is a batch of one.

    Args:
        info: What the dataset is.
    """

    def __init__(self, info: Info) -> None:
        self.info = info

    @property
    def drawn(self) -> dict[str, list[int]]:
        """What was drawn at random to make the task, by name, for a run to store."""
        return {}

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch.

        What a dataset draws anew in every epoch, such as augmentation, depends on it.
        """

    def packed(self) -> "SequenceDataset | None":
        """The same sequences with their inputs as bits, where the dataset has them so; or None.

        Their inputs are :class:`srnn.datasets.PackedSpikes`.
        """
        return None

    @abstractmethod
    def __len__(self) -> int:
        """Number of sequences."""

    @abstractmethod
    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Encode a batch.

        Args:
            indices: Non-negative positions in the dataset.

        Returns:
            Inputs [time, batch, channels] float32, and targets int64: [batch], or [time, batch]
            where the dataset is streaming, with `IGNORE` at unlabelled steps.
        """

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """One sequence: inputs [time, channels] float32, and its target, [] or [time] int64.

        Raises:
            IndexError: There is no such sequence.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"sequence {index} of a dataset of {len(self)}")
        inputs, targets = self.__getitems__([index % len(self)])
        return inputs[:, 0], targets[..., 0]


class Splits:
    """Training, validation and test sequences of one dataset.

    Args:
        info: What the dataset is.
        train: Sequences to train on.
        valid: Sequences to select on; disjoint from the training ones.
        test: Reads the test sequences. It is called the first time `test` is asked for, so that
            nothing before the end of an experiment can have seen them.
        joined: Makes the training and the validation sequences one dataset to train on; without it,
            they are put one after the other as they are. A dataset that augments its training
            sequences has to augment the validation ones here too.
    """

    def __init__(
        self,
        info: Info,
        train: SequenceDataset,
        valid: SequenceDataset,
        test: Callable[[], SequenceDataset],
        joined: Callable[[], SequenceDataset] | None = None,
    ) -> None:
        self.info = info
        self.train = train
        self.valid = valid
        self._read_test = test
        self._join = joined or self._one_after_the_other

    @cached_property
    def test(self) -> SequenceDataset:
        """The test sequences, read now if they were not before."""
        return self._read_test()

    @cached_property
    def joined(self) -> SequenceDataset:
        """Training and validation sequences together, to train on once an epoch was chosen."""
        return self._join()

    def _one_after_the_other(self) -> SequenceDataset:
        from srnn.datasets._joined import JoinedSequences  # which needs SequenceDataset from here

        return JoinedSequences(self.train, self.valid)
