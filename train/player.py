"""A network as a player: it acts step by step, and remembers what it has to between steps.

It gives for each action a score l_t(a), and the value V_t that it expects from there on, and takes
action a with probability pi_t(a) = exp l_t(a) / sum_b exp l_t(b).

The state between steps stays in the player. torchrl would keep it in the TensorDict of every step,
which for plastic synapses, with a state as large as their weights, is most of all memory; to learn
from a stretch, the state before its first step is enough.
"""

import time
from typing import Any

import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torch import Tensor
from torch.distributions import Categorical

from srnn.states import tensors, with_tensors

from ._torchrl import EnvBase
from .build import Network


class Player(TensorDictModuleBase):
    """Plays games side by side, and draws its actions.

    Args:
        network: with a readout at every step, of the actions' scores and the value.
        places: number of games.
        channels: of what is seen of one.
        draws: random numbers, on the CPU; None for torch's own.

    Attributes:
        state: what the network remembers of every game; None before the first step.
    """

    in_keys = ("observation", "began")
    out_keys = ("action", "log_prob", "value")

    def __init__(
        self, network: Network, places: int, channels: int, draws: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self._draws = draws
        # In a tuple, so that no weights are registered twice.
        self._network = (network,)
        self._shape = (1, places, channels)
        self.state: Any = None
        self._seconds = 0.0

    @torch.no_grad()
    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Act; adds action [places], its log-probability [places], and the value [places, 1]."""
        begin = time.perf_counter()
        outputs, self.state = self._run(tensordict["observation"], tensordict["began"])
        policy = Categorical(logits=outputs[:, :-1])
        action = policy.probs.multinomial(1, generator=self._draws)[:, 0]
        tensordict["action"] = action
        tensordict["log_prob"] = policy.log_prob(action)
        tensordict["value"] = outputs[:, -1:]
        self._seconds += time.perf_counter() - begin
        return tensordict

    @torch.no_grad()
    def value(self, tensordict: TensorDictBase) -> Tensor:
        """The value of what is seen, [places, 1]; nothing is remembered of it."""
        outputs, _ = self._run(tensordict["observation"], tensordict["began"])
        return outputs[:, -1:]

    def _run(self, observation: Tensor, began: Tensor) -> tuple[Tensor, Any]:
        (network,) = self._network
        device = next(network.parameters()).device
        # A mask costs a fast path here and there, and only a few steps need one.
        reset = began.view(1, -1).to(device) if bool(began.any()) else None
        outputs, record = network(observation[None].to(device), self.state, reset=reset)
        return outputs[0].cpu(), record.state

    def take_seconds(self) -> float:
        """Return the time spent acting since the last call."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def remembered(self) -> list[Tensor]:
        """The tensors of the state on the CPU, as a checkpoint may hold them."""
        return [part.cpu() for part in tensors(self.state)]

    def remember(self, remembered: list[Tensor]) -> None:
        """Take the tensors of a state that :meth:`remembered` gave."""
        (network,) = self._network
        like = next(network.parameters())
        with torch.no_grad():
            _, record = network(like.new_zeros(self._shape))
        self.state = with_tensors(record.state, [part.to(like.device) for part in remembered])


def collect(
    env: EnvBase, player: Player, now: TensorDictBase, steps: int
) -> tuple[TensorDictBase, TensorDictBase]:
    """Play a stretch in all games of an environment.

    torchrl's collectors keep where they are to themselves; here it is given and returned, so that a
    checkpoint can hold it.

    Args:
        env: the games.
        player: who plays.
        now: what ``env.reset()`` gave, or the end of the stretch before.
        steps: how many.

    Returns:
        What happened, [steps, places], with ``("next", "value")``, the value after every step,
        which is that of the same game even where it was broken off; and where the stretch ends.
    """
    played = []
    for _ in range(steps):
        player(now)
        step, now = env.step_and_maybe_reset(now)
        after = step["next"]
        # Of a game that was broken off: soon the player will have seen the next one.
        broken_off = bool(after["truncated"].any())
        after["value"] = player.value(after) if broken_off else torch.zeros_like(step["value"])
        played.append(step)
    stretch: TensorDictBase = torch.stack(played)
    following = torch.cat([stretch["value"][1:], player.value(now)[None]])
    after = stretch["next"]
    after["value"] = torch.where(after["truncated"], after["value"], following)
    return stretch, now
