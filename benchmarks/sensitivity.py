"""How far a player's mind changes when its weights hardly do: is its recurrence chaotic?

    python benchmarks/sensitivity.py runs/pong/mine runs/pong/lstm

A player sees the same stretch of games twice, from the same state: with its own parameters, and
with all but its time constants moved up or down by the same small step. Printed is the divergence
of Kullback and Leibler between the chances of its actions, a mean over games, in the first and the
last 8 of 64 steps. Where it grows along the stretch, and depends little on the size of the step,
single spikes that come or fail to come set off others: what the player does is then decided by
details that no gradient can describe. An update of Adam moves a weight by about the learning rate.
"""

import argparse
from copy import deepcopy
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from srnn.datasets.games import GameInfo, GameSet
from srnn.train.build import Network, build_data
from srnn.train.play_games import steps_of_games
from srnn.train.rescore import restore
from srnn.train.run_folder import RunFolder

BEFORE, STEPS, ENDS = 128, 64, 8


def stretch(network: Network, games: GameSet) -> tuple[Tensor, object]:
    """What 16 games show in a stretch, and the network's state before it."""
    seeds, _ = games.__getitems__(range(16))
    steps = list(islice(steps_of_games(network, games, seeds.tolist()), BEFORE + STEPS))
    return torch.stack([step.seen for step in steps[BEFORE:]]), steps[BEFORE - 1].record.state


@torch.no_grad()
def chances(network: Network, seen: Tensor, state: object) -> Categorical:
    """Chances of the actions at every step."""
    return Categorical(logits=network(seen, state)[0][..., :-1])


@torch.no_grad()
def moved(network: Network, step: float) -> Network:
    """The network with everything but time constants up or down by a step."""
    torch.manual_seed(0)
    other = deepcopy(network)
    for name, parameter in other.named_parameters():
        if not name.endswith(".theta"):
            parameter += step * torch.randint_like(parameter, 2).mul_(2).sub_(1)
    return other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--steps", nargs="+", type=float, default=[1e-6, 1e-5, 1e-4, 1e-3])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| run | step | first 8 steps | last 8 |\n|---|---|---|---|")
    for path in arguments.runs:
        folder = RunFolder(path)
        experiment = folder.read_config()
        splits = build_data(experiment)
        if not isinstance(splits.info, GameInfo):
            parser.error(f"{path} is a run on {splits.info.name}, which is no game.")
        network, _ = restore(folder, experiment, splits.info)
        seen, state = stretch(network, splits.valid)
        own = chances(network, seen, state)
        for step in arguments.steps:
            found = kl_divergence(own, chances(moved(network, step), seen, state)).mean(1)
            ends = found[:ENDS].mean(), found[-ENDS:].mean()
            print(f"| {path.name} | {step:g} | {ends[0]:.1e} | {ends[1]:.1e} |", flush=True)


if __name__ == "__main__":
    main()
