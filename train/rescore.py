"""Scoring a run again, from its folder: what srnn-eval does."""

from dataclasses import replace

from srnn.datasets import Info

from .build import Network, build_data, build_network
from .config import Experiment, kind_of_task
from .console import Console
from .errors import ConfigError
from .evaluation import repeatable
from .report import score_rows
from .run_folder import RunFolder
from .tasks import task_of
from .threads import choose_threads
from .weights import load_weights


def evaluate_run(
    folder: RunFolder, data_dir: str | None, games: int | None, console: Console
) -> dict[str, float]:
    """Score a finished or interrupted run again.

    Args:
        folder: its folder.
        data_dir: folder of the data sets, if it is another one now.
        games: how many games to play, for a player of games; None for those of the run.
        console: where to speak.

    Returns:
        The scores on the test set.

    Raises:
        ConfigError: if the folder holds no run, one that does not fit its data, or one that plays
            no games, and a number of them is given.
        DataError: for data that are missing or damaged.
    """
    experiment = folder.read_config()
    if data_dir is not None:
        experiment = replace(experiment, data_dir=data_dir)
    # How many processes and threads it was trained with says nothing about this machine.
    experiment = replace(experiment, threads=0, devices=1, num_nodes=1, num_workers=0)
    splits = build_data(experiment)
    choose_threads(experiment, splits.info.channels)
    folder.check_drawn(splits.train.drawn)
    network, origin = restore(folder, experiment, splits.info)
    if kind_of_task(experiment.dataset) == "games":
        from .rescore_games import score_games

        console.line(f"{splits.info.title}: weights of {origin}")
        with repeatable(network):
            return score_games(network, experiment, games, console)
    if games is not None:
        raise ConfigError(f"--games: {splits.info.title} is no game; leave the flag out.")
    with repeatable(network):
        tested = task_of(splits.test).evaluate(network, experiment.batch_size)
    console.line(f"{splits.info.title}: {tested.sequences} test sequences, weights of {origin}")
    for title, value in score_rows(tested.scores, splits.info.caveat):
        console.line(f"test {title:18} {value}")
    if tested.rates:
        console.line(f"spikes a sequence       {tested.spikes:.0f}")
    return tested.scores


def restore(folder: RunFolder, experiment: Experiment, info: Info) -> tuple[Network, str]:
    """Make the network that a run ended with, or has come to.

    Args:
        folder: the run's folder.
        experiment: its settings.
        info: its data.

    Returns:
        The network, and of which epoch its weights are.

    Raises:
        ConfigError: if there is no checkpoint, or it is one of another network.
    """
    network = build_network(experiment, info)
    # The weights of a retraining that was interrupted are those of some epoch that nothing chose.
    if experiment.retrain and folder.finished():
        epoch = load_weights(network, folder.retraining.last)
        return network, f"epoch {epoch} of the retraining"
    return network, f"epoch {load_weights(network, folder.best)}, the best on validation"
