"""From flags, recipes and files to an experiment."""

from dataclasses import asdict, fields

import pytest
import yaml

from srnn.datasets import DATASETS, Info
from srnn.datasets.games import GameInfo
from srnn.train.build import build_network
from srnn.train.cli import RECIPES, parse
from srnn.train.config import Experiment, flag
from srnn.train.errors import ConfigError

MODELS = ("rnn", "gru", "lstm", "stpn", "m-stpn", "fast-weights")
RECIPE_NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))


def parsed(*flags):
    return parse(list(map(str, flags)))[0]


def made_up(streaming):
    """What a data set says of itself, where its files are not at hand."""
    classes = tuple("abcdef")
    return Info("name", "Title", 4, 30, classes, streaming, *("text",) * 5)


def made_up_game():
    """A game whose screen just suffices for the convolutions of the recipes."""
    said = vars(made_up(True)) | {"channels": 400}
    return GameInfo(**said, shape=(1, 20, 20))


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_recipe(name):
    experiment = parsed("--config", name)
    if name in DATASETS:
        assert experiment.dataset == name
        assert parsed("--dataset", name) == experiment
    sees_screens = experiment.encoder.startswith("conv")
    info = made_up_game() if sees_screens else made_up(experiment.readout == "stream")
    network = build_network(experiment, info)
    assert len(network.layers) == len(experiment.hidden)
    assert network.readout.projection.in_features == experiment.hidden[-1]


def test_every_recipe_says_what_it_is_and_every_data_set_has_one():
    named = {}
    for name in RECIPE_NAMES:
        text = (RECIPES / f"{name}.yaml").read_text()
        assert text.startswith("# ")
        settings = yaml.safe_load(text)
        named[name] = settings.get("dataset")
        model = settings.get("model")
        if model is not None:  # found by the names of data set and model, or of the model alone
            assert name == (f"{named[name]}-{model}" if named[name] else model)
    assert {name for name, dataset in named.items() if dataset is None} == set(MODELS)
    assert named.pop("gym") == "gym:CartPole-v1"  # the recipe of all its members
    assert set(named.values()) - {None} == set(DATASETS)
    assert all(named[dataset] == dataset for dataset in DATASETS)


def test_games_and_environments_have_flags_of_their_own():
    assert parsed("--game", "breakout") == parsed("--dataset", "atari:breakout")
    assert parsed("--env", "CartPole-v1") == parsed("--dataset=gym:CartPole-v1")
    # By the recipes of Pong.
    seaquest, pong = (
        parsed("--dataset", name, "--model", "lstm") for name in ("atari:seaquest", "pong")
    )
    assert vars(seaquest) == vars(pong) | {"dataset": "atari:seaquest"}


def test_settings_of_games_are_refused_elsewhere():
    for dataset, name in (("recall", "trace"), ("maze", "passes"), ("pong", "certainty_weight")):
        with pytest.raises(ConfigError, match=f"{flag(name)} is a setting of other tasks"):
            parse(["--dataset", dataset, flag(name), "1"])


