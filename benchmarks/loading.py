"""What loading events costs: as a share of training, and against tonic's reader and ToFrame.

    OMP_NUM_THREADS=1 python benchmarks/loading.py
    python benchmarks/loading.py --samples 2000 --bin-ms 4 --threads 2

First the synthetic digits (`shd-synth`) are generated and binned, both once, below a temporary
folder. Then two things are measured, in this process, with no worker beside it:

1.  A batch of 64 sequences, binary, made from the cache, with and without augmentation, against
    one step of training on it: forward, backward and Adam, for a network of 128 recurrent ALIF
    neurons, with 700 channels and with 140. The share is data / (data + training).
2.  An epoch of the same file read by tonic and binned by its ToFrame, against our cache: what
    building it costs once, and what an epoch costs from then on, dense tensors included.

All numbers are medians; the fastest and the slowest are beside them where they are of one batch.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from srnn import SRNN
from srnn.datasets import SequenceLoader, Splits, load
from srnn.datasets.event_cache import cache_root

BATCH = 64
VARIED = {"shift": 5, "stretch": 0.15}  # as in the recipe of shd-synth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--bin-ms", type=float, default=14.0)
    parser.add_argument("--duration-ms", type=float, default=1400.0)
    parser.add_argument("--batches", type=int, default=12, help="measured, after two more")
    parser.add_argument("--epochs", type=int, default=3, help="of tonic and of ours")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with fresh_cache():
        options = {
            "train": arguments.samples,
            "test": 1,
            "split": "test",  # all of the training file
            "bin_ms": arguments.bin_ms,
            "duration_ms": arguments.duration_ms,
        }
        spent = seconds(lambda: load("shd-synth", **options | {"bin_ms": 1000.0}))
        print(
            f"generating {arguments.samples} samples, once: {spent:.1f} s, a first binning included"
        )
        share_of_training(options, arguments.batches)
        against_tonic(options, arguments.epochs)


def share_of_training(options: dict[str, Any], batches: int) -> None:
    print(f"\na batch of {BATCH}, ms: median (fastest - slowest)")
    print(f"{'channels':>8}  {'data':>22}  {'augmented':>22}  {'training':>22}  share  augmented")
    for pool in (1, 5):
        plain = load("shd-synth", **options, pool=pool)
        varied = load("shd-synth", **options, pool=pool, **VARIED)
        data = times(lambda s=plain: one_batch(s), batches)
        augmented = times(lambda s=varied: one_batch(s), batches)
        training = times(a_step(plain), batches)
        d, a, t = (statistics.median(sample) for sample in (data, augmented, training))
        columns = "  ".join(f"{in_words(sample):>22}" for sample in (data, augmented, training))
        shares = f"{d / (d + t):5.1%}  {a / (a + t):9.1%}"
        print(f"{plain.info.channels:8}  {columns}  {shares}")


def against_tonic(options: dict[str, Any], epochs: int) -> None:
    count = options["train"]
    finer = options | {"bin_ms": options["bin_ms"] * 1.001}  # a binning that is not there yet
    once = seconds(lambda: load("shd-synth", **finer))
    ours = statistics.median(times(lambda: an_epoch(load("shd-synth", **options)), epochs, 0))
    print(f"\n{count} samples of 700 channels")
    print(f"reading and binning, once:   {once:7.2f} s  {1000 * once / count:6.2f} ms a sample")
    print(f"an epoch of ours, dense:     {ours:7.2f} s  {1000 * ours / count:6.2f} ms a sample")
    theirs = tonic_epoch(options)
    if theirs is None:
        print("an epoch of tonic:           not measured, tonic is not installed")
        return
    spent = statistics.median(times(theirs, epochs, 0))
    print(f"an epoch of tonic, dense:    {spent:7.2f} s  {1000 * spent / count:6.2f} ms a sample")
    print(f"tonic / ours: {spent / ours:.1f} an epoch, {spent / once:.1f} for the first reading")


def one_batch(splits: Splits) -> tuple[torch.Tensor, torch.Tensor]:
    return next(iter(SequenceLoader(splits.train, BATCH, shuffle=True)))


def an_epoch(splits: Splits) -> None:
    for _ in SequenceLoader(splits.train, BATCH, shuffle=True):
        pass


def a_step(splits: Splits) -> Callable[[], None]:
    """Make a function that trains on the same batch whenever it is called."""
    torch.manual_seed(0)
    info = splits.info
    network = SRNN(
        *(info.channels, [128], len(info.classes)),
        tau_mem="normal(20, 5)",
        tau_adapt="normal(150, 10)",
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    inputs, targets = one_batch(splits)

    def step() -> None:
        optimizer.zero_grad()
        logits, _ = network(inputs)
        cross_entropy(logits, targets).backward()
        optimizer.step()

    return step


def tonic_epoch(options: dict[str, Any]) -> Callable[[], None] | None:
    """Make a function that reads and bins the file as tonic does; None without tonic."""
    try:
        from tonic.datasets import SHD
        from tonic.transforms import ToFrame
    except ImportError:
        return None
    (file,) = cache_root().glob("shd-synth-*/shd_train.h5")
    folder = cache_root() / "SHD"
    folder.mkdir(exist_ok=True)
    (folder / file.name).symlink_to(file)
    (folder / f"{file.name}.zip").touch()  # without which tonic would download one
    width = round(options["bin_ms"] * 1000)
    steps = -(-round(options["duration_ms"] * 1000) // width)
    transform = ToFrame((700, 1, 1), time_window=width, start_time=0, end_time=steps * width)
    dataset = SHD(str(folder.parent), train=True, transform=transform)

    def epoch() -> None:
        for first in range(0, len(dataset), BATCH):
            last = min(first + BATCH, len(dataset))
            frames = [torch.from_numpy(dataset[i][0][:, 0]) for i in range(first, last)]
            torch.stack(frames, 1).float().clamp_(max=1)

    return epoch


def seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def times(work: Callable[[], Any], repeats: int, warm_up: int = 2) -> list[float]:
    return [seconds(work) for _ in range(warm_up + repeats)][warm_up:]


def in_words(sample: list[float]) -> str:
    median, fastest, slowest = statistics.median(sample), min(sample), max(sample)
    return f"{1000 * median:.1f} ({1000 * fastest:.1f} - {1000 * slowest:.1f})"


@contextmanager
def fresh_cache() -> Iterator[None]:
    """Let caches be written below a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("SRNN_CACHE")
        os.environ["SRNN_CACHE"] = str(Path(folder))
        try:
            yield
        finally:
            if before is None:
                del os.environ["SRNN_CACHE"]
            else:
                os.environ["SRNN_CACHE"] = before


if __name__ == "__main__":
    main()
