"""From settings to the network."""

import pytest
import torch

from srnn.neurons import ALIF, LIF, RALIF, RLIF
from srnn.train.build import build_data, build_network
from srnn.train.config import Experiment
from srnn.train.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "neuron"),
    [
        ({"neuron": "alif"}, RALIF),
        ({"neuron": "lif"}, RLIF),
        ({"neuron": "alif", "feedforward": True}, ALIF),
        ({"neuron": "lif", "feedforward": True}, LIF),
    ],
)
@pytest.mark.parametrize("readout", ["softmax-sum", "mean", "last", "count"])
def test_network(settings, neuron, readout):
    experiment = Experiment(hidden=[5, 4], readout=readout, **settings)
    network = build_network(experiment, build_data(experiment).info)
    assert [type(layer.neuron) for layer in network.layers] == [neuron, neuron]
    again = build_network(experiment, build_data(experiment).info)
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("option", "flag"), [("name", "--dataset"), ("root", "--data-dir")])
def test_what_has_a_flag_of_its_own_is_no_option_of_the_data(option, flag):
    with pytest.raises(ConfigError, match=f"--data.{option} is no option .* {flag} instead"):
        build_data(Experiment(data={option: "elsewhere"}))


@pytest.mark.parametrize("learn", [True, False])
def test_learning_time_constants_can_be_left_out(learn, train):
    flags = [] if learn else ["--learn-tau", "false"]
    rows = (train(*flags) / "metrics.csv").read_text().splitlines()
    column = rows[0].split(",").index("tau/layer1.tau_mem")
    values = {row.split(",")[column] for row in rows[1:]} - {""}
    assert len(values) == (2 if learn else 1)
