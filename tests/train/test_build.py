"""From settings to the network."""

import pytest
import torch

from srnn.datasets import load
from srnn.neurons import ALIF, LIF, RALIF, RLIF
from srnn.train.build import build_data, build_network
from srnn.train.config import Experiment
from srnn.train.errors import ConfigError
from srnn.train.module import SequenceClassifier


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


@pytest.mark.parametrize(("ticks", "burn_in"), [(1, 7), (2, 7), (3, 23)])
def test_the_burn_in_counts_steps_of_the_inputs(ticks, burn_in):
    info = load("recall", segments=4, segment_steps=6, train=8, valid=8, test=8).info
    settings = {"hidden": [5], "readout": "mean", "ticks": ticks, "threshold": 0.1}
    net = build_network(Experiment(burn_in=burn_in, **settings), info).double()
    whole = build_network(Experiment(**settings), info).double()
    x = torch.rand(24, 3, info.channels, dtype=torch.float64).round()
    after, _ = net(x)
    early, _ = whole(x[:burn_in])
    every, _ = whole(x)
    torch.testing.assert_close(24 * every, burn_in * early + (24 - burn_in) * after)


@pytest.mark.parametrize("name", ["adam", "adamw", "adamax"])
def test_optimizers_by_their_names(name):
    info = load("recall", train=8, valid=8, test=8).info
    experiment = Experiment(hidden=[5], optimizer=name)
    learner = SequenceClassifier(build_network(experiment, info), info, experiment, 10)
    (optimizer,), _ = learner.configure_optimizers()
    assert type(optimizer).__name__.lower() == name
