"""srnn-train with a non-spiking network: the same runs, resumes, scores and reports."""

import json
import re
import signal

import pytest
import yaml

from srnn import Readout
from srnn.baselines import GRU, LSTM, RNN
from srnn.datasets import DATASETS, load
from srnn.fast_weights import FastWeights
from srnn.stpn import STPN
from srnn.train import main
from srnn.train.build import build_network
from srnn.train.cli import RECIPES, parse
from srnn.train.config import SPIKING, Experiment
from srnn.train.module import SequenceClassifier
from srnn.train.sizing import learned_parameters, width_for
from srnn.train.watch import health_warnings

BATCH_END = "srnn.train.checkpoints.Checkpoints.on_train_batch_end"
MODELS = {
    "rnn": RNN,
    "gru": GRU,
    "lstm": LSTM,
    "stpn": STPN,
    "m-stpn": STPN,
    "fast-weights": FastWeights,
}
each = pytest.mark.parametrize("model", MODELS)


def recall():
    return load("recall", train=8, valid=8, test=8).info


@each
@pytest.mark.parametrize("readout", ["softmax-sum", "mean", "last"])
def test_network(model, readout):
    settings = {"model": model, "hidden": [5, 4], "readout": readout, "burn_in": 3}
    if readout == "last":
        del settings["burn_in"]
    network = build_network(Experiment(**settings), recall())
    assert type(network) is MODELS[model]
    assert [layer.hidden_size for layer in network.layers] == [5, 4]
    assert isinstance(network.readout, Readout)
    assert network.readout.burn_in == settings.get("burn_in", 0)
    again = build_network(Experiment(**settings), recall())
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert one.equal(other)


@each
def test_settings_of_spiking_networks_leave_its_learning_rate_alone(model):
    factors = {"recurrent_lr_factor": 0.02, "tau_lr_factor": 3.0}  # as a recipe's are passed on
    experiment = Experiment(model=model, hidden=[5, 4], lr=0.1, **factors)
    module = SequenceClassifier(build_network(experiment, recall()), recall(), experiment, 10)
    (optimizer,), _ = module.configure_optimizers()
    assert {group["lr"] for group in optimizer.param_groups} == {0.1}


@each
@pytest.mark.parametrize("flags", [(), ("--tbptt", "10")], ids=["whole", "in pieces"])
def test_killed_and_resumed(model, flags, tiny, disturbed, resumes):
    flags = ("--model", model, *flags)
    code, _ = disturbed(tiny(*flags, "--name", "run"), (BATCH_END, 9, "after"), [signal.SIGKILL])
    assert code == -signal.SIGKILL
    resumes(*flags)


@each
def test_a_run_with_its_report_and_scored_again(model, tiny, tmp_path, capsys):
    assert main.train(tiny("--model", model, "--retrain", "--name", "run")) == 0
    folder, out = tmp_path / "recall" / "run", capsys.readouterr().out
    assert f": non-spiking {model.upper()} network 30-8-4, readout " in out
    assert re.search(r"^after 2 batches: gradient norm \d", out, re.M)
    report = (folder / "report.md").read_text()
    for link in re.findall(r"!\[[^]]+\]\(([^)]+)\)", report):
        assert (folder / link).read_bytes().startswith(b"\x89PNG")
    for text in (out, report, (folder / "metrics.csv").read_text()):
        assert not re.search("spike|firing|rate_layer|tau/|threshold|time_constants", text)
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["rates"], summary["spikes_per_sequence"]) == ({}, 0)
    assert main.evaluate([str(folder)]) == 0
    accuracy = f"test accuracy           {100 * summary['test']['accuracy']:.1f} %\n"
    assert accuracy in capsys.readouterr().out


def test_an_unnamed_run_is_named_after_its_model(tiny, without_plots, tmp_path):
    assert main.train(tiny("--model", "gru", "--epochs", 1)) == 0
    (folder,) = (tmp_path / "recall").iterdir()
    assert folder.name.startswith("gru-8-")


def test_advice_against_an_exploding_gradient_is_for_this_network():
    (warning,) = health_warnings({}, 1e6)
    advised = {name[2:].replace("-", "_") for name in re.findall(r"--[a-z-]+[a-z]", warning)}
    assert advised
    assert advised <= set(vars(Experiment())) - SPIKING


# -------------------------------------------------------------------------------------- recipes


def parsed(*flags):
    return parse(list(flags))[0]


