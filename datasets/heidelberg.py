"""SHD and SSC: spoken words as spikes of a cochlea with 700 channels (Cramer et al., 2020).

**Task.** Name the word. The Spiking Heidelberg Digits are the digits zero to nine in English and in
German, 20 classes, spoken by twelve people, two of whom occur in the test set only. The Spiking
Speech Commands are 35 words, spoken by many.

**Input.** Events (channel, time), binned into steps; see `srnn.datasets.binning`. Published results
differ in their binning, so a result here carries its own.

**Split.** SSC comes with a validation set. SHD does not, and much of the literature chooses its
best epoch on the test set. Three ways are offered, and named beside every accuracy:

    speakers    whole speakers of the training file are held out for validation
    random      a random share of the training file is: its speakers are known from training, so
                that validation scores lie far above test scores and choose poorly
    test        nothing is: epochs are chosen on the test set, as many publications do
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from srnn.datasets._base import DataError, Info, Splits
from srnn.datasets._draws import Indices, check_number, check_whole, hold_out, permutation
from srnn.datasets._joined import JoinedSequences
from srnn.datasets.archives import fetch_zipped
from srnn.datasets.event_sequences import EventOptions, EventParts, EventSequences
from srnn.datasets.files import check_unpacked, content_md5
from srnn.datasets.spike_file import SpikeFile

Split = Literal["speakers", "random", "test"]

BIN_MS, DURATION_MS = 14.0, 1400.0
"""The binning unless another is asked for: 100 steps, which hold every event of SHD."""

_ADDRESSES = ("https://zenkelab.org/datasets/", "https://compneuro.net/datasets/")
_SPLIT_SEED = 8_156
_CITATION = (
    "Cramer, Stradmann, Schemmel and Zenke, The Heidelberg spiking data sets for the systematic "
    "evaluation of spiking neural networks, IEEE Transactions on Neural Networks and Learning "
    "Systems 33, 2022"
)


@dataclass(frozen=True)
class _Published:
    """A published file.

    Attributes:
        name: Name of the unpacked file.
        archive_md5: md5 of the zip archive that it comes in.
        md5: md5 of the unpacked file, where it is known to us.
        samples: Number of its samples.
    """

    name: str
    archive_md5: str
    md5: str | None
    samples: int


SHD_FILES = {
    "train": _Published(
        "shd_train.h5",
        "f3252aeb598ac776c1b526422d90eecb",
        "8e9877c85f29a28dd353ea6a54402667",
        8156,
    ),
    "test": _Published(
        "shd_test.h5",
        "1503a5064faa34311c398fb0a1ed0a6f",
        "207ad1295a0ab611e22d1734989c254e",
        2264,
    ),
}
SSC_FILES = {
    "train": _Published("ssc_train.h5", "d102be95e7144fcc0553d1f45ba94170", None, 75466),
    "valid": _Published("ssc_valid.h5", "b4eee3516a4a90dd0c71a6ac23a8ae43", None, 9981),
    "test": _Published("ssc_test.h5", "a35ff1e9cffdd02a20eb850c17c37748", None, 20382),
}


def shd(
    root: Path,
    *,
    split: Split = "speakers",
    held_out: int = 2,
    fold: int = 0,
    validation: float = 0.2,
    events: EventOptions | None = None,
) -> Splits:
    """Spiking Heidelberg Digits: 20 classes, one target a sequence.

    Args:
        root: Data root; the files lie in its folder ``SHD``.
        split: "speakers", "random" or "test"; see the head of this module.
        held_out: With split "speakers": how many of the ten are held out.
        fold: With split "speakers": which; 0, 1, ... hold out others, until all had their turn.
        validation: With split "random": share of the samples that is held out.
        events: Binning and augmentation.

    Raises:
        DataError: An option has no meaning, or a file is missing, damaged or not the published one.
    """
    train = _published(root / "SHD", SHD_FILES["train"])
    test = _published(root / "SHD", SHD_FILES["test"])
    info = Info(
        name="shd",
        title="Spiking Heidelberg Digits",
        channels=0,
        steps=0,
        classes=train.classes,
        streaming=False,
        split="",
        encoding="",
        licence="CC BY 4.0",
        citation=_CITATION,
        source="https://zenkelab.org/datasets/",
    )
    options = events or EventOptions()
    return digit_splits(info, train, lambda: test, options, split, held_out, fold, validation)


def ssc(root: Path, *, events: EventOptions | None = None) -> Splits:
    """Spiking Speech Commands: 35 classes, one target a sequence.

    Args:
        root: Data root; the files lie in its folder ``SSC``.
        events: Binning and augmentation.

    Raises:
        DataError: An option has no meaning, or a file is missing, damaged or not the published one.
    """
    train, valid, test = (_published(root / "SSC", file) for file in SSC_FILES.values())
    options = events or EventOptions()
    binning = options.binning(train.sensor, BIN_MS, DURATION_MS)
    info = Info(
        name="ssc",
        title="Spiking Speech Commands",
        channels=binning.channels,
        steps=binning.steps,
        classes=train.classes,
        streaming=False,
        split=f"the published one: {len(train)} samples to train, {len(valid)} to validate, and "
        f"{len(test)} to test, read once, at the end",
        encoding=options.phrase(binning),
        licence="CC BY 4.0",
        citation=_CITATION,
        source="https://zenkelab.org/datasets/",
        caveat="epoch chosen on the published validation set",
    )
    _check_classes(valid, train)
    part = EventParts(info, binning, options)

    def tested() -> EventSequences:
        _check_classes(test, train)
        return part(test, test.labels)

    return Splits(
        info,
        part(train, train.labels, training=True),
        part(valid, valid.labels),
        tested,
        joined=lambda: JoinedSequences(
            part(train, train.labels, training=True), part(valid, valid.labels, training=True)
        ),
    )


def digit_splits(
    info: Info,
    train: SpikeFile,
    test: Callable[[], SpikeFile],
    options: EventOptions,
    split: Split,
    held_out: int,
    fold: int,
    validation: float,
) -> Splits:
    """Split spoken digits that have no validation set of their own.

    Args:
        info: What they are; its channels, steps, split, encoding and caveat are filled in.
        train: The training samples.
        test: Gives the test samples; called at the end, unless the split validates on them.
        options: Binning and augmentation.
        split: How to validate.
        held_out: Speakers to hold out.
        fold: Which.
        validation: Share of the samples to hold out.

    Raises:
        DataError: An option has no meaning, or the training file is damaged.
    """
    binning = options.binning(train.sensor, BIN_MS, DURATION_MS)
    if split not in get_args(Split):
        raise DataError(f"split must be {', '.join(get_args(Split))}, not {split!r}.")
    # Also those that the split does not use: a slip of the pen would pass unseen.
    check_whole("held_out", held_out, 1)
    check_whole("fold", fold, 0)
    check_number("validation", validation, 0, 1)
    if split == "speakers":
        speakers = held_out_speakers(train.speakers, held_out, fold)
        held = np.isin(train.speakers, speakers)
        fitted, validated = np.flatnonzero(~held), np.flatnonzero(held)
        who = f"all of speaker{'s' * (held_out > 1)} {', '.join(map(str, speakers))}"
        caveat = "epoch chosen on held-out speakers"
    elif split == "random":
        fitted, validated = hold_out(len(train), validation, _SPLIT_SEED)
        who = "drawn at random with a fixed seed, so that its speakers are known from training"
        caveat = "epoch chosen on a random part of the training file, speakers shared"
    else:
        fitted, validated = np.arange(len(train)), np.arange(0)
        who, caveat = "", "EPOCH CHOSEN ON THE TEST SET"
    described = (
        f"{len(fitted)} samples of the training file to train and {len(validated)} to validate, "
        f"{who}; the test file is read once, at the end"
        if len(validated)
        else f"all {len(fitted)} samples of the training file to train, none to validate: epochs "
        "are chosen on the test file, as in much of the literature, which flatters the score"
    )
    info = replace(
        info,
        channels=binning.channels,
        steps=binning.steps,
        split=described,
        encoding=options.phrase(binning),
        caveat=caveat,
    )
    part = EventParts(info, binning, options)

    def tested() -> EventSequences:
        file = test()
        _check_classes(file, train)
        return part(file, file.labels)

    def everything() -> EventSequences:
        if split == "test":
            raise DataError(
                "split=test leaves nothing to retrain on: validation is the test set. Choose "
                "split speakers or random."
            )
        return part(train, train.labels, training=True)

    valid = tested() if split == "test" else part(train, train.labels, validated)
    return Splits(
        info,
        part(train, train.labels, fitted, training=True),
        valid,
        (lambda: valid) if split == "test" else tested,
        joined=everything,
    )


def held_out_speakers(speakers: npt.NDArray[np.int64], held_out: int, fold: int) -> list[int]:
    """Choose the speakers to validate on, in rising order.

    Args:
        speakers: Speaker of every training sample.
        held_out: How many to choose, at least 1.
        fold: Which, from 0; they take turns through an order of the speakers that is drawn once.

    Raises:
        DataError: That leaves no speaker to train on, or there is no such fold.
    """
    known: Indices = np.unique(speakers)
    if held_out >= len(known):
        raise DataError(
            f"held_out={held_out} of {len(known)} speakers leaves none to train on: choose less."
        )
    if fold * held_out >= len(known):
        raise DataError(
            f"fold={fold} does not exist: with held_out={held_out} of {len(known)} speakers the "
            f"last one is {(len(known) - 1) // held_out}."
        )
    order = known[permutation(len(known), _SPLIT_SEED)]
    turn = np.arange(fold * held_out, (fold + 1) * held_out) % len(known)
    return sorted(order[turn].tolist())


def _check_classes(file: SpikeFile, train: SpikeFile) -> None:
    """Raise a `DataError` unless a file means by its labels what the training file does."""
    if file.classes != train.classes:
        raise DataError(f"{file.path} has other classes than {train.path}: replace one.")


def _published(folder: Path, file: _Published) -> SpikeFile:
    """Open a published file, downloading it if it is not there."""
    addresses = [f"{address}{file.name}.zip" for address in _ADDRESSES]
    path = fetch_zipped(folder / file.name, addresses, file.archive_md5)
    if file.md5 is not None and (found := content_md5(path)) != file.md5:
        raise DataError(
            f"{path} is not the published file (md5 {found}, expected {file.md5}): delete it, and "
            "it will be downloaded again."
        )
    check_unpacked(path)
    opened = SpikeFile(path)
    if len(opened) != file.samples:
        raise DataError(
            f"{path} has {len(opened)} samples, and the published file {file.samples}: delete it, "
            "and it will be downloaded again."
        )
    return opened
