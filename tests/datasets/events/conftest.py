import pytest

from srnn.datasets import EventOptions
from srnn.datasets.event_sequences import EventParts
from srnn.datasets.spike_file import SpikeFile

from .helpers import BINNING, INFO


@pytest.fixture
def path(tmp_path, write_spikes, spoken):
    return write_spikes(tmp_path / "shd_train.h5", spoken(20, seed=1))


@pytest.fixture
def source(path, recordings):
    """The same recordings, with a note of what was read."""
    file = SpikeFile(path)
    return recordings([file[i] for i in range(20)], file.sensor)


@pytest.fixture
def file(tmp_path, write_spikes, spoken):
    samples = spoken(14, seed=4)
    samples[3] = ([], [])
    return SpikeFile(write_spikes(tmp_path / "shd_train.h5", samples))


@pytest.fixture
def part(file):
    """Make the sequences of the file with some options."""

    def make(binning=BINNING, training=True, chosen=None, **options):
        options = EventOptions(**options)
        return EventParts(INFO, binning, options)(file, file.labels, chosen, training=training)

    return make
