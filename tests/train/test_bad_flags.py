"""Wrong flags, settings and recipes: exit code 2 and one sentence that says what is wrong."""

import importlib.util
import sys

import pytest
import torch

from srnn.train import main


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--batchsize 3", "There is no flag --batchsize; did you mean --batch-size?"),
        ("--xyzzy 3", "There is no flag --xyzzy; see --help."),
        ("stray", "'stray' is not the value of any flag; see --help."),
        ("--dataset smnits", "There is no dataset 'smnits': did you mean 'smnist'?"),
        ("--data.foo 3", "The dataset 'recall' has no option 'foo'"),
        ("--data 5", "--data expects dict, got 5."),
        ("--neuron foo", "--neuron expects one of alif, lif, got foo."),
        ("--lr abc", "--lr expects float, got abc."),
        ("--hidden 8,x", "--hidden expects int, got x."),
        ("--hidden 8,0", "--hidden needs at least one layer, and at least one neuron in each"),
        ("--hidden []", "--hidden needs at least one layer"),
        ("--feedforward maybe", "--feedforward expects bool, got maybe."),
        ("--tau-mem -3", "--tau-mem: A time constant must be positive, got -3"),
        ("--tau-adapt normal(20,-5)", "--tau-adapt: 'normal(20,-5)' is not a distribution"),
        ("--tau-readout nonsense", "--tau-readout: 'nonsense' is not a distribution"),
        ("--batch-size 0", "--batch-size must be positive; got 0."),
        ("--lr -0.1", "--lr must be positive; got -0.1."),
        ("--lr 0", "--lr must be positive; got 0.0."),
        ("--lr nan", "--lr expects float, got nan."),
        ("--lr inf", "--lr expects float, got inf."),
        ("--tbptt -1", "--tbptt must not be negative; got -1."),
        ("--log-every 0", "--log-every must be positive; got 0."),
        ("--surrogate foo", "--surrogate 'foo' is unknown; choose from"),
        ("--surrogate triangle(foo=3)", "--surrogate 'triangle(foo=3)' is unknown"),
        ("--readout stream", "recall has one label a sequence: it needs --readout softmax-sum"),
        ("--readout median", "--readout expects one of softmax-sum"),
        ("--threads 100000", "--threads 100000 is too many: this run may use"),
        ("--name a/b", "--name must be the name of a folder, without slashes; got 'a/b'."),
        ("--name ..", "--name must be the name of a folder"),
        ("--config nowhere.yaml", "There is no recipe 'nowhere.yaml': give the path of a YAML"),
        ("--resume nowhere", "--resume nowhere: there is no run with a checkpoint in this folder"),
        ("--num-nodes 2", "A run on several nodes needs a --name that all of them know."),
        ("--accelerator cuda", "--accelerator cuda: this machine has no such device"),
        ("--input-gain -1", "--input-gain must be positive; got -1.0."),
        ("--seed 4294967296", "--seed must be below 2**32; got 4294967296."),
        ("--burn-in 24", "--burn-in 24 leaves nothing of sequences of 24 steps."),
        ("--burn-in 3 --readout last", "--readout last sums nothing, which --burn-in 3, typed or"),
        ("--surrogate triangle(width=0)", "--surrogate 'triangle(width=0)' is unknown"),
        ("--seeds 2 --resume auto", "--resume with --seeds goes with auto and a --name"),
        ("--seeds 2 --devices 2", "--seeds makes one run after another, on one device"),
    ],
)
def test_wrong_flag(flags, sentence, refused, tmp_path):
    if "cuda" in flags and torch.cuda.is_available():
        pytest.skip("this machine has the device whose absence is tested")
    assert refused(*flags.split()).startswith(sentence)
    assert not any(tmp_path.glob("recall/*"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("epoch: 3\n", "has a setting 'epoch', which does not exist; did you mean epochs?"),
        ("1: 3\n", "has a setting 1, which does not exist; see --help for those there are."),
        ("- epochs\n", "must hold settings, one `key: value` a line."),
        ("epochs\n", "must hold settings, one `key: value` a line."),
        ("epochs: [\n", "cannot be read as YAML: "),
        (b"\xff\xfe\xff", "cannot be read as YAML: "),
    ],
)
def test_wrong_recipe(content, sentence, refused, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert refused("--config", recipe).startswith(f"{recipe} {sentence}")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("lr: fast", "--lr expects float, got fast."),
        ("lr: .nan", "--lr must be positive; got nan."),
        ("lr: .inf", "--lr must be a finite number; got inf."),
        ("model: [lstm]", "--model expects a name, got ['lstm']."),
        ("name: 5", "--name expects str or null, got 5."),
        (
            "wandb: off",
            "--wandb expects one of off, offline, online, got False; in a file, put it in quotes: "
            '"off".',
        ),
    ],
)
def test_wrong_value_in_a_recipe(setting, sentence, refused, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"{setting}\n")
    assert refused("--config", recipe) == sentence


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("dataset: 5", "--dataset expects a name, got 5."),
        ("dataset: [shd]", "--dataset expects a name, got ['shd']."),
        ("epochs: null", "--epochs needs a value, got null."),
    ],
)
def test_wrong_value_in_a_recipe_alone(setting, sentence, refused, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"{setting}\n")
    assert refused("--config", recipe, tiny=lambda *flags: [*map(str, flags)]) == sentence


