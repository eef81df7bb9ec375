"""srnn-train with plastic synapses: flags, recipes, runs on art, resumes, scores and plots."""

import re
import signal
from contextlib import nullcontext

import pytest
import torch

from srnn.datasets import load
from srnn.neurons import RALIF, TimeConstant
from srnn.neurons.plasticity import HebbianSTP, MemristiveSTP, TsodyksMarkramSTP
from srnn.train import main
from srnn.train.build import build_network
from srnn.train.cli import parse
from srnn.train.config import Experiment
from srnn.train.errors import ConfigError
from srnn.train.evaluation import repeatable
from srnn.train.sizing import learned_parameters
from srnn.train.tasks import Naming

BATCH_END = "srnn.train.checkpoints.Checkpoints.on_train_batch_end"
PLUGINS = {
    "hebbian": HebbianSTP,
    "tsodyks-markram": TsodyksMarkramSTP,
    "memristive": MemristiveSTP,
}
each = pytest.mark.parametrize("plasticity", PLUGINS)


def art():
    return load("art", train=8, valid=8, test=8).info


@each
@pytest.mark.parametrize("covers", [False, True])
def test_network(plasticity, covers):
    settings = {"plasticity": plasticity, "plastic_inputs": covers, "hidden": [5, 4]}
    network = build_network(Experiment(**settings), art())
    below = 37
    for layer, width in zip(network.layers, (5, 4), strict=True):
        stp = layer.neuron.plasticity
        assert type(layer.neuron) is RALIF
        assert type(stp) is PLUGINS[plasticity]
        assert (stp.neurons, stp.inputs) == (width, below * covers)
        assert (layer.input_size, layer.hidden_size) == (below, width)
        below = width
    again = build_network(Experiment(**settings), art())
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert one.equal(other)


def test_gains_scale_what_a_plugin_draws():
    settings = {"plasticity": "hebbian", "plastic_inputs": True, "hidden": [5]}
    plain = build_network(Experiment(**settings), art()).layers[0].neuron.plasticity.W
    scaled = build_network(Experiment(**settings, input_gain=3, recurrent_gain=0.5), art())
    W = scaled.layers[0].neuron.plasticity.W
    torch.testing.assert_close(W[:, :37], 3 * plain[:, :37])
    torch.testing.assert_close(W[:, 37:], 0.5 * plain[:, 37:])


def test_options_reach_the_synapses():
    settings = {"synapses": {"recurrent": "new", "clamp": 0.5}, "hidden": [5]}
    for own in ({"plasticity": "hebbian"}, {"model": "stpn"}):
        (layer,) = build_network(Experiment(**settings, **own), art()).layers
        stp = layer.plasticity if "model" in own else layer.neuron.plasticity
        assert (stp.recurrent, stp.clamp) == ("new", 0.5)


def test_what_is_not_to_be_learned_stays():
    settings = {"plasticity": "memristive", "synapses": {"learn_bias_voltage": False}}
    network = build_network(Experiment(**settings), art())
    assert not any(
        p.requires_grad for p in network.layers[0].neuron.plasticity.retention.parameters()
    )
    fixed = build_network(Experiment(plasticity="tsodyks-markram", learn_tau=False), art())
    taus = [m for m in fixed.modules() if isinstance(m, TimeConstant)]
    assert len(taus) == 2 * 4 + 1
    assert not any(p.requires_grad for tau in taus for p in tau.parameters())


@pytest.mark.parametrize(
    ("model", "hidden", "parameters"),
    [
        ("stpn", 11, 2039),
        ("lstm", 9, 2098),
        ("rnn", 20, 1957),
        ("gru", 11, 2094),
        ("fast-weights", 20, 1977),
        ("srnn", 11, 2098),
    ],
)
def test_the_recipes_of_art_have_about_equal_parameters(model, hidden, parameters):
    experiment, _ = parse(["--dataset", "art", "--model", model])
    assert experiment.hidden == [hidden]
    assert (experiment.batch_size, experiment.readout, experiment.optimizer) == (
        128,
        "last",
        "adam",
    )
    if model != "srnn":
        assert (experiment.lr, experiment.clip_norm) == (0.001, 0)
    assert learned_parameters(build_network(experiment, art())) == parameters
    assert abs(parameters / 2039 - 1) < 0.05


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--plasticity best", "--plasticity expects one of none, hebbian"),
        ("--plasticity hebbian --feedforward", "--plasticity, typed or of a recipe, is one of"),
        ("--plastic-inputs", "--plastic-inputs, typed or of a recipe, means plastic synapses"),
        ("--synapses.clamp 1", "--synapses, typed or of a recipe, means plastic synapses"),
        ("--model lstm --synapses.clamp 1", "--model lstm has no plastic synapses: leave"),
        ("--model stpn --synapses.camp 1", "--synapses.camp is no option of HebbianSTP, which has"),
        ("--model stpn --plasticity hebbian", "--plasticity is a setting of spiking networks"),
        ("--plasticity hebbian --synapses.clamp -1", "--synapses: clamp must be positive, got -1"),
    ],
)
def test_wrong_flag(flags, sentence, refused):
    assert refused(*flags.split()).startswith(sentence)


