import gzip
import hashlib
import math
import struct

import numpy as np
import pytest
import torch

from srnn.datasets import DataError, load, mnist

IMAGES = {"train": 40, "t10k": 12}


def idx_bytes(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write an array as one of MNIST's files, and make its checksum the expected one."""

    def write_file(name, array):
        content = idx_bytes(np.asarray(array, np.uint8))
        (tmp_path / "mnist").mkdir(exist_ok=True)
        (tmp_path / "mnist" / f"{name}.gz").write_bytes(gzip.compress(content))
        monkeypatch.setitem(mnist.MNIST_FILES, name, hashlib.md5(content).hexdigest())

    return write_file


@pytest.fixture
def root(tmp_path, write):
    """A data root with a small MNIST; image i has the label i % 10 and i as its first pixel."""
    random = np.random.default_rng(0)
    for part, size in IMAGES.items():
        images = random.integers(256, size=(size, 28, 28))
        images[:, 0, 0] = np.arange(size)
        write(f"{part}-images-idx3-ubyte", images)
        write(f"{part}-labels-idx1-ubyte", np.arange(size) % 10)
    return tmp_path


def read_pixels(root, part="train"):
    path = root / "mnist" / f"{part}-images-idx3-ubyte.gz"
    return np.frombuffer(gzip.decompress(path.read_bytes())[16:], np.uint8).reshape(-1, 784)


def numbers(dataset):
    """The number of every image in its file, read from the first pixel."""
    inputs, _ = dataset.__getitems__(range(len(dataset)))
    return (inputs[0, :, 0] * 255).round().int().tolist()


def test_pixels_come_row_by_row(root):
    splits = load("smnist", root)
    pixels = read_pixels(root)
    inputs, targets = splits.train.__getitems__([3, 0])
    chosen = [numbers(splits.train)[3], numbers(splits.train)[0]]
    assert inputs.shape == (784, 2, 1)
    assert inputs.dtype == torch.float32
    np.testing.assert_allclose(inputs[:, :, 0].T, pixels[chosen] / 255, rtol=1e-6)
    assert targets.tolist() == [number % 10 for number in chosen]
    assert targets.dtype == torch.int64
    assert splits.train.permutation is None


def test_the_splits_are_disjoint_and_cover_the_training_file(root):
    splits = load("smnist", root, validation=0.25)
    assert len(splits.valid) == 10
    assert sorted(numbers(splits.train) + numbers(splits.valid)) == list(range(40))
    assert numbers(splits.test) == list(range(12))
    assert "30 images to train and 10 to validate" in splits.info.split


def test_the_validation_images_do_not_depend_on_the_other_options(root):
    images = numbers(load("smnist", root).valid)
    one, other = (load("psmnist", root, permutation_seed=seed) for seed in (1, 2))
    first = [splits.valid.permutation.index(0) for splits in (one, other)]
    for splits, step in zip((one, other), first, strict=True):
        inputs, _ = splits.valid.__getitems__(range(len(splits.valid)))
        assert (inputs[step, :, 0] * 255).round().int().tolist() == images


def test_an_item_is_a_batch_of_one(root):
    train = load("smnist", root, encoding="window").train
    inputs, targets = train.__getitems__(range(len(train)))
    for index, (item, target) in enumerate(train):
        assert torch.equal(item, inputs[:, index])
        assert target == targets[index]
        assert target.shape == ()
    assert torch.equal(train[-1][0], inputs[:, -1])


def test_a_window_is_causal(root):
    pixel, _ = load("smnist", root).train.__getitems__([0, 5])
    window, _ = load("smnist", root, encoding="window", window=3).train.__getitems__([0, 5])
    assert window.shape == (784, 2, 3)
    assert torch.equal(window[:, :, 2], pixel[:, :, 0])
    assert torch.equal(window[1:, :, 1], pixel[:-1, :, 0])
    assert torch.equal(window[2:, :, 0], pixel[:-2, :, 0])
    assert not window[:1, :, 1].any()
    assert not window[:2, :, 0].any()


def test_the_published_input_of_psmnist(root):
    splits = load("psmnist", root, encoding="window", threshold=0.1)
    assert splits.info.channels == 4
    assert splits.info.encoding == "a window of 4 pixels binarised at 0.1"
    order = list(splits.train.permutation)
    inputs, _ = splits.test.__getitems__(range(12))
    assert set(inputs.unique().tolist()) == {0.0, 1.0}
    expected = read_pixels(root, "t10k")[:, order] / 255 > 0.1
    np.testing.assert_array_equal(inputs[:, :, 3].T, expected)


def test_the_threshold_itself_is_below(root):
    # 51 / 255 = 0.2, and only what exceeds the threshold is 1.
    code = mnist._pixel_code("pixel", 1, 0.2, 2)
    assert code(torch.tensor([[51], [52]], dtype=torch.uint8)).flatten().tolist() == [0.0, 1.0]


def test_a_population_of_gaussians_in_closed_form(root):
    splits = load("smnist", root, encoding="population", population=6)
    assert splits.info.channels == 6
    inputs, _ = splits.train.__getitems__([0])
    grey = read_pixels(root)[numbers(load("smnist", root).train)[0]] / 255
    for step in (0, 100, 783):
        for channel in range(6):
            distance = (grey[step] - channel / 5) / (1 / 5)
            expected = math.exp(-(distance**2) / 2)
            assert inputs[step, 0, channel].item() == pytest.approx(expected, rel=1e-5)


def test_the_permutation_is_one_for_all_images_and_splits(root):
    plain, permuted = load("smnist", root), load("psmnist", root)
    order = permuted.train.permutation
    assert permuted.train.drawn == {"permutation": list(order)}
    assert load("smnist", root).train.drawn == {}
    assert sorted(order) == list(range(784))
    assert order == permuted.valid.permutation == permuted.test.permutation
    everything, _ = plain.test.__getitems__(range(12))
    shuffled, _ = permuted.test.__getitems__(range(12))
    assert torch.equal(shuffled, everything[list(order)])
    assert load("psmnist", root).train.permutation == order
    assert load("psmnist", root, permutation_seed=1).train.permutation != order


def test_the_test_files_are_not_touched_before_the_end(root, monkeypatch, one_sentence):
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (root / "mnist" / f"{name}.gz").write_bytes(b"damaged")
    splits = load("smnist", root)
    assert len(splits.train) + len(splits.valid) == 40
    with pytest.raises(DataError, match="not the published file") as error:
        _ = splits.test
    one_sentence(error)


def test_the_test_set_is_read_once(root):
    splits = load("smnist", root)
    first = splits.test
    (root / "mnist" / "t10k-images-idx3-ubyte.gz").unlink()
    assert splits.test is first


def test_unpacked_files_serve_as_well(root):
    for path in list((root / "mnist").iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    splits = load("smnist", root)
    assert numbers(splits.test) == list(range(12))


def test_a_file_with_another_checksum_is_refused(root, one_sentence):
    path = root / "mnist" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.zeros(40, np.uint8))))
    with pytest.raises(DataError, match="not the published file") as error:
        load("smnist", root)
    assert "train-labels-idx1-ubyte" in one_sentence(error)


