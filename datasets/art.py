"""Associative retrieval: read pairs of a letter and a digit, then name the digit of one letter.

**Task.** A sequence shows `pairs` pairs one after the other, then two question marks, then one of
the letters; the target is the digit that came with it. Letters are drawn without replacement,
digits with, and the question evenly. The answer is not in the weights and changes with every
sequence: the network has to bind what it saw just now, which is what fast, plastic synapses are
for. With three pairs:

    step       0   1   2   3   4   5   6   7   8
    symbol     k   5   c   0   w   5   ?   ?   c      target: 0

**Input.** One symbol a step, one-hot over the 37 symbols a..z, 0..9 and ?, without an embedding.
The classes are the same 37 symbols, as in the published networks, though only digits are asked for.

**Levels.** One digit for all answers is right in 10 %. One of three shown digits at random is right
in 1/3 + 2/3 * 10 % = 40 %, the most frequent one in 72 % / 3 + 27 % * 2/3 + 1 % = 43 %: who scores
above that has bound digits to letters.

**Split.** A set of pairs belongs to one of training, validation and test, whatever its order and
its question. Each of the 260 possible pairs (k, v) has a number c(k, v) in 0..12, twenty pairs
each, drawn from `task_seed`; what decides is the sum of c(k, v) over the set, modulo 13:

    0: validation        1, 2: test        3..12: training

Within a split, sequences are drawn independently, from a child of `task_seed` of its own; a smaller
one is the beginning of a larger one. Were the splits drawn independently of one another too, 3.8 %
of the tests would ask about sets of three pairs that are known from training: there are 2.6 million
such sets, and 100,000 training sequences.
"""

from collections.abc import Sequence
from string import ascii_lowercase, digits

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from srnn.datasets._base import DataError, Info, SequenceDataset, Splits
from srnn.datasets._draws import check_whole, permutation

SYMBOLS = ascii_lowercase + digits + "?"
"""The alphabet; the position of a symbol is its channel and its class."""

_LETTERS, _DIGITS, _QUESTION = len(ascii_lowercase), len(digits), SYMBOLS.index("?")
_SHARES = 13
_VALID, _TEST, _TRAIN = range(1), range(1, 3), range(3, _SHARES)
_BLOCK = 4096
"""Sequences drawn at a time. It decides which sequences a seed stands for."""

Symbols = npt.NDArray[np.uint8]


class RetrievalSequences(SequenceDataset):
    """Generated sequences of associative retrieval.

    Args:
        info: What the dataset is.
        shown: Symbols [sequences, time], as positions in `SYMBOLS`.
        targets: The digits asked for, [sequences], likewise.
    """

    def __init__(self, info: Info, shown: Symbols, targets: Symbols) -> None:
        super().__init__(info)
        self._shown = torch.from_numpy(shown)
        self._targets = torch.from_numpy(targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Inputs [time, batch, 37] float32, targets [batch] int64."""
        chosen = torch.as_tensor(indices)
        shown = self._shown[chosen].T.long()
        return one_hot(shown, len(SYMBOLS)).float(), self._targets[chosen].long()


def _draw(
    pairs: int,
    size: int,
    share_of_pair: npt.NDArray[np.int64],
    shares: range,
    seed: np.random.SeedSequence,
) -> tuple[Symbols, Symbols]:
    """Draw symbols [size, time] and targets [size] of sequences that belong to `shares`."""
    random = np.random.default_rng(seed)
    each = np.arange(_BLOCK)
    shown, targets, drawn = [], [], 0
    while drawn < size:
        letters = random.random((_BLOCK, _LETTERS)).argsort(1)[:, :pairs]
        values = random.integers(_DIGITS, size=(_BLOCK, pairs))
        asked = random.integers(pairs, size=_BLOCK)
        share = share_of_pair[letters, values].sum(1) % _SHARES
        symbols = np.full((_BLOCK, 2 * pairs + 3), _QUESTION, np.uint8)
        symbols[:, 0 : 2 * pairs : 2] = letters
        symbols[:, 1 : 2 * pairs : 2] = _LETTERS + values
        symbols[:, -1] = letters[each, asked]
        own = np.isin(share, shares)
        shown.append(symbols[own])
        targets.append((_LETTERS + values[each, asked])[own].astype(np.uint8))
        drawn += len(shown[-1])
    return np.concatenate(shown)[:size], np.concatenate(targets)[:size]


def art(
    *,
    pairs: int = 3,
    train: int = 100_000,
    valid: int = 10_000,
    test: int = 20_000,
    task_seed: int = 0,
) -> Splits:
    """Associative retrieval: 37 channels, 2 * pairs + 3 steps, one target a sequence, chance 10 %.

    Args:
        pairs: Pairs of a letter and a digit in a sequence, 1 to 26.
        train: Number of training sequences.
        valid: Number of validation sequences.
        test: Number of test sequences.
        task_seed: Seed of all sequences and of the split.

    Raises:
        DataError: An option has no meaning.
    """
    check_whole("pairs", pairs, 1)
    if pairs > _LETTERS:
        raise DataError(f"pairs must be at most {_LETTERS}, one for each letter, not {pairs}.")
    for name, size in (("train", train), ("valid", valid), ("test", test)):
        check_whole(name, size, 1)
    check_whole("task_seed", task_seed, 0)

    info = Info(
        name="art",
        title=f"Associative retrieval, {pairs} pair{'s' * (pairs > 1)}",
        channels=len(SYMBOLS),
        steps=2 * pairs + 3,
        classes=tuple(SYMBOLS),
        streaming=False,
        split=f"generated from seed {task_seed}: {train} sequences to train, {valid} to validate "
        f"and {test} to test; a set of pairs occurs in one of the three only",
        encoding=f"one of {len(SYMBOLS)} symbols a step, one-hot",
        licence="generated; none needed",
        citation="Ba, Hinton, Mnih, Leibo and Ionescu, Using fast weights to attend to the recent "
        "past, NIPS 2016; in the form of Rodriguez, Guo and Moraitis, Short-term plasticity "
        "neurons learning to learn and forget, ICML 2022",
        source="generated by srnn.datasets.art",
    )
    order = permutation(_LETTERS * _DIGITS, task_seed)
    share_of_pair = order.reshape(_LETTERS, _DIGITS) % _SHARES
    seeds = np.random.SeedSequence(task_seed).spawn(3)

    def sequences(size: int, shares: range, seed: np.random.SeedSequence) -> RetrievalSequences:
        return RetrievalSequences(info, *_draw(pairs, size, share_of_pair, shares, seed))

    return Splits(
        info,
        sequences(train, _TRAIN, seeds[0]),
        sequences(valid, _VALID, seeds[1]),
        lambda: sequences(test, _TEST, seeds[2]),
    )
