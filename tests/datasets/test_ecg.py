import hashlib
import sys

import numpy as np
import pytest
import torch

from srnn.datasets import IGNORE, DataError, ecg, load
from srnn.datasets.ecg import ECG_FILES, published_score, read_records

savemat = pytest.importorskip("scipy.io").savemat


def make_records(size, seed):
    """Records whose number stands in the events of the first steps of channel 3."""
    random = np.random.default_rng(seed)
    x = (random.random((size, 1301, 4)) < 0.08).astype(np.int16)
    x[:, -1, 0] = -1
    x[:, :8, 3] = np.arange(size)[:, None] >> np.arange(8) & 1
    label = random.integers(7, size=(size, 1301))
    return {"x": x, "y": np.eye(7, 6, dtype=np.uint8)[label]}, label


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "ecg").mkdir()
    for name, size in (("QTDB_train.mat", 20), ("QTDB_test.mat", 5)):
        path = tmp_path / "ecg" / name
        savemat(path, make_records(size, size)[0])
        monkeypatch.setitem(ECG_FILES, name, hashlib.md5(path.read_bytes()).hexdigest())
    return tmp_path


def numbers(dataset):
    inputs, _ = dataset.__getitems__(range(len(dataset)))
    return (inputs[:8, :, 3].int().T @ (1 << torch.arange(8, dtype=torch.int32))).tolist()


def test_events_and_targets_are_those_of_the_file(root):
    content, label = make_records(5, 5)
    test = load("ecg", root).test
    inputs, targets = test.__getitems__([4, 1])
    assert inputs.shape == (1301, 2, 4)
    assert inputs.dtype == torch.float32
    np.testing.assert_array_equal(inputs.transpose(0, 1), content["x"][[4, 1]])
    assert (inputs[-1, :, 0] == -1).all()
    assert targets.dtype == torch.int64
    np.testing.assert_array_equal(targets.T, np.where(label == 6, IGNORE, label)[[4, 1]])


def test_an_item_is_a_batch_of_one(root):
    test = load("ecg", root).test
    inputs, targets = test.__getitems__(range(5))
    for index, (item, target) in enumerate(test):
        assert torch.equal(item, inputs[:, index])
        assert torch.equal(target, targets[:, index])


def test_the_splits_are_whole_records(root):
    splits = load("ecg", root, validation=0.25)
    assert len(splits.valid) == 5
    assert sorted(numbers(splits.train) + numbers(splits.valid)) == list(range(20))
    assert numbers(load("ecg", root, validation=0.25).valid) == numbers(splits.valid)
    assert splits.info.streaming
    assert splits.info.classes == ("P", "PQ", "QR", "RS", "ST", "TP")


def test_the_test_file_is_not_touched_before_the_end(root):
    (root / "ecg" / "QTDB_test.mat").unlink()
    (root / "ecg" / "QTDB_test.mat").write_bytes(b"damaged")
    splits = load("ecg", root)
    with pytest.raises(DataError, match="not the published file"):
        _ = splits.test


def test_a_missing_file_without_network_is_refused(tmp_path, monkeypatch, one_sentence):
    monkeypatch.setitem(ecg._URLS, "QTDB_train.mat", "http://127.0.0.1:1/QTDB_train.mat")
    with pytest.raises(DataError, match="by hand") as error:
        load("ecg", tmp_path)
    one_sentence(error)


def test_scipy_is_asked_for_where_it_is_missing(root, monkeypatch, one_sentence):
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DataError, match=r"pip install \"srnn\[train\]\"") as error:
        load("ecg", root)
    one_sentence(error)


def spoil(**changes):
    content, _ = make_records(3, 0)
    for key, change in changes.items():
        content[key] = change(content[key])
    return {key: value for key, value in content.items() if value is not None}


def put(value):
    def change(array):
        array[1, 500] = value
        return array

    return change


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (spoil(x=lambda x: None), "has no array 'x'"),
        (spoil(y=lambda y: y[:, :, :5]), r"'y' of shape \(3, 1301, 5\)"),
        (spoil(x=lambda x: x[:, :1300]), r"'x' of shape \(3, 1300, 4\)"),
        (spoil(x=lambda x: x[0]), r"'x' of shape \(1301, 4\)"),
        (spoil(x=lambda x: x[:2]), "2 records of events and 3 of labels"),
        (spoil(x=put(2)), "events other than -1, 0 and 1"),
        (spoil(x=lambda x: np.where(x == 1, np.nan, x)), "events other than -1, 0 and 1"),
        (spoil(y=put(1)), "neither one-hot nor empty"),
        (spoil(y=put((0, 0, 2, 0, 0, 0))), "neither one-hot nor empty"),
    ],
)
def test_a_file_with_other_content_is_refused(content, message, tmp_path, one_sentence):
    savemat(tmp_path / "file.mat", content)
    with pytest.raises(DataError, match=message) as error:
        read_records(tmp_path / "file.mat")
    assert str(tmp_path / "file.mat") in one_sentence(error)


@pytest.mark.parametrize("kept", [0, 0.001, 0.03, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_truncated_file_is_refused(kept, compressed, tmp_path):
    path = tmp_path / "file.mat"
    savemat(path, make_records(3, 0)[0], do_compression=compressed)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(DataError, match=r"file\.mat"):
        read_records(path)


def test_published_score_of_a_hand_made_record():
    targets = torch.full((1301, 2), 4)
    targets[10] = IGNORE
    targets[1300] = 0
    predictions = torch.full((1301, 2), 4)
    predictions[:10] = 3  # wrong, but not scored
    predictions[10] = torch.tensor([0, 4])  # unlabelled counts as P
    predictions[1300] = torch.tensor([0, 5])
    assert published_score(predictions, targets) == (2 * 1291 - 2, 2 * 1291)


@pytest.mark.parametrize("shape", [(20,), (20, 1), (20, 2, 6)])
def test_published_score_refuses_other_shapes(shape, one_sentence):
    with pytest.raises(DataError, match="one shape") as error:
        published_score(torch.zeros(shape), torch.zeros(20, 2))
    one_sentence(error)


def test_the_published_files(real_data):
    splits = load("ecg", real_data)
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (525, 93, 141)
    inputs, targets = splits.test.__getitems__(range(141))
    rates = (inputs != 0).float().mean((0, 1))
    np.testing.assert_allclose(rates, [0.088, 0.069, 0.081, 0.078], atol=5e-4)
    assert (targets == IGNORE).sum() == 19056
    assert not (targets[:10] == IGNORE).any()
    shares = torch.stack([(targets == label).float().mean() for label in range(6)])
    np.testing.assert_allclose(shares, [0.132, 0.055, 0.054, 0.049, 0.305, 0.301], atol=5e-4)
    # Always answering ST, the largest class, as the published metric counts it.
    correct, total = published_score(torch.full_like(targets, 4), targets)
    assert total == 182031
    assert correct / total == pytest.approx(0.307, abs=5e-4)
