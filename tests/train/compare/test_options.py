"""The command line of srnn-compare."""

import pytest

from srnn.train import main
from srnn.train.compare.options import CompareOptions, parse_compare
from srnn.train.errors import ConfigError


def parsed(text=""):
    return parse_compare(text.split())


def test_every_model_has_its_own_recipe_and_the_budget_of_the_spiking_network():
    request = parsed("--dataset shd-synth --epochs 3 --threshold 0.5 --batch-size 7")
    assert list(request.experiments) == ["srnn", "rnn", "gru", "lstm"]
    spiking = request.experiments["srnn"]
    assert spiking.threshold == 0.5
    assert spiking.dataset == "shd-synth"
    for model, experiment in request.experiments.items():
        assert experiment.model == model
        assert (experiment.epochs, experiment.batch_size) == (3, 7)
        assert (experiment.data, experiment.hidden) == (spiking.data, spiking.hidden)
    assert len({experiment.lr for experiment in request.experiments.values()}) == 4


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("", "trials", CompareOptions().trials),
        ("--baselines lstm", "baselines", ["lstm"]),
        ("--baselines lstm,gru", "baselines", ["lstm", "gru"]),
        ("--baselines lstm gru --epochs 2", "baselines", ["lstm", "gru"]),
        ("--widths 64 16", "widths", [16, 64]),
        ("--widths 8", "widths", [8]),
        ("--penalties 0.1,2", "penalties", [0.1, 2.0]),
        ("--penalties []", "penalties", []),
        ("--match-accuracy false", "match_accuracy", False),
        ("--measure-energy", "measure_energy", True),
        ("--measure-energy --trials 1", "trials", 1),
        ("--seeds 2 --seed 5", "seeds", 2),
    ],
)
def test_flag(text, name, value):
    assert getattr(parsed(text).options, name) == value


@pytest.mark.parametrize("text", ["--runs a b c --threads 1", "--threads 1 --runs a b c"])
def test_runs(text):
    request = parsed(text)
    assert request.runs == ["a", "b", "c"]
    assert list(request.experiments) == ["srnn"]
    assert request.experiments["srnn"].threads == 1
    assert parsed("--runs=a b").runs == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("--trials 0", "--trials must be positive; got 0."),
        ("--readout count", "--readout count counts spikes, which the baselines have none of"),
        ("--widths 0", "--widths must be positive; got"),
        ("--penalties -1", "--penalties must be positive; got"),
        ("--baselines stpn", "--baselines expects"),
        ("--model lstm", "--model has no place in srnn-compare: --baselines says what is compared"),
        ("--resume auto", "--resume has no place in srnn-compare: the same command goes on where"),
        ("--retrain", "--retrain has no place in srnn-compare: networks are compared as"),
        ("--devices 2", "--devices has no place in srnn-compare: the runs of a comparison take"),
        ("--trails 3", "There is no flag --trails"),
        ("--runs", "--runs needs the folders of finished runs: --runs A B C."),
        ("--runs a --trials 2", "--trials is for networks that are yet to be trained, and --runs"),
        ("--runs a --hidden 8", "--hidden is for networks that are yet to be trained, and --runs"),
        ("--runs a --dataset ecg", "--dataset is for networks that are yet to be trained, and"),
        ("--profile nowhere.yaml", "--profile: [Errno 2] No such file or directory"),
        ("--runs nowhere", "--runs: there is no finished run in nowhere; give folders that"),
    ],
)
def test_wrong_flag(text, sentence, capsys, tmp_path):
    assert main.compare([*text.split(), "--run-dir", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"srnn-compare: {sentence}")
    assert error.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_help_documents_every_flag_of_its_own(capsys):
    with pytest.raises(SystemExit) as exit_:
        parsed("--help")
    assert exit_.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name in vars(CompareOptions()):
        assert f" --{name.replace('_', '-')} " in text
    assert "--runs FOLDER" in text
    with pytest.raises(ConfigError):
        parsed("--hidden eight")
