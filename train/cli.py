"""From a command line to an experiment: flags, recipes, files, and what a resumed run keeps.

Settings are taken, in this order, from the defaults in :mod:`srnn.train.config`, the data set's
recipe, for a baseline that of its model and that of both (``lstm.yaml``, ``smnist-lstm.yaml``), the
file given with ``--config``, and the flags; a later one wins. A resumed run takes its own saved
configuration in place of the recipes.
"""

import difflib
import re
from argparse import HelpFormatter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, set_parsing_settings

from .config import GROUPS, MAY_CHANGE, SPIKING, Experiment, flag, useless
from .errors import ConfigError
from .run_folder import CONFIG, RunFolder, newest_unfinished, read_yaml

RECIPES = Path(str(resources.files("srnn.train.recipes")))
"""Folder of the recipes that come with the package."""

_BOOLEAN = {f.name for f in fields(Experiment) if f.type is bool}
LISTS = {"hidden": r"[\d,\]]+"}
"""Flags of srnn-train that take several values, and what a further one looks like."""
_NAMES = [f.name for f in fields(Experiment)]
_FAMILIES = {"game": "atari", "env": "gym"}
"""Flags that are short for a data set of a family: --game breakout is --dataset atari:breakout."""


class Parser(ArgumentParser):
    """jsonargparse's parser, with dashes in its help and one-sentence errors."""

    def format_help(self, formatter: HelpFormatter | None = None) -> str:
        """Format the help."""
        text = super().format_help(formatter)
        # Where the defaults below come from; said better in the epilogue.
        text = re.sub(r"default config file locations:.*?\n\n(?=\w)", "", text, flags=re.DOTALL)
        return re.sub(r"--[a-z]\w*", lambda match: match[0].replace("_", "-"), text)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise a :class:`ConfigError`."""
        flags = [name for action in self._actions for name in action.option_strings]
        raise ConfigError(_sentence(message, [name.replace("_", "-") for name in flags]))


def _sentence(message: str, flags: Sequence[str]) -> str:
    """Turn a message of the parser into one sentence that names the flag."""
    text = " ".join(message.split())
    if match := re.match(r"unrecognized arguments: (\S+)", text):
        given = match[1].split("=")[0].replace("_", "-")
        if not given.startswith("--"):
            return f"{given!r} is not the value of any flag; see --help."
        near = difflib.get_close_matches(given, flags, n=1)
        return f"There is no flag {given}; " + (
            f"did you mean {near[0]}?" if near else "see --help."
        )
    if match := re.search(r'Parser key "(\w+)[^"]*".*?Expected an? (.*)\. Got value: (.*)', text):
        name, expected, value = match.groups()
        expected = re.sub(r"<class '(\w+)'>", r"\1", expected)
        expected = re.sub(r"typing\.Literal\[(.*)\]", r"one of \1", expected).replace("'", "")
        # YAML takes on, off, yes and no for these, unless they are quoted.
        quotes = '; in a file, put it in quotes: "off"' if value in ("True", "False") else ""
        return f"{flag(name)} expects {expected}, got {value}{quotes}."
    if match := re.search(r'Parser key "(\w+)".*Subtypes: \[(.*?)\].*Given value: (.*)', text):
        name, kinds, value = match.groups()
        expected = " or ".join(re.findall(r"<class '(\w+)'>", kinds)).replace("NoneType", "null")
        return f"{flag(name)} expects {expected}, got {value}."
    return text


def _parser(defaults: Sequence[Path]) -> Parser:
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = Parser(
        prog="srnn-train",
        usage="srnn-train [--dataset NAME] [--config FILE] [flags]",
        description="Train a spiking recurrent network. Everything has a default: `srnn-train` "
        "alone trains on the recall task, which needs no download.",
        epilog="The defaults are those of the recipes of the data set and the model. Flags work "
        "with dashes and with underscores.",
        default_config_files=[str(file) for file in defaults],
        print_config="--print_config",
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("--config", action="config", help="Recipe: a YAML file of flags.")
    for group in GROUPS:
        parser.add_class_arguments(group)
    return parser


def normalise(
    arguments: Sequence[str],
    booleans: Collection[str] = (),
    lists: Mapping[str, str] = LISTS,
) -> list[str]:
    """Bring flags into the parser's form: underscores, bare booleans, lists without brackets.

    Args:
        arguments: as they were typed.
        booleans: names of more flags that may stand without a value.
        lists: flags that take several values, and what a further one looks like.
    """
    normal: list[str] = []
    queue = list(arguments)
    while queue:
        argument = queue.pop(0)
        if not argument.startswith("--"):
            normal.append(argument)
            continue
        name, equals, value = argument[2:].partition("=")
        name = name.replace("-", "_")
        if not equals and queue and not queue[0].startswith("--"):
            value, equals = queue.pop(0), "="
        if (name in _BOOLEAN or name in booleans) and not equals:
            value, equals = "true", "="
        if name in lists:
            while queue and re.fullmatch(lists[name], queue[0]):
                value += "," + queue.pop(0)
            value = f"[{','.join(re.findall('[^][, ]+', value))}]"
        if name == "config":
            value = str(_recipe_file(value))
        if name in _FAMILIES:
            name, value = "dataset", f"{_FAMILIES[name]}:{value}"
        normal.append(f"--{name}{equals}{value}")
    # Files first, so that flags win wherever they stand.
    return sorted(normal, key=lambda argument: not argument.startswith("--config="))


def _recipe_file(name: str) -> Path:
    """Find a recipe: a file, or one that comes with the package."""
    for path in (Path(name), RECIPES / name, RECIPES / f"{name}.yaml"):
        if path.is_file():
            return path
    known = ", ".join(sorted(path.stem for path in RECIPES.glob("*.yaml")))
    raise ConfigError(
        f"There is no recipe {name!r}: give the path of a YAML file, or one of the package's own "
        f"({known})."
    )


def _value_of(name: str, arguments: Sequence[str]) -> str | None:
    """Look a setting up before flags are parsed: in files and flags, of which the last one wins."""
    found = None
    for argument in arguments:
        key, _, value = argument[2:].partition("=")
        if key == "config":
            found = read_yaml(Path(value)).get(name, found)
        if key == name:
            found = value
    return found


def parse(arguments: Sequence[str]) -> tuple[Experiment, RunFolder | None]:
    """Read a command line.

    Args:
        arguments: what follows the command's name.

    Returns:
        The experiment, and the folder of the run to go on with, or None for a new run.

    Raises:
        ConfigError: for a wrong flag, value, recipe or run to resume.
        SystemExit: after ``--help`` and ``--print-config``.
    """
    normal = normalise(arguments)
    experiment = _parse_with(_recipes(normal), normal)
    folder = _to_resume(experiment)
    if folder is None:
        _refuse_useless(experiment, normal)
        return experiment, None
    saved = folder.path / CONFIG
    resumed = _parse_with([saved], normal)
    refuse_changes(folder.read_config(), resumed)
    return resumed, folder


_LIKE = {"atari": "pong"}
"""Families of data sets without recipes of their own, and those whose recipes they take."""


def _recipes(arguments: Sequence[str]) -> list[Path]:
    """Find the recipes of a data set and a model; a later one goes before an earlier one."""
    dataset = _value_of("dataset", arguments) or Experiment.dataset
    model = _value_of("model", arguments) or Experiment.model
    for name, value in {"dataset": dataset, "model": model}.items():
        if not isinstance(value, str):
            raise ConfigError(f"{flag(name)} expects a name, got {value!r}.")
    family = dataset.partition(":")[0]
    family = _LIKE.get(family, family)
    return [
        file
        for name in (family, model, f"{family}-{model}")
        if (file := RECIPES / f"{name}.yaml").is_file()
    ]


def _refuse_useless(experiment: Experiment, arguments: Sequence[str]) -> None:
    """Check that every flag that was typed has a meaning; files may hold more than is used."""
    typed = [argument[2:].partition("=")[0] for argument in arguments]
    for name in typed:
        if experiment.model != "srnn" and name in SPIKING:
            raise ConfigError(
                f"{flag(name)} is a setting of spiking networks, which --model {experiment.model} "
                "is not: leave it out."
            )
        if name in useless(experiment.dataset):
            raise ConfigError(
                f"{flag(name)} is a setting of other tasks and means nothing for --dataset "
                f"{experiment.dataset}: leave it out."
            )
    if "hidden" in typed and experiment.match_params is not None:
        raise ConfigError("--hidden and --match-params both decide the width: give one of them.")


def parse_eval(arguments: Sequence[str]) -> tuple[RunFolder, str | None, int | None]:
    """Read the command line of ``srnn-eval``.

    Returns:
        The folder of the run, the folder of the data sets if one was given, and likewise a number
        of games.

    Raises:
        ConfigError: for a wrong flag, or a folder without a run.
        SystemExit: after ``--help``.
    """
    parser = _run_parser("srnn-eval", "Score a run again on its test set, from its folder.")
    parser.add_argument("--data_dir", type=str | None, help="Folder of the data sets, if it moved.")
    parser.add_argument(
        "--games", type=int | None, help="How many games to play, for a player of games."
    )
    given, folder = _parse_run(parser, arguments)
    if given.games is not None and given.games < 1:
        raise ConfigError(f"--games must be positive; got {given.games}.")
    return folder, given.data_dir, given.games


def parse_watch(arguments: Sequence[str]) -> tuple[RunFolder, int, int]:
    """Read the command line of ``srnn-watch``.

    Returns:
        The folder of the run, the number of the game, and the most steps of it to show.

    Raises:
        ConfigError: for a wrong flag, or a folder without a run.
        SystemExit: after ``--help``.
    """
    parser = _run_parser(
        "srnn-watch", "Write a film of a game that a run's network plays, beside its raster."
    )
    parser.add_argument("--game_number", type=int, default=0, help="Which of the test games.")
    parser.add_argument("--steps", type=int, default=300, help="Steps to show, from the first on.")
    given, folder = _parse_run(parser, arguments)
    if given.steps < 1:
        raise ConfigError(f"--steps must be positive; got {given.steps}.")
    return folder, given.game_number, given.steps


def _run_parser(command: str, description: str) -> Parser:
    """A parser of a command that is given the folder of a run."""
    parser = Parser(prog=command, description=description, exit_on_error=False)
    parser.add_argument("run", type=str, help="Folder of the run.")
    return parser


def _parse_run(parser: Parser, arguments: Sequence[str]) -> tuple[Any, RunFolder]:
    """Read such a command's line: what was given, and the folder, in which there is a run."""
    underscored = [
        re.sub("^--[a-z-]+", lambda match: "--" + match[0][2:].replace("-", "_"), argument)
        for argument in arguments
    ]
    given = parser.parse_args(underscored)
    folder = RunFolder(Path(given.run))
    if not (folder.path / CONFIG).is_file():
        raise ConfigError(f"There is no run in {folder.path}: give a folder that srnn-train made.")
    return given, folder


