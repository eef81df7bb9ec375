"""Write spoken digits in the file format of the Spiking Heidelberg Digits.

    spikes/times   [samples] of [spikes] float16, seconds, rising
    spikes/units   [samples] of [spikes] uint16, channel 0..699, the lowest frequency first
    labels         [samples] uint16, position in extra/keys
    extra/speaker  [samples] uint16, 0..11
    extra/keys     [20] bytes, the words; ASCII, so that fünf is "fuenf"
    extra/meta_info/{gender [12] bytes, age [12] uint16, body_height [12] uint16 (cm)}

There are twelve speakers, six men and six women. Two of them, a man and a woman, speak all of the
test samples and none of the training samples: accuracy on the test file is one on unseen speakers.

Words and speakers are as balanced as their numbers allow, in an order that is drawn. Each sample
has a random stream of its own, so that the file does not depend on how the work was divided.
"""

import logging
import multiprocessing
import os
import signal
import threading
import uuid
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from srnn.datasets._base import DataError
from srnn.datasets._draws import check_whole, permutation
from srnn.datasets.speech.cochlea import hazards
from srnn.datasets.speech.draws import Draws
from srnn.datasets.speech.phonemes import WORDS
from srnn.datasets.speech.spikes import fire
from srnn.datasets.speech.voice import FRAME, Speaker, draw_speaker, speak

REFRACTORY = 0.001
"""Absolute refractory time of a channel, in seconds; approximately that of a nerve fibre."""

SPEAKERS = 12
TEST_SPEAKERS = (4, 5)
"""Who occurs in the test file only."""

_KEYS = tuple(WORDS)
_CHUNK = 25
# What a random stream is for; part of its seed.
_VOICE, _SAMPLE = 0, 1
_TRAIN, _TEST = 0, 1

logger = logging.getLogger(__name__)


class Sample(NamedTuple):
    """What is to be drawn: a word, who speaks it, and the place in the seed that it has."""

    split: int
    number: int
    label: int
    speaker: int


Spikes = tuple[npt.NDArray[np.float16], npt.NDArray[np.uint16]]


def write_files(
    folder: Path,
    *,
    train: int = 2000,
    test: int = 500,
    seed: int = 0,
    workers: int | None = None,
) -> tuple[Path, Path]:
    """Generate spoken digits and write them as ``shd_train.h5`` and ``shd_test.h5``.

    Either file appears whole or not at all; one that is there is replaced.

    Args:
        folder: Where to write; it is made if it does not exist.
        train: Number of training samples.
        test: Number of test samples.
        seed: Seed of everything: same seed, same arrays.
        workers: Processes to work in; one works in this process. By default as many as there are
            processors. It does not change what is written.

    Returns:
        The two files.

    Raises:
        DataError: An option has no meaning, or a file could not be written.
    """
    check_whole("train", train, 1)
    check_whole("test", test, 1)
    check_whole("seed", seed, 0)
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    check_whole("workers", workers, 1)

    plans = {
        "shd_train.h5": _plan(_TRAIN, train, seed),
        "shd_test.h5": _plan(_TEST, test, seed),
    }
    everything = [sample for plan in plans.values() for sample in plan]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Neither file appears before both are written, and no process outlives a failure.
        with closing(_generate(everything, seed, workers)) as spikes, ExitStack() as parts:
            for name, plan in plans.items():
                part = parts.enter_context(_appearing(folder / name))
                _write(part, plan, [next(spikes) for _ in plan], seed)
    except OSError as error:
        raise cannot_generate(folder, error) from error
    return folder / "shd_train.h5", folder / "shd_test.h5"


def cannot_generate(folder: Path, error: OSError) -> DataError:
    """Say why there are no generated files, and what to do."""
    return DataError(
        f"The generated files could not be written to {folder} ({error.strerror or error}): make "
        "room, or name another folder for caches with SRNN_CACHE."
    )


