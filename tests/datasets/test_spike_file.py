"""Files in the layout of the Heidelberg data sets: what is read, and what is refused."""

import pickle
from fractions import Fraction

import h5py
import numpy as np
import pytest

from srnn.datasets import DataError
from srnn.datasets.spike_file import SpikeFile


@pytest.fixture
def samples(spoken):
    return spoken(6, seed=3)


@pytest.fixture
def path(tmp_path, write_spikes, samples):
    return write_spikes(tmp_path / "shd_train.h5", samples)


def read_all(path):
    """Ask a file for everything it has."""
    file = SpikeFile(path)
    return file.classes, file.labels, file.speakers, [file[i] for i in range(len(file))]


def test_what_is_in_the_file(path, samples):
    file = SpikeFile(path)
    assert len(file) == 6
    assert (file.name, file.sensor) == ("shd_train", (700, 1, 1))
    assert file.classes == ("zero", "eins", "fünf")
    assert file.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert file.speakers.tolist() == [0, 0, 0, 0, 1, 1]
    assert file.labels.dtype == file.speakers.dtype == np.int64
    for number, (times, channels) in enumerate(samples):
        events = file[number]
        assert events["x"].tolist() == channels.tolist()
        assert events["t"].tolist() == [int(float(t) * 1e6) for t in times]
        assert (events["p"] == 1).all()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_times_of_any_precision(kind, tmp_path, write_spikes):
    # In half precision, 1e6 is infinite, and everything above 65.504 ms would be, too.
    times = [0, 0.0625, 0.5, 1.0927734375, 1.170]
    path = write_spikes(tmp_path / "a.h5", [(times, [0, 1, 2, 3, 699])], time=kind)
    microseconds = SpikeFile(path)[0]["t"].tolist()
    assert microseconds[:4] == [0, 62_500, 500_000, 1_092_773]
    # 1.17 as it is stored: 1.169921875 in half precision, 1.16999995708... in single precision.
    expected = {np.float16: 1_169_921, np.float32: 1_169_999, np.float64: 1_170_000}
    assert microseconds[4] == expected[kind]


def test_double_precision_means_whole_microseconds(tmp_path, write_spikes):
    # 1.001 * 1e6 is 1000999.9999999999; what is not next to a whole number is still cut off.
    whole = np.arange(0, 1_400_000, 7)
    times = [*(whole / 1e6), 1.001, 1.0019999, 0.0000019, 0.99999999]
    path = write_spikes(tmp_path / "a.h5", [(times, [0] * len(times))], time=np.float64)
    microseconds = SpikeFile(path)[0]["t"].tolist()
    assert microseconds[:-4] == whole.tolist()
    assert microseconds[-4:] == [1_001_000, 1_001_999, 1, 999_999]


def test_half_and_single_precision_are_read_as_they_were_published(tmp_path, write_spikes):
    # Every half up to 2 s. Of the singles, some thirty lie below a whole microsecond by less than
    # what double precision is rounded by.
    halves = np.arange(0x4000, dtype=np.uint16).view(np.float16)
    singles = (1 + np.random.default_rng(0).random(50_000)).astype(np.float32)
    for kind, times in ((np.float16, halves), (np.float32, singles)):
        path = write_spikes(tmp_path / "a.h5", [(times, [0] * len(times))], time=kind)
        exact = [int(Fraction(float(time)) * 1_000_000) for time in times]
        assert SpikeFile(path)[0]["t"].tolist() == exact


@pytest.mark.parametrize(
    "keys",
    [
        np.array([b"zero", b"one", b"two"]),
        ["zero", "one", "two"],
        np.array([b"zero", b"one", b"two"], h5py.string_dtype()),
    ],
    ids=["bytes", "text", "bytes of any length"],
)
def test_class_names_are_bytes_or_text(keys, tmp_path, write_spikes, samples):
    classes = SpikeFile(write_spikes(tmp_path / "a.h5", samples, keys=keys)).classes
    assert classes == ("zero", "one", "two")
    assert {type(name) for name in classes} == {str}


def test_samples_without_events(tmp_path, write_spikes):
    empty = ([], [])
    file = SpikeFile(write_spikes(tmp_path / "a.h5", [empty, ([0.5], [7]), empty]))
    assert [len(file[i]) for i in range(3)] == [0, 1, 0]