def _parse_with(defaults: list[Path], arguments: list[str]) -> Experiment:
    files = [Path(a.removeprefix("--config=")) for a in arguments if a.startswith("--config=")]
    for file in [*defaults, *files]:
        for name in read_yaml(file):
            if name not in _NAMES:
                near = difflib.get_close_matches(str(name), _NAMES, n=1)
                hint = f"did you mean {near[0]}?" if near else "see --help for those there are."
                raise ConfigError(f"{file} has a setting {name!r}, which does not exist; {hint}")
    settings = _parser(defaults).parse_args(arguments).as_dict()
    for option in fields(Experiment):
        if settings[option.name] is None and "None" not in str(option.type):
            raise ConfigError(f"{flag(option.name)} needs a value, got null.")
    return Experiment(**{name: settings[name] for name in _NAMES})


def _to_resume(experiment: Experiment) -> RunFolder | None:
    """Find the run that --resume means."""
    if experiment.resume is None or experiment.seeds > 1:  # several runs: each looks for its own
        return None
    runs = Path(experiment.run_dir) / experiment.dataset
    if experiment.resume == "auto":
        if experiment.name is None:
            return newest_unfinished(runs)
        folder = RunFolder(runs / experiment.name)
        return folder if folder.resumable() else None
    folder = RunFolder(Path(experiment.resume))
    if not folder.resumable():
        raise ConfigError(
            f"--resume {experiment.resume}: there is no run with a checkpoint in this folder; give "
            "the folder that srnn-train printed, or start anew without --resume."
        )
    return folder


def refuse_changes(saved: Experiment, given: Experiment) -> None:
    """Check that a run that goes on is still the same experiment.

    Raises:
        ConfigError: if a setting differs that decides its result.
    """
    if given.epochs != saved.epochs and saved.schedule in ("linear", "cosine"):
        raise ConfigError(
            f"The run's learning rate falls over --epochs {saved.epochs} (--schedule "
            f"{saved.schedule}), which can therefore not become {given.epochs}: leave the flag "
            "out, or start a new run."
        )
    for name, value in asdict(saved).items():
        if name not in MAY_CHANGE and getattr(given, name) != value:
            raise ConfigError(
                f"The run was started with {flag(name)} {value} and cannot go on with "
                f"{getattr(given, name)}: leave the flag out, or start a new run."
            )