def test_a_data_folder_that_is_not_there(refused):
    flags = ["--dataset", "ecg", "--data-dir", "nowhere", "--threads", "1"]
    sentence = refused(*flags, tiny=lambda *flags: flags)
    assert sentence.startswith("The data folder nowhere does not exist")


def test_a_run_that_exists(refused, train):
    folder = train("--epochs", 1, "--schedule", "constant")
    before = (folder / "metrics.csv").read_bytes()
    assert refused("--name", "run") == (
        f"The run {folder} exists already (it has finished): choose another --name for a new one."
    )
    assert (folder / "metrics.csv").read_bytes() == before


def test_going_on_with_another_setting(refused, train):
    folder = train("--epochs", 1, "--schedule", "constant")
    assert refused("--resume", folder, "--lr", 0.1) == (
        "The run was started with --lr 0.05 and cannot go on with 0.1: leave the flag out, "
        "or start a new run."
    )


def test_going_on_with_an_edited_file(refused, train, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("lr: 0.1\nname: null\nresume: null\n")
    train("--config", file)
    file.write_text("lr: 0.2\nname: null\nresume: null\n")
    assert "started with --lr 0.1 and cannot go on with 0.2" in refused(
        "--name", "run", "--resume", "auto", "--config", file
    )


def test_going_on_where_the_rate_falls_over_the_epochs(refused, train):
    folder = train("--epochs", 1, "--schedule", "linear")
    assert "falls over --epochs 1 (--schedule linear)" in refused("--resume", folder)


def test_going_on_for_more_epochs(train, outcome):
    flags = ("--schedule", "constant", "--name")
    train(*flags, "run", "--epochs", 1)
    longer = train("--schedule", "constant", "--resume", "auto")
    whole = train("--schedule", "constant", name="whole")
    assert outcome(longer) == outcome(whole)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "There is no run in nowhere: give a folder that srnn-train made."),
        ([], "the following arguments are required: run"),
        (["--runn", "x"], "There is no flag --runn; see --help."),
    ],
)
def test_wrong_flag_of_eval(arguments, sentence, refused):
    assert refused(*arguments, command=main.evaluate, tiny=lambda *flags: flags) == sentence


@pytest.mark.parametrize("package", ["lightning", "rich"])
def test_a_missing_extra(package, refused, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(main, "find_spec", lambda name: None if name == package else found(name))
    assert refused() == f'{package} is missing: pip install "srnn[train]" brings it.'


def test_wandb_that_is_missing(refused, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr("lightning.pytorch.loggers.wandb._WANDB_AVAILABLE", False)
    assert refused("--wandb", "offline") == (
        '--wandb needs the wandb extra: pip install "srnn[wandb]".'
    )
    assert not any(tmp_path.glob("recall/*"))