def test_a_file_without_samples(tmp_path, write_spikes):
    file = SpikeFile(write_spikes(tmp_path / "a.h5", []))
    assert len(file) == len(file.labels) == len(file.speakers) == 0


@pytest.mark.parametrize(
    ("speaker", "message"),
    [
        (None, "has no list 'extra/speaker' of integers"),
        (["3b195250", "cb8f8307"] * 3, "has no list 'extra/speaker' of integers"),
        (np.zeros(5, np.uint16), "different lengths .5 extra/speaker, 6 labels"),
    ],
    ids=["none", "text", "too few"],
)
def test_speakers_are_needed_only_where_they_are_asked_for(
    speaker, message, tmp_path, write_spikes, samples, one_sentence
):
    path = write_spikes(tmp_path / "a.h5", samples, speaker=speaker, described=False)
    file = SpikeFile(path)
    assert file.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert [len(file[i]) for i in range(6)] == [len(times) for times, _ in samples]
    with pytest.raises(DataError, match=message) as error:
        _ = file.speakers
    assert str(path) in one_sentence(error)


def test_an_identity_and_a_remedy_of_its_own(path, write_spikes, samples, one_sentence):
    options = {"identity": "seed 3", "remedy": "delete the file, and it will be made again"}
    samples[2] = ([np.nan], [1])
    write_spikes(path, samples, labels=np.full(6, 3))
    file = SpikeFile(path, **options)
    assert file.identity == pickle.loads(pickle.dumps(file)).identity == "seed 3"
    for broken in (file, pickle.loads(pickle.dumps(file))):
        for read in (lambda f: f[2], lambda f: f.labels):
            with pytest.raises(DataError, match=r"delete the file, and it will .*again\.$") as e:
                read(broken)
            one_sentence(e)
    cut = path.with_name("cut.h5")
    cut.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match=r"damaged or cut off; delete the file, and it") as e:
        SpikeFile(cut, **options)
    one_sentence(e)


def test_pickled_before_and_after_reading(path):
    for reads in (0, 1):
        file = SpikeFile(path)
        first = [file[0] for _ in range(reads)]
        again = pickle.loads(pickle.dumps(file))
        assert len(again) == 6
        assert again.identity == file.identity
        for events in first:
            np.testing.assert_array_equal(again[0], events)


def test_opening_reads_no_content(path, monkeypatch):
    monkeypatch.setattr(
        h5py.Dataset, "__getitem__", lambda self, _: pytest.fail(f"{self.name} was read")
    )
    assert len(SpikeFile(path)) == 6


def test_a_changed_file_has_another_identity(path, write_spikes, samples, tmp_path):
    before = SpikeFile(path).identity
    assert SpikeFile(path).identity == before
    assert SpikeFile(write_spikes(tmp_path / "other.h5", samples)).identity != before
    write_spikes(path, samples[::-1])
    assert SpikeFile(path).identity != before


def test_more_channels(tmp_path, write_spikes):
    path = write_spikes(tmp_path / "a.h5", [([0.0], [1023])])
    assert SpikeFile(path, channels=1024)[0]["x"].tolist() == [1023]
    again = pickle.loads(pickle.dumps(SpikeFile(path, channels=1024)))
    assert again.sensor == (1024, 1, 1)