def speakers(seed: int) -> tuple[Speaker, ...]:
    """Draw the twelve speakers, men and women in turn."""
    return tuple(
        draw_speaker(Draws(seed, _VOICE, number), female=number % 2 == 1)
        for number in range(SPEAKERS)
    )


def draw_spikes(sample: Sample, voices: Sequence[Speaker], seed: int) -> Spikes:
    """Draw one sample: times in seconds, rising, and channels."""
    draws = Draws(seed, _SAMPLE, sample.split, sample.number)
    utterance = speak(_KEYS[sample.label], voices[sample.speaker], draws)
    times, units = fire(hazards(utterance), FRAME, REFRACTORY, draws)
    return times.astype(np.float16), units.astype(np.uint16)


def _plan(split: int, size: int, seed: int) -> list[Sample]:
    """Deal words and speakers evenly, and draw the order."""
    own = split == _TEST
    voices = [number for number in range(SPEAKERS) if (number in TEST_SPEAKERS) == own]
    words = len(_KEYS)
    # With one speaker further in every round of the words, all pairs come up equally often.
    dealt = [
        Sample(split, number, number % words, voices[(number + number // words) % len(voices)])
        for number in range(size)
    ]
    return [dealt[number] for number in permutation(size, seed, split)]


def _draw_all(samples: Sequence[Sample], seed: int) -> list[Spikes]:
    voices = speakers(seed)
    return [draw_spikes(sample, voices, seed) for sample in samples]


def _generate(samples: Sequence[Sample], seed: int, workers: int) -> Generator[Spikes, None, None]:
    """Draw samples in their order, in several processes where that is asked for and possible."""
    chunks = [samples[first : first + _CHUNK] for first in range(0, len(samples), _CHUNK)]
    draw = partial(_draw_all, seed=seed)
    done = 0
    if min(workers, len(chunks)) > 1:
        # Spawned, since torch has threads that a forked process would miss.
        pool = ProcessPoolExecutor(
            min(workers, len(chunks)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_depend_on_the_parent,
        )
        try:
            for spikes in pool.map(draw, chunks):
                yield from spikes
                done += 1
        except (BrokenProcessPool, OSError) as error:
            # So it goes in a script that does not guard its main part, or without memory.
            logger.warning("worker processes failed (%s): working in this process instead", error)
        finally:
            pool.shutdown(cancel_futures=True)
    for chunk in chunks[done:]:
        yield from draw(chunk)


def _depend_on_the_parent() -> None:
    """Leave interrupts to the parent process, and end with it should it be killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        if (parent := multiprocessing.parent_process()) is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """Yield the name of a temporary file, which becomes `path` if the block ends well."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _write(path: Path, samples: Sequence[Sample], spikes: Sequence[Spikes], seed: int) -> None:
    """Write one file; see the module for its layout."""
    voices = speakers(seed)
    # Made in memory: on a full disk HDF5 ends the process, where Python raises an error.
    with h5py.File(path, "w", driver="core", backing_store=False) as file:
        for name, column, kind in (("times", 0, np.float16), ("units", 1, np.uint16)):
            rows = np.empty(len(spikes), object)
            rows[:] = [pair[column] for pair in spikes]
            file.create_dataset(f"spikes/{name}", data=rows, dtype=h5py.vlen_dtype(kind))
        file["labels"] = np.array([sample.label for sample in samples], np.uint16)
        file["extra/speaker"] = np.array([sample.speaker for sample in samples], np.uint16)
        file["extra/keys"] = np.array(_KEYS, "S")
        meta = file.create_group("extra/meta_info")
        meta["gender"] = np.array([voice.gender for voice in voices], "S")
        meta["age"] = np.array([voice.age for voice in voices], np.uint16)
        meta["body_height"] = np.array([voice.height for voice in voices], np.uint16)
        file.flush()
        image = file.id.get_file_image()
    path.write_bytes(image)
