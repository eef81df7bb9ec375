"""What the README tells people to type works."""

import re
import shlex
from pathlib import Path

import pytest

from srnn.train.cli import parse
from srnn.train.compare.options import parse_compare

README = Path(__file__).parents[1] / "README.md"
DOCUMENTS = [README, *sorted((README.parent / "docs").glob("*.md"))]


def blocks(language):
    return [
        block
        for path in DOCUMENTS
        for block in re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)
    ]


COMMANDS = [line.split("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]
TRAININGS = [c for c in COMMANDS if "srnn-train" in c]
COMPARISONS = [c for c in COMMANDS if c.startswith("srnn-compare")]


def test_the_first_two_commands_are_those_that_ci_runs():
    assert COMMANDS[0] == 'pip install -e ".[all]" && srnn-train --dataset shd-synth'
    assert COMMANDS[1] == 'pip install -e ".[all,test]" && pytest -n auto'


@pytest.mark.parametrize("command", TRAININGS)
def test_a_training_command_is_understood(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # What an earlier line of the README has written:
    Path("mine.yaml").write_text("epochs: 3\n")
    words = shlex.split(command.split("srnn-train", 1)[1].split(">")[0])
    if "--print-config" in words:
        with pytest.raises(SystemExit):
            parse(words)
        assert "epochs:" in capsys.readouterr().out
        return
    experiment, resumed = parse(words)
    assert resumed is None
    for flag, family in (("game", "atari"), ("env", "gym")):
        command = re.sub(rf"--{flag} (\S+)", rf"--dataset {family}:\1", command)
    dataset = re.search(r"--dataset (\S+)", command)
    expected = "shd" if "--config shd-small" in command else "recall"
    assert experiment.dataset == (dataset[1] if dataset else expected)


@pytest.mark.parametrize("command", COMPARISONS)
def test_a_comparison_is_understood(command):
    request = parse_compare(shlex.split(command)[1:])
    dataset = re.search(r"--dataset (\S+)", command)
    if dataset:
        assert {e.dataset for e in request.experiments.values()} == {dataset[1]}
    else:
        assert request.runs


@pytest.mark.parametrize("code", blocks("python"))
def test_python_in_the_documents_runs(code):
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target