@each
@pytest.mark.parametrize("dataset", DATASETS)
def test_recipes_of_the_data_set_the_model_and_both_follow_each_other(dataset, model):
    expected = vars(Experiment(dataset=dataset))
    for name in (dataset, model, f"{dataset}-{model}"):
        path = RECIPES / f"{name}.yaml"
        expected = expected | (yaml.safe_load(path.read_text()) if path.exists() else {})
    assert vars(parsed("--dataset", dataset, "--model", model)) == expected
    assert (expected["dataset"], expected["model"]) == (dataset, model)
    spiking = parsed("--dataset", dataset)
    assert spiking.model == "srnn"
    changed = {name for name in expected if expected[name] != getattr(spiking, name)}
    # The data, the epochs and the number of layers stay those of the spiking network.
    own = {"model", "lr", "clip_norm", "readout", "burn_in", "schedule", "tbptt", "hidden"}
    own |= {"synapses"} if model in ("stpn", "m-stpn") else set()
    # A spiking layer needs no encoder; its weights are few.
    own |= {"encoder", "entropy_weight"} if dataset == "pong" else set()
    # The published input.
    own |= {"data"} if dataset == "pong" and model in ("stpn", "m-stpn") else set()
    assert changed <= own
    assert len(expected["hidden"]) == len(spiking.hidden)


def test_flags_of_spiking_networks_are_refused_where_they_are_typed(refused, tmp_path):
    for name in SPIKING:
        flag, value = "--" + name.replace("_", "-"), getattr(Experiment(), name)
        assert refused("--model", "lstm", flag, str(value).lower()) == (
            f"{flag} is a setting of spiking networks, which --model lstm is not: leave it out."
        )
    file = tmp_path / "all.yaml"
    file.write_text("threshold: 0.3\nmodel: lstm\n")
    assert parsed("--config", str(file)).threshold == 0.3


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--readout count", "--model gru has no spikes to count: it needs --readout softmax-sum,"),
        ("--match-params nowhere", "--hidden and --match-params both decide the width: give one"),
    ],
)
def test_wrong_flag(flags, sentence, refused):
    assert refused("--model", "gru", *flags.split()).startswith(sentence)


# ------------------------------------------------------------------------------- --match-params


@each
@pytest.mark.parametrize("layers", [1, 2])
def test_width_that_comes_closest(model, layers):
    experiment, info = Experiment(model=model), recall()

    def parameters(width):
        sized = Experiment(model=model, hidden=[width] * layers)
        return learned_parameters(build_network(sized, info))

    counts = {width: parameters(width) for width in range(1, 40)}
    for wanted in (1, 700, 2000, *(counts[7] + shift for shift in (-1, 0, 1))):
        best = min(counts, key=lambda width: abs(counts[width] - wanted))
        found = width_for(wanted, layers, experiment, info)
        assert abs(counts[found] - wanted) == abs(counts[best] - wanted)


def test_matching_a_run(train, tiny, refused, tmp_path, capsys, resumes):
    spiking = train("--hidden", "9,5", name="spiking")
    wanted = json.loads((spiking / "summary.json").read_text())["parameters"]
    without_width = tiny("--model", "lstm", "--epochs", "1")
    at = without_width.index("--hidden")
    del without_width[at : at + 2]
    arguments = [*without_width, "--match-params", str(spiking), "--name", "matched"]
    capsys.readouterr()
    assert main.train(arguments) == 0
    folder = tmp_path / "recall" / "matched"
    hidden = yaml.safe_load((folder / "config.yaml").read_text())["hidden"]
    found = json.loads((folder / "summary.json").read_text())["parameters"]
    assert len(set(hidden)) == 1
    assert len(hidden) == 2
    for width in (hidden[0] - 1, hidden[0] + 1):
        sized = Experiment(model="lstm", hidden=[width] * 2)
        other = learned_parameters(build_network(sized, recall()))
        assert abs(found - wanted) <= abs(other - wanted)
    assert f"\nsize      layers of {hidden[0]}: the width at which" in capsys.readouterr().out
    assert main.train([*arguments, "--resume", "auto", "--name", "again", "--seeds", "2"]) == 0
    assert main.train([*arguments, "--resume", "auto", "--name", "again", "--seeds", "2"]) == 0
    nowhere = [*without_width, "--match-params", str(tmp_path)]
    assert "there is no finished run in this folder" in refused(tiny=lambda: nowhere)
    other = [*without_width, "--match-params", str(spiking), "--dataset", "shd-synth"]
    assert "was made on recall, not on" in refused(tiny=lambda: [*other, "--data", "{}"])