def test_inputs_that_the_synapses_are_not_made_for(refused):
    """The maze shows its reward, of 10."""
    flags = ("--dataset", "maze", "--plasticity", "tsodyks-markram", "--plastic-inputs")
    sentence = refused(*flags, "--hidden", 4, tiny=lambda *flags: [*map(str, flags)])
    assert sentence.startswith("TsodyksMarkramSTP takes activity between 0 and 1, such as spikes")


def test_a_network_without_plastic_synapses_takes_no_options():
    with pytest.raises(ConfigError, match="has no plastic synapses"):
        build_network(Experiment(model="gru", synapses={"clamp": 1}), art())


@pytest.fixture
def on_art(tmp_path):
    """Give the flags of a tiny run on art: 2 epochs of 6 batches."""
    return lambda *flags: [
        *("--dataset", "art", "--data.train", "96", "--data.valid", "32", "--data.test", "32"),
        *("--epochs", "2", "--batch-size", "16", "--threads", "1", "--log-every", "2"),
        *("--checkpoint-every", "2", "--run-dir", str(tmp_path), *flags),
    ]


@pytest.mark.parametrize("model", ["stpn", "lstm", "srnn"])
def test_a_run_on_art_with_its_report_and_scored_again(model, on_art, tmp_path, capsys):
    assert main.train(on_art("--model", model, "--name", "run", "--wandb", "offline")) == 0
    folder, out = tmp_path / "art" / "run", capsys.readouterr().out
    kind = "hebbian recurrent ALIF" if model == "srnn" else f"non-spiking {model.upper()}"
    assert f"{kind} network 37-" in out
    if model == "srnn":
        assert "reference (plastic synapses are the reference kernel's alone)" in out
    report = (folder / "report.md").read_text()
    links = re.findall(r"!\[[^]]+\]\(([^)]+)\)", report)
    assert "plots/raster.png" in links
    for link in links:
        assert (folder / link).read_bytes().startswith(b"\x89PNG")
    (accuracy,) = re.findall(r"^test accuracy .*%$", out, re.M)
    assert main.evaluate([str(folder)]) == 0
    assert f"{accuracy}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags",
    [
        ("hebbian", "--plastic-inputs", "--tbptt", "10"),
        ("tsodyks-markram",),
        # The noise of a resumed run goes on where it was.
        ("memristive", "--tbptt", "10", "--synapses.write_noise", "0.1"),
    ],
    ids=PLUGINS,
)
def test_killed_and_resumed(flags, tiny, disturbed, resumes):
    flags = ("--plasticity", *flags)
    code, _ = disturbed(tiny(*flags, "--name", "run"), (BATCH_END, 9, "after"), [signal.SIGKILL])
    assert code == -signal.SIGKILL
    resumes(*flags)


def test_noise_of_devices_is_the_same_whenever_they_are_scored():
    splits = load("art", train=8, valid=8, test=64)
    noisy = {"write_noise": 1.0}
    experiment = Experiment(model="m-stpn", hidden=[11], readout="last", synapses=noisy)
    network = build_network(experiment, splits.info).eval()

    def losses(same):
        found = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            with repeatable(network) if same else nullcontext():
                found.append(Naming(splits.test).evaluate(network, 16).scores["loss"])
            assert torch.equal(torch.get_rng_state(), before) == same
        return found

    one, other = losses(same=True)
    assert one == other
    one, other = losses(same=False)
    assert one != other
