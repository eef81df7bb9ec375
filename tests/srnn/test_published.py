"""The published ECG network scores what the authors' own code scores from the zero state."""

import os
from pathlib import Path

import pytest
import torch

from srnn.published import ecg_icons2020

RIGHT, SCORED = 151402, 182031
RATE = 0.28918172989836355  # what the authors' notebook prints with its random start put to zero
MEMBRANE = [-1.489176, -4.467457, -4.124006, -0.452524, -0.233236, -1.057161]


@pytest.fixture(scope="module")
def folder():
    root = os.environ.get("SRNN_DATA")
    if not root:
        pytest.skip("needs the published ECG files: set SRNN_DATA to the folder that holds ecg/")
    folder = Path(root) / "ecg"
    for name in ("srnn-icons2020.pth", "QTDB_test.mat"):
        if not (folder / name).is_file():
            pytest.skip(f"needs the published ECG files: {name} is not in the folder ecg/")
    return folder


@pytest.fixture(scope="module")
def records(folder):
    loadmat = pytest.importorskip("scipy.io").loadmat
    content = loadmat(folder / "QTDB_test.mat")
    inputs = torch.from_numpy(content["x"].astype("float32")).transpose(0, 1)
    return inputs, torch.from_numpy(content["y"]).argmax(-1).T


@pytest.mark.parametrize(
    ("dtype", "frames", "close"), [(torch.float64, 0, 1e-8), (torch.float32, 20, 1e-4)], ids=str
)
def test_it_scores_what_was_published(folder, records, dtype, frames, close):
    inputs, labels = records
    network = ecg_icons2020(folder / "srnn-icons2020.pth").to(dtype)
    with torch.no_grad():
        membranes, record = network(inputs)
    right = (membranes.argmax(-1) == labels)[10:]
    assert right.numel() == SCORED
    assert abs(int(right.sum()) - RIGHT) <= frames

    spikes = sum(float(counts.sum()) for counts in record.counts)
    assert record.steps == 1301
    assert spikes / (141 * 1301 * 42) == pytest.approx(RATE, abs=close)
    hidden, output = record.rates()
    assert hidden == pytest.approx(0.328300, abs=1e-5)
    assert output == pytest.approx(0.054473, abs=1e-5)

    expected = torch.tensor(MEMBRANE, dtype=dtype)
    torch.testing.assert_close(membranes[10, 0], expected, atol=1e-5 + close, rtol=0)


def test_what_the_file_leaves_out_is_supplied(folder):
    network = ecg_icons2020(folder / "srnn-icons2020.pth")
    taus = network.time_constants()
    assert taus["layer1.tau_mem"].tolist() == [20] * 36
    assert taus["readout.tau_mem"].tolist() == [20] * 6
    assert taus["readout.tau_adapt"].mean().item() == pytest.approx(115.2, abs=0.05)
    assert network.readout.neuron.adaptation_strength.item() == pytest.approx(1.8)
    assert network.readout.neuron.initial_adaptation == pytest.approx(0.01)
    assert not any("tau" in name and p.requires_grad for name, p in network.named_parameters())


@pytest.mark.parametrize(
    "content", [{}, {"h2o.bias": torch.zeros(6)}, {"i2h.weight": None}, torch.zeros(3), [1]]
)
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"weights\.pth is not the published ECG network"):
        ecg_icons2020(path)


@pytest.mark.parametrize(
    "content", [b"", b"no weights at all", b"PK\x03\x04 cut short", b"(.", b"h\0", b"G"]
)
def test_a_file_that_torch_cannot_read_is_refused(tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.pth is not the published ECG network"):
        ecg_icons2020(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"weights\.pth"):
        ecg_icons2020(tmp_path / "weights.pth")


def test_a_network_of_another_size_is_refused(tmp_path, folder):
    weights = torch.load(folder / "srnn-icons2020.pth", map_location="cpu", weights_only=True)
    weights["h2h.weight"] = weights["h2h.weight"][:30]
    torch.save(weights, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"'h2h.weight': \(30, 36\)"):
        ecg_icons2020(tmp_path / "weights.pth")