def test_a_missing_file_without_network_is_refused(tmp_path, monkeypatch, one_sentence):
    monkeypatch.setattr(mnist, "_MIRROR", "http://127.0.0.1:1/")
    with pytest.raises(DataError, match="by hand") as error:
        load("smnist", tmp_path)
    assert "127.0.0.1:1/train-images-idx3-ubyte.gz" in one_sentence(error)


def test_a_folder_that_cannot_be_searched_is_refused(open_folder, somebody_else, one_sentence):
    (open_folder / "mnist").mkdir(mode=0o700)
    with somebody_else(), pytest.raises(DataError, match="ubyte cannot be looked for") as error:
        load("smnist", open_folder)
    one_sentence(error)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-labels-idx1-ubyte", np.full(40, 10), "a label 10, but digits are 0 to 9"),
        ("train-labels-idx1-ubyte", np.zeros(39), r"\(39,\) for the 40 images"),
        ("train-images-idx3-ubyte", np.zeros((40, 27, 28)), "no 28 x 28 images"),
        ("train-images-idx3-ubyte", np.zeros((40, 784)), "no 28 x 28 images"),
    ],
)
def test_a_file_with_other_content_is_refused(root, write, name, array, message, one_sentence):
    write(name, array)
    with pytest.raises(DataError, match=message) as error:
        load("smnist", root)
    one_sentence(error)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": "latency"}, "no encoding 'latency' of pixels; known are pixel, window"),
        ({"window": 0}, "window must be a whole number of at least 1"),
        ({"window": 2.5}, "window must be a whole number"),
        ({"threshold": 1.5}, "threshold must lie between 0 and 1"),
        ({"threshold": "0.1"}, "threshold must be a number"),
        ({"encoding": "pixel", "population": 1}, "population must be a whole number"),
        ({"encoding": "population", "window": 0}, "window must be a whole number"),
        ({"encoding": "population", "population": 1}, "population must be a whole number"),
        ({"encoding": "population", "threshold": 0.1}, "leave one of them out"),
        ({"permutation_seed": -1}, "permutation_seed must be a whole number of at least 0"),
        ({"validation": 1.0}, "validation=1.0 of 40 training sequences"),
    ],
)
def test_a_value_without_meaning_is_refused(root, options, message, one_sentence):
    with pytest.raises(DataError, match=message) as error:
        load("psmnist", root, **options)
    one_sentence(error)


def test_the_published_files(real_data):
    splits = load("smnist", real_data)
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (54000, 6000, 10000)
    images, labels = mnist._read(real_data / "mnist", "train")
    assert np.bincount(labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949
    ]  # fmt: skip
    assert labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert images.mean() / 255 == pytest.approx(0.13066, abs=1e-5)
    assert images.std() / 255 == pytest.approx(0.30811, abs=1e-5)
