"""The published ECG network against recurrent layers of its size: reference numbers and ratios."""

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from srnn.meters import FOLDED, PROFILES, energy, measure
from srnn.published import ecg_icons2020

RATIOS = {"45nm-fp32": (10.9, 30.7, 40.2), "45nm-int32": (25.7, 72.0, 94.3)}
NANOJOULES_A_STEP = {"45nm-fp32": 0.697, "45nm-int32": 0.206}


@pytest.fixture(scope="module")
def measured():
    root = os.environ.get("SRNN_DATA")
    folder = Path(root or "") / "ecg"
    if not root or not (folder / "QTDB_test.mat").is_file():
        pytest.skip("needs the published ECG files: set SRNN_DATA to the folder that holds ecg/")
    loadmat = pytest.importorskip("scipy.io").loadmat
    events = loadmat(folder / "QTDB_test.mat")["x"].astype("float32")
    x = torch.from_numpy(events).transpose(0, 1)
    network = measure(ecg_icons2020(folder / "srnn-icons2020.pth"), [x[:, :70], x[:, 70:]])
    return network, [measure(Dense(kind), [x[:2]]) for kind in (nn.RNN, nn.GRU, nn.LSTM)]


class Dense(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layer, self.readout = kind(4, 36), nn.Linear(36, 6)

    def forward(self, x):
        return self.readout(self.layer(x)[0])


@pytest.mark.parametrize("profile", RATIOS)
def test_the_published_ratios(measured, profile):
    network, others = measured
    ours = energy(network, PROFILES[profile], FOLDED).total / 1301
    assert ours / 1000 == pytest.approx(NANOJOULES_A_STEP[profile], rel=0.01)
    # Dense networks do the same work in every step.
    dense = [energy(other, PROFILES[profile], FOLDED).total / 2 for other in others]
    assert [e / ours for e in dense] == pytest.approx(RATIOS[profile], rel=0.01)


def test_the_spikes_are_those_of_the_authors_code(measured):
    network, _ = measured
    assert network.rate == pytest.approx(0.28918172989836355, abs=1e-6)
    assert network.spikes["layer1"].rate == pytest.approx(0.328300, abs=1e-5)
    assert network.spikes["readout"].rate == pytest.approx(0.054473, abs=1e-5)
    assert network.samples == 141
    assert network.total(FOLDED).mac == 141 * 1301 * 48


@pytest.mark.parametrize(
    ("kind", "gates", "products"), [(nn.RNN, 1, 0), (nn.GRU, 3, 3), (nn.LSTM, 4, 3)]
)
def test_dense_networks_under_the_folded_convention(kind, gates, products):
    """(gates (mn + nn) + products n) MAC a step, and the readout's."""
    found = measure(Dense(kind), [torch.ones(5, 3, 4)]).per_sample(FOLDED)
    assert found.mac == 5 * (gates * (4 * 36 + 36 * 36) + products * 36 + 36 * 6)
    assert found.ac == 0