def test_help_documents_every_setting(capsys):
    with pytest.raises(SystemExit) as exit_:
        parse(["--help"])
    assert exit_.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in fields(Experiment):
        section = text.split(f" {flag(field.name)} ", 1)[1]
        documentation = section.split("(type:")[0].split("} ")[-1]
        assert "." in documentation, f"{field.name} is not documented"
        assert f"--{field.name} " not in text or "_" not in field.name


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        ("--batch-size 7", "batch_size", 7),
        ("--batch_size 7", "batch_size", 7),
        ("--batch-size=7", "batch_size", 7),
        ("--feedforward", "feedforward", True),
        ("--feedforward --epochs 3", "feedforward", True),
        ("--feedforward false", "feedforward", False),
        ("--learn-tau=false", "learn_tau", False),
        ("--hidden 128,64", "hidden", [128, 64]),
        ("--hidden 128 64", "hidden", [128, 64]),
        ("--hidden 128, 64", "hidden", [128, 64]),
        ("--hidden [128, 64]", "hidden", [128, 64]),
        ("--hidden 128 64 --epochs 3", "hidden", [128, 64]),
        ("--hidden [128,64]", "hidden", [128, 64]),
        ("--hidden=128,64", "hidden", [128, 64]),
        ("--hidden 128", "hidden", [128]),
        ("--lr 1e-4", "lr", 1e-4),
        ("--epochs 3 --epochs 4", "epochs", 4),
        ("--tau-mem 12", "tau_mem", "12"),
        ("--tau-mem uniform(5,25)", "tau_mem", "uniform(5,25)"),
        # The recipe's options of the data stay, where they are not given.
        ("--data.train 5 --data.segments 3", "data", {"train": 5, "segments": 3}),
        ("--data.train 5", "data", {"train": 5, "segments": 20}),
        ("--dataset smnist --data.encoding window", "data", {"encoding": "window"}),
    ],
)
def test_flag(flags, name, value):
    assert getattr(parsed(*flags.split()), name) == value


def test_a_later_source_wins(tmp_path):
    file, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    file.write_text("lr: 0.5\nepochs: 7\nbatch_size: 8\n")
    other.write_text("epochs: 9\n")
    recipe = parsed("--dataset", "recall")
    assert parsed("--seed", 3).hidden == recipe.hidden == [64] != Experiment().hidden
    assert Experiment().lr != recipe.lr
    chosen = parsed("--config", file, "--lr", 0.25)
    assert (chosen.lr, chosen.epochs, chosen.hidden) == (0.25, 7, recipe.hidden)
    assert parsed("--config", file, "--config", other).epochs == 9


def test_the_data_set_of_a_file_decides_the_recipe(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("dataset: ecg\n")
    assert parsed("--config", file) == parsed("--dataset", "ecg")
    assert parsed("--config", file, "--dataset", "recall") == parsed("--dataset", "recall")
    with pytest.raises(ConfigError, match="There is no recipe 'ecgg'"):
        parsed("--config", "ecgg")


def test_printed_configuration_is_the_experiment(capsys, tmp_path):
    flags = ("--tau-mem", 12, "--hidden", "9,8", "--data.noise", 0.2, "--feedforward", "--lr", 0.5)
    with pytest.raises(SystemExit) as exit_:
        parsed(*flags, "--print-config")
    assert exit_.value.code == 0
    file = tmp_path / "printed.yaml"
    file.write_text(capsys.readouterr().out)
    assert asdict(parsed("--config", file)) == asdict(parsed(*flags))


def test_a_run_is_repeated_from_its_configuration(train, tmp_path):
    from srnn.train.main import train as command

    folder = train("--tau-mem", "uniform(5,25)", "--seed", 3)
    file = folder / "config.yaml"
    again = tmp_path / "recall" / "again"
    assert command(["--config", str(file), "--name", "again"]) == 0
    assert (again / "metrics.csv").read_bytes() == (folder / "metrics.csv").read_bytes()
    assert (again / "config.yaml").read_bytes() == file.read_bytes()


def test_the_seed_decides_a_run(train):
    def table(name, *flags):
        return (train(*flags, name=name) / "metrics.csv").read_bytes()

    first = table("first")
    assert table("second") == first
    assert table("third", "--seed", 1) != first


def test_only_what_changes_the_result_is_fixed_on_resume(train, tmp_path):
    folder = train("--epochs", 1, "--schedule", "constant")
    given, found = parse(
        ["--resume", str(folder), "--log-every", "5", "--epochs", "3", "--num-workers", "1"]
    )
    assert found.path == folder
    assert (given.log_every, given.epochs, given.hidden) == (5, 3, [8])
    auto = ["--run-dir", str(tmp_path), "--resume", "auto"]
    assert parse([*auto, "--name", "run"])[1] == found
    assert parse(auto)[1] is None  # it has finished
    (folder / "summary.json").unlink()
    assert parse(auto)[1] == found
