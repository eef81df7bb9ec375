"""How far a player's mind changes when its weights hardly do: is its recurrence chaotic?

    python benchmarks/sensitivity.py runs/pong/mine runs/pong/lstm

A player sees the same stretch of games twice, from the same state: with its own weights, and with
every weight and bias moved up or down by the same small step. Printed is the divergence of Kullback
and Leibler between the chances of its actions, a mean over games, in the first and the last 8 of 64
steps. Where it grows along the stretch, and depends little on the size of the step, single spikes
that come or fail to come set off others: what the player does is then decided by details that no
gradient can describe. An update of Adam moves a weight by about the learning rate.
"""

import argparse
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

STEPS = 64
ENDS = 8


def stretch(network: Network, games: GameSet, skip: int) -> tuple[Tensor, object]:
    """What 16 games show in a stretch, and the network's state before it."""
    seeds, _ = games.__getitems__(range(16))
    steps = list(islice(steps_of_games(network, games, seeds.tolist()), skip + STEPS))
    return torch.stack([step.seen for step in steps[skip:]]), steps[skip - 1].record.state


@torch.no_grad()
def moved(network: Network, step: float) -> None:
    """Move every weight and bias up or down by a step."""
    for name, parameter in network.named_parameters():
        if name.endswith(("weight", "bias")) or "weight_" in name or "bias_" in name:
            parameter += step * torch.randint_like(parameter, 2).mul_(2).sub_(1)


@torch.no_grad()
def divergence(network: Network, seen: Tensor, state: object, step: float) -> Tensor:
    """Divergence at every step, a mean over games, [steps]."""
    own = {name: value.clone() for name, value in network.state_dict().items()}
    before = Categorical(logits=network(seen, state)[0][..., :-1])
    moved(network, step)
    after = Categorical(logits=network(seen, state)[0][..., :-1])
    network.load_state_dict(own)
    return kl_divergence(before, after).mean(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--steps", nargs="+", type=float, default=[1e-6, 1e-5, 1e-4, 1e-3])
    parser.add_argument("--skip", type=int, default=128, help="steps of the games before")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| run | step | first 8 steps | last 8 |\n|---|---|---|---|")
    for path in arguments.runs:
        folder = RunFolder(path)
        experiment = folder.read_config()
        splits = build_data(experiment)
        assert isinstance(splits.info, GameInfo), "a run of a game"
        network, _ = restore(folder, experiment, splits.info)
        seen, state = stretch(network, splits.valid, arguments.skip)
        for step in arguments.steps:
            torch.manual_seed(0)
            found = divergence(network, seen, state, step)
            ends = found[:ENDS].mean(), found[-ENDS:].mean()
            print(f"| {path.name} | {step:g} | {ends[0]:.1e} | {ends[1]:.1e} |", flush=True)


if __name__ == "__main__":
    main()
