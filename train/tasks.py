"""What is different from task to task: how one learns it, how it is scored, what there is to see.

Most tasks are sequences with labels. In others a network brings its sequences about by acting: the
episodes of the maze, which all have the same length and are learned from whole; and games, which
are played on and on, side by side. Everything else that an experiment does is the same for all.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from srnn import detach
from srnn.datasets import SequenceDataset, SequenceLoader
from srnn.datasets.maze_episodes import MazeEpisodes

from .actor_critic import ActorCritic
from .build import Network
from .config import Experiment
from .console import with_caveat
from .errors import ConfigError
from .evaluation import Evaluation, Firing
from .learner import Learner
from .module import SequenceClassifier
from .play import play_the_same
from .report import format_score
from .scores import Rewards, Scores, criterion
from .signals import for_network


class Task(Protocol):
    """A way to learn from a data set, or a part of one.

    Attributes:
        per: what energies are told for, a "sample" or a "step": where sequences differ in length,
            and a good player brings about long ones, only a step can be compared.
    """

    per: str

    def form(self, network: Network, device: torch.device) -> SequenceDataset:
        """The data in the form in which their batches reach the learner."""
        ...

    def learner(self, network: Network, options: Experiment, total_steps: int) -> Learner:
        """What trains a network on the data."""
        ...

    def rehearse(self, network: Network, options: Experiment) -> None:
        """Compute what a training batch takes, for its time; nothing random is drawn."""
        ...

    def evaluate(self, network: Network, batch_size: int) -> Evaluation:
        """Score a network, on the device that it is on."""
        ...

    def sequence(self, network: Network, index: int) -> tuple[Tensor, Callable[[Tensor], str]]:
        """One sequence, [time, 1, channels], and what to say of the network's outputs to it."""
        ...

    def observed(self, network: Network, batch_size: int) -> Iterator[Tensor]:
        """All sequences that the network is given or brings about, [time, batch, channels]."""
        ...


def task_of(dataset: SequenceDataset) -> Task:
    """Return the task of a data set."""
    from srnn.datasets.games import GameSet

    if isinstance(dataset, MazeEpisodes):
        return Acting(dataset)
    if isinstance(dataset, GameSet):
        try:  # torchrl is there for games alone
            from .gaming import Gaming
        except ModuleNotFoundError as error:
            missing = str(error.name).partition(".")[0]
            raise ConfigError(
                f'{missing} is missing: pip install "srnn[pong]" brings it.'
            ) from None
        return Gaming(dataset)
    return Naming(dataset)


class Naming:
    """Sequences with labels.

    Args:
        dataset: the sequences.
    """

    per = "sample"

    def __init__(self, dataset: SequenceDataset) -> None:
        self.dataset = dataset

    def form(self, network: Network, device: torch.device) -> SequenceDataset:
        """The same sequences, as bits where the network's kernel reads them faster."""
        return for_network(self.dataset, network, device)

    def learner(self, network: Network, options: Experiment, total_steps: int) -> Learner:
        """Backpropagation from the labels."""
        return SequenceClassifier(network, self.dataset.info, options, total_steps)

    def rehearse(self, network: Network, options: Experiment) -> None:
        """Go through a batch, forward and backward."""
        rehearse_sequences(network, self.dataset, options)

    @torch.no_grad()
    def evaluate(self, network: Network, batch_size: int) -> Evaluation:
        """Compare answers with labels."""
        device = next(network.parameters()).device
        # The other processes of a distributed run have gone when the first one scores its result.
        scores = Scores(self.dataset.info, sync_on_compute=False).to(device)
        firing = Firing(network)
        for inputs, targets in SequenceLoader(self.dataset, batch_size):
            logits, record = network(inputs.to(device))
            scores.update(logits, targets.to(device))
            firing.add(record, inputs.shape[1])
        confusion = scores.confusion.compute().cpu()
        return firing.evaluation(scores.compute(), confusion, len(self.dataset))

    def observed(self, network: Network, batch_size: int) -> Iterator[Tensor]:
        """All sequences."""
        for inputs, _ in SequenceLoader(self.dataset, batch_size):
            yield inputs

    def sequence(self, network: Network, index: int) -> tuple[Tensor, Callable[[Tensor], str]]:
        """A sequence, and how the answer compares with the label."""
        info = self.dataset.info
        inputs, targets = self.dataset.__getitems__([index])

        def title(logits: Tensor) -> str:
            predictions = logits.argmax(-1)
            if info.streaming:
                labelled = targets >= 0
                right = 100 * float((predictions == targets)[labelled].float().mean())
                answer = with_caveat(f"right at {right:.0f} % of its labelled steps", info.caveat)
            else:
                true, predicted = info.classes[int(targets)], info.classes[int(predictions)]
                answer = f"true {true}, predicted {predicted}"
            return f"{info.title}, sequence {index}: {answer}"

        return inputs, title