class TestBadFiles:
    def refused(self, path, one_sentence, message):
        with pytest.raises(DataError, match=message) as error:
            read_all(path)
        assert str(path) in one_sentence(error)

    def test_missing(self, tmp_path, one_sentence):
        self.refused(tmp_path / "none.h5", one_sentence, "No such file")

    def test_a_folder(self, tmp_path, one_sentence):
        self.refused(tmp_path, one_sentence, "cannot be read")

    @pytest.mark.parametrize("content", [b"", b"no HDF5\n" * 1000, b"PK\x03\x04" + bytes(99)])
    def test_no_hdf5(self, content, path, one_sentence):
        path.write_bytes(content)
        self.refused(path, one_sentence, "damaged or cut off")

    @pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
    def test_cut_off(self, share, path, one_sentence):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])
        self.refused(path, one_sentence, "damaged or cut off")

    @pytest.mark.parametrize("name", ["times", "units", "labels", "speaker", "keys"])
    def test_a_list_is_missing(self, name, path, write_spikes, samples, one_sentence):
        write_spikes(path, samples, **{name: None})
        self.refused(path, one_sentence, f"has no list '.*{name}'")

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("times", np.zeros((6, 10), np.float16)),
            ("units", np.zeros((6, 10), np.uint16)),
            ("labels", np.uint16(3)),
            ("labels", np.zeros((6, 1), np.uint16)),
            ("speaker", np.zeros((6, 2), np.uint16)),
            ("keys", b"zero"),
        ],
    )
    def test_a_list_of_another_rank(self, name, content, path, write_spikes, samples, one_sentence):
        write_spikes(path, samples, **{name: content})
        self.refused(path, one_sentence, f"has no list '.*{name}'")

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("times", np.zeros(6, np.float16)),
            ("units", np.zeros(6, np.uint16)),
            ("times", np.array([b"0.5"] * 6)),
            ("times", np.array(["0.5"] * 6, h5py.string_dtype())),
            ("units", np.array(["5"] * 6, h5py.string_dtype())),
            ("units", [np.array([0.5])] * 6),
            ("times", [np.array([1])] * 6),
            ("labels", np.array([b"zero"] * 6)),
            ("labels", np.array([0, 1, 2, 0, 1, np.nan])),
            ("labels", np.array([0, 1, 2, 0, 1, 1.5])),
            ("speaker", np.full(6, np.inf)),
            ("keys", np.arange(3)),
        ],
    )
    def test_a_list_of_another_type(self, name, content, path, write_spikes, samples, one_sentence):
        write_spikes(path, samples, **{name: content})
        self.refused(path, one_sentence, name)

    def test_a_dataset_in_the_place_of_a_group(self, path, samples, one_sentence):
        with h5py.File(path, "a") as file:
            del file["spikes"]
            file["spikes"] = np.zeros(6)
        self.refused(path, one_sentence, "has no list 'spikes/times'")

    def test_lists_of_different_lengths(self, path, write_spikes, samples, one_sentence):
        write_spikes(path, samples, labels=np.zeros(5, np.uint16))
        self.refused(path, one_sentence, "different lengths .*6 spikes/times.*5 labels")

    @pytest.mark.parametrize(
        ("sample", "message"),
        [
            (([0.1, 0.2], [1]), "in its sample 2, 2 times and 1 channels"),
            (([], [1]), "in its sample 2, 0 times and 1 channels"),
            (([0.1, np.nan], [1, 2]), "in its sample 2, a time that is not a number"),
            (([np.inf], [1]), "in its sample 2, a time that is not a number"),
            (([-0.5, 0.1], [1, 2]), "in its sample 2, a negative time, -0.5 s"),
            (([0.1, 0.2], [1, 700]), r"in its sample 2, a channel outside of 0\.\.699"),
            (([0.1], [65_535]), "in its sample 2, a channel outside"),
        ],
    )
    def test_a_sample_that_cannot_be(
        self, sample, message, path, write_spikes, samples, one_sentence
    ):
        samples[2] = sample
        write_spikes(path, samples)
        assert len(SpikeFile(path)[1]) == len(samples[1][0])
        self.refused(path, one_sentence, message)

    def test_a_negative_channel(self, path, write_spikes, samples, one_sentence):
        units = [np.full(len(times), -1, np.int16) for times, _ in samples]
        write_spikes(path, samples, units=units)
        self.refused(path, one_sentence, "a channel outside")

    def test_a_time_beyond_any_recording(self, path, write_spikes, one_sentence):
        # In microseconds it would not fit into 64 bits, and come out negative.
        write_spikes(path, [([0.5, 1e300], [1, 2])], time=np.float64)
        self.refused(path, one_sentence, "in its sample 0")

    @pytest.mark.parametrize("label", [3, -1])
    def test_a_label_without_a_name(self, label, path, write_spikes, samples, one_sentence):
        write_spikes(path, samples, labels=np.array([0, 1, 2, label, 0, 1]))
        self.refused(path, one_sentence, "labels outside of its 3 classes")

    def test_a_name_in_another_encoding(self, path, write_spikes, samples, one_sentence):
        keys = np.array(["zero", "eins", "fünf"])
        write_spikes(path, samples, keys=np.char.encode(keys, "latin-1"))
        self.refused(path, one_sentence, "extra/keys")
