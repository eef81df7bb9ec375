"""Fixed delays: every neuron's current arrives some steps late.

    y_t = x_{t-d}                                       x before the sequence is 0

| symbol | argument | unit | default | range         | source                             |
|--------|----------|------|---------|---------------|------------------------------------|
| d      | ``steps``| step | -       | 0, 1, 2, ...  | NIR's Delay; one value per neuron  |

The line of currents under way is state: it is carried from one piece of a sequence to the next, and
a new episode begins with an empty one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class DelayState(NamedTuple):
    """What is under way in a delay.

    Attributes:
        line: the last currents, oldest first, [longest delay, batch, neurons].
    """

    line: Tensor


class Delay(nn.Module):
    """Delay of a whole number of steps for each neuron; stands between projection and neuron.

    Args:
        neurons: how many.
        steps: the delay in steps, one for all neurons or one each.

    Raises:
        ValueError: for a negative or broken number of steps, or another number of them.

    Example:
        >>> delay = Delay(2, [0, 1])
        >>> delay(torch.tensor([[[1.0, 1.0]], [[2.0, 2.0]]])).squeeze(1)  # time first
        tensor([[1., 0.],
                [2., 1.]])
    """

    steps: Tensor

    def __init__(self, neurons: int, steps: int | Sequence[int] | Tensor) -> None:
        super().__init__()
        given = torch.as_tensor(steps)
        whole = not given.is_floating_point() or bool((given == given.round()).all())
        if given.numel() not in (1, neurons) or not whole or bool((given < 0).any()):
            raise ValueError(
                f"Delay needs whole steps >= 0, one or {neurons} of them, got {given.tolist()}."
            )
        self.neurons = neurons
        self.register_buffer("steps", given.long().flatten().repeat(neurons // given.numel()))

    def forward(self, current: Tensor) -> Tensor:
        """Delay a whole sequence, [time, batch, neurons], that begins with an empty line."""
        return self.forward_sequence(current)[0]

    def forward_sequence(
        self, current: Tensor, state: DelayState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, DelayState]:
        """Delay a sequence, or the next piece of one.

        Args:
            current: [time, batch, neurons].
            state: where the piece before stopped; None for an empty line.
            reset: mask [time, batch] of steps before which the line is emptied.

        Returns:
            The delayed current [time, batch, neurons], and the state to go on from.

        Raises:
            ValueError: if the current has another number of neurons.
        """
        if current.dim() != 3 or current.shape[-1] != self.neurons:
            raise ValueError(
                f"Delay expects a current of shape [time, batch, {self.neurons}], "
                f"got {list(current.shape)}."
            )
        longest = int(self.steps.max())
        line = current.new_zeros(longest, *current.shape[1:]) if state is None else state.line
        under_way = torch.cat([line, current])
        time = torch.arange(len(current), device=current.device)[:, None, None]
        source = (longest + time - self.steps).expand(current.shape)
        delayed = under_way.gather(0, source)
        line = under_way[len(current) :]
        if reset is not None and len(current):
            # A current arrives only within the episode that it was sent in.
            episode = reset.long().cumsum(0)
            sent = torch.cat([episode.new_zeros(longest, episode.shape[1]), episode])
            sent_in = sent[..., None].expand(under_way.shape).gather(0, source)
            delayed = delayed.masked_fill(sent_in != episode[..., None], 0)
            line = line.masked_fill((sent[len(current) :] != episode[-1])[..., None], 0)
        return delayed, DelayState(line)

    def extra_repr(self) -> str:
        """Number of neurons, and the shortest and longest delay."""
        return f"{self.neurons}, steps={int(self.steps.min())}..{int(self.steps.max())}"