class Acting:
    """Episodes of the maze.

    Args:
        dataset: the episodes.
    """

    per = "sample"

    def __init__(self, dataset: MazeEpisodes) -> None:
        self.dataset = dataset

    def form(self, network: Network, device: torch.device) -> SequenceDataset:
        """The episodes, to be played."""
        return self.dataset.beginnings()

    def learner(self, network: Network, options: Experiment, total_steps: int) -> Learner:
        """The advantage actor-critic."""
        return ActorCritic(network, self.dataset.info, options, total_steps, self.dataset)

    def rehearse(self, network: Network, options: Experiment) -> None:
        """Play a batch, and go through it, forward and backward."""
        chosen = range(min(options.batch_size, len(self.dataset)))
        play_the_same(network, self.dataset.rules, self.dataset.begin(chosen), 0)
        rehearse_sequences(network, self.dataset, options)

    @torch.no_grad()
    def evaluate(self, network: Network, batch_size: int) -> Evaluation:
        """Play all episodes, the same way every time."""
        device = next(network.parameters()).device
        scores, firing = Rewards(sync_on_compute=False).to(device), Firing(network)
        batches = SequenceLoader(self.dataset.beginnings(), batch_size)
        for index, batch in enumerate(batches):
            played = play_the_same(network, self.dataset.rules, batch, index)
            scores.update(played.rewards)
            if network.layer_names():  # of whole episodes, whose counts a kernel gives at once
                firing.add(network(played.observations)[1], played.actions.shape[1])
        return firing.evaluation(scores.compute(), None, len(self.dataset))

    def observed(self, network: Network, batch_size: int) -> Iterator[Tensor]:
        """What was seen in all episodes."""
        batches = SequenceLoader(self.dataset.beginnings(), batch_size)
        for index, batch in enumerate(batches):
            yield play_the_same(network, self.dataset.rules, batch, index).observations

    def sequence(self, network: Network, index: int) -> tuple[Tensor, Callable[[Tensor], str]]:
        """What was seen in an episode, and what it earned."""
        beginning = self.dataset.begin([index])
        inputs, _, rewards = play_the_same(network, self.dataset.rules, beginning, 0)
        earned = format_score("reward", float(rewards.sum()))
        title = f"{self.dataset.info.title}, episode {index}: reward {earned}"
        return inputs, lambda outputs: title


def rehearse_sequences(network: Any, dataset: SequenceDataset, options: Experiment) -> None:
    """Go through the first batch of a data set, forward and backward, in pieces of --tbptt."""
    device = next(network.parameters()).device
    batch = dataset.__getitems__(range(min(options.batch_size, len(dataset))))
    inputs, targets = (tensor.to(device) for tensor in batch)
    state = None
    length = options.tbptt or len(inputs)
    for start in range(0, len(inputs), length):
        piece = slice(start, start + length)
        logits, record = network(inputs[piece], state)
        criterion(logits, targets[piece] if dataset.info.streaming else targets).backward()
        state = detach(record.state)
