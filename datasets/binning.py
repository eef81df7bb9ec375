"""From events to time steps: what belongs to which bin.

An event is a time t in microseconds and a place (x, y, p) on a sensor of W x H pixels with P
polarities; a cochlea is a sensor of W x 1 with one polarity. With bins of width w, and pixels
pooled in blocks of k x k,

    step    = floor(t / w)                                   dropped where step >= steps
    channel = (p * H' + floor(y / k)) * W' + floor(x / k)    W' = ceil(W / k), H' = ceil(H / k)

so that bin i holds i w <= t < (i + 1) w, counted from the start of the recording and not from its
first event, and every event before the end is in exactly one bin. That is tonic's ``ToFrame(
time_window=w, start_time=0, end_time=steps * w)``, flattened. Times and widths are integers: no
event moves to a neighbouring bin by rounding.

A recording is kept as the list of its events' channels, sorted by step and then by channel, and the
number of entries of each step. Every event has an entry, or, in a binary binning, every step and
channel that had any event has one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from srnn.datasets._base import DataError
from srnn.datasets._draws import check_number, check_whole

Events = npt.NDArray[Any]
"""Structured array with the fields t (microseconds), x, and, where the sensor has them, y and p."""


_MOST_STEPS = 1 << 16
"""Above it, a sequence is a slip of the pen: its membranes alone would fill the memory."""


class EventSource(Protocol):
    """Recordings of events, read one at a time.

    Attributes:
        name: What to call it in a file name.
        identity: Text that differs where the content does.
        sensor: Width, height and polarities.
    """

    name: str
    identity: str
    sensor: tuple[int, int, int]

    def __len__(self) -> int:
        """Number of recordings."""

    def __getitem__(self, index: int) -> Events:
        """Read a recording; times are not negative, and places are on the sensor."""


class BinnedEvents(NamedTuple):
    """Events of some sequences: in their order and, as they were binned, by step and channel.

    Attributes:
        sequence: Position of the event's sequence among those asked for, [events].
        step: Time step, [events].
        channel: Channel, [events]; twice in a step if it had two events there
            that count.

    All three are int32 or int64.
    """

    sequence: npt.NDArray[np.signedinteger]
    step: npt.NDArray[np.signedinteger]
    channel: npt.NDArray[np.signedinteger]


@dataclass(frozen=True)
class Binning:
    """How events become time steps and channels.

    Attributes:
        width: Width of a bin, in microseconds.
        steps: Number of bins.
        sensor: Width, height and polarities of the sensor, in pixels.
        pool: Side of the blocks of pixels that make one channel.
        binary: Whether several events in one step and channel are one.
    """

    width: int
    steps: int
    sensor: tuple[int, int, int]
    pool: int
    binary: bool = False

    @classmethod
    def of(
        cls,
        sensor: tuple[int, int, int],
        bin_ms: float,
        duration_ms: float,
        pool: int,
        binary: bool = False,
    ) -> "Binning":
        """Make a binning from a user's options.

        Args:
            sensor: Width, height and polarities of the sensor.
            bin_ms: Width of a bin, in milliseconds.
            duration_ms: Time that the bins have to cover, in milliseconds.
            pool: Side of the blocks of pixels that make one channel.
            binary: Whether several events in one step and channel are one.

        Raises:
            DataError: An option has no meaning.
        """
        check_number("bin_ms", bin_ms, 0.001, 1e6)
        check_number("duration_ms", duration_ms, 0.001, 1e9)
        check_whole("pool", pool, 1)
        width = round(bin_ms * 1000)
        if not math.isclose(width, bin_ms * 1000, rel_tol=1e-9):
            raise DataError(f"bin_ms must be whole microseconds, not {bin_ms!r} ms.")
        if pool > max(sensor[:2]):
            raise DataError(f"pool={pool} is larger than the sensor, {sensor[0]} x {sensor[1]}.")
        steps = math.ceil(round(duration_ms * 1000) / width)
        if steps > _MOST_STEPS:
            raise DataError(
                f"bin_ms={bin_ms!r} makes {steps} steps of {duration_ms:g} ms, and {_MOST_STEPS} "
                "are the most: choose wider bins or a shorter duration."
            )
        return cls(width, steps, sensor, pool, binary)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Width, height and polarities after pooling."""
        width, height, polarities = self.sensor
        return math.ceil(width / self.pool), math.ceil(height / self.pool), polarities

    @property
    def channels(self) -> int:
        """Number of channels."""
        return math.prod(self.grid)

    @property
    def phrase(self) -> str:
        """The binning in a few words."""
        pooled = f", {self.pool} pooled to one" if self.pool > 1 else ""
        if pooled and self.sensor[1] > 1:
            pooled = f", {self.pool} x {self.pool} pixels pooled to one"
        values = "binary" if self.binary else "counts"
        steps = f"{self.steps} steps of {self.width / 1000:g} ms"
        return f"{self.channels} channels{pooled}, {steps}, {values}"

    def apply(self, recordings: Sequence[Events]) -> tuple[BinnedEvents, int]:
        """Bin recordings.

        Args:
            recordings: Events in any order; times are not negative, and places are on the sensor.

        Returns:
            The events before the end, and the number of those after it, which are left out.
        """
        lengths = [len(events) for events in recordings]
        sequence = np.repeat(np.arange(len(recordings)), lengths)
        times = _joined(recordings, "t")
        step = times // self.width
        channel = self._channel(recordings)
        kept = step < self.steps
        # One key a place: sorting it sorts by sequence, step and channel at once.
        key = (sequence[kept] * self.steps + step[kept]) * self.channels + channel[kept]
        lost = len(times) - len(key)
        key.sort()
        if self.binary and len(key):
            key = key[np.concatenate([[True], key[1:] != key[:-1]])]
        row, channel = np.divmod(key, self.channels)
        sequence, step = np.divmod(row, self.steps)
        return BinnedEvents(sequence, step, channel), lost

    def _channel(self, recordings: Sequence[Events]) -> npt.NDArray[np.int64]:
        width, height, polarities = self.grid
        channel = _joined(recordings, "x") // self.pool
        if self.sensor[1] > 1:
            channel += width * (_joined(recordings, "y") // self.pool)
        if polarities > 1:
            channel += width * height * _joined(recordings, "p")
        return channel


def _joined(recordings: Sequence[Events], field: str) -> npt.NDArray[np.int64]:
    parts = [events[field].astype(np.int64) for events in recordings]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
