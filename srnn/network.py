"""The spiking recurrent network (SRNN): layers of projection and neuron, then a readout.

    x_t -> [W S + b] -> neuron -> spikes -> [W S + b] -> neuron -> ... -> readout -> logits

The projection of a layer does not depend on the layer's past, so it runs once for a whole sequence;
only the recurrence within the neuron steps through time.

Source: Yin, Corradi, Bohté 2020 (ICONS) and 2021 (Nature Machine Intelligence 3).
"""

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from srnn.neurons import RALIF, TimeConstant
from srnn.neurons.kernels import EventBatch
from srnn.neurons.kernels.choice import takes_projection, untouched
from srnn.neurons.kernels.events import counts_of, forget
from srnn.neurons.kernels.sequence import current_of
from srnn.neurons.plasticity import Plasticity

from .readout import Readout
from .states import select


class Record(NamedTuple):
    """What a network did on a batch.

    Attributes:
        counts: number of spikes of each neuron in each sequence, [batch, neurons], one tensor a
            layer; spiking output neurons come last.
        steps: number of time steps that they were counted over, all ticks included.
        state: where the network stopped; give it back to go on from there.
        spikes: the spikes themselves, [time, batch, neurons], one tensor a layer, if asked for.
        membranes: the membranes of the hidden layers, likewise, if asked for.
    """

    counts: tuple[Tensor, ...]
    steps: int
    state: tuple[Any, ...]
    spikes: tuple[Tensor, ...] | None = None
    membranes: tuple[Tensor, ...] | None = None

    def rates(self) -> list[float]:
        """Mean firing rate of each layer, in spikes a neuron and step."""
        return [float(counts.detach().mean()) / max(self.steps, 1) for counts in self.counts]


class LayerState(NamedTuple):
    """State of a layer whose middle module has one too.

    Attributes:
        between: state of the module between projection and neuron.
        neuron: state of the neurons.
    """

    between: Any
    neuron: Any


class Layer(nn.Module):
    """A projection and a layer of neurons, with an optional module between them.

    Args:
        projection: from the spikes below to a current, for example ``nn.Linear``; ``nn.Identity()``
            where the neurons' plastic synapses cover the inputs.
        neuron: a layer with ``forward_sequence``.
        between: any module on the current of a whole sequence, [time, batch, neurons]: a norm, or
            one with a state and ``forward_sequence``, as :class:`srnn.Delay`.
    """

    def __init__(
        self, projection: nn.Module, neuron: nn.Module, between: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.projection: Any = projection
        self.between: Any = nn.Identity() if between is None else between
        self.neuron: Any = neuron

    @property
    def synapses(self) -> Plasticity | None:
        """The plastic synapses that stand in the place of a projection; None for a projection."""
        stp = getattr(self.neuron, "plasticity", None)
        return stp if stp is not None and stp.inputs else None

    @property
    def input_size(self) -> int:
        """Number of channels that the layer is given."""
        return self.projection.in_features if self.synapses is None else self.synapses.inputs

    @property
    def hidden_size(self) -> int:
        """Number of neurons."""
        return self.projection.out_features if self.synapses is None else self.synapses.neurons

    def forward(
        self,
        inputs: Tensor | EventBatch,
        state: Any = None,
        *,
        reset: Tensor | None = None,
        membrane: bool = False,
    ) -> tuple[Tensor, Any] | tuple[Tensor, Any, Tensor]:
        """Run over a sequence; see :meth:`srnn.neurons.RALIF.forward_sequence`."""
        nothing_between = type(self.between) is nn.Identity and untouched(self.between)
        if nothing_between and takes_projection(self.neuron):
            return self.neuron.forward_sequence(
                inputs, state, reset=reset, return_membrane=membrane, projection=self.projection
            )
        current = current_of(inputs, self.projection)
        if not hasattr(self.between, "forward_sequence"):
            current = self.between(current)
            return self.neuron.forward_sequence(
                current, state, reset=reset, return_membrane=membrane
            )
        between, neuron = (None, None) if state is None else state
        current, between = self.between.forward_sequence(current, between, reset=reset)
        spikes, neuron, *trace = self.neuron.forward_sequence(
            current, neuron, reset=reset, return_membrane=membrane
        )
        return spikes, LayerState(between, neuron), *trace


class SRNN(nn.Module):
    """Spiking recurrent network.

    Args:
        inputs: number of input channels.
        hidden: number of neurons of each hidden layer.
        classes: number of classes.
        neuron: class of the hidden neurons, called as ``neuron(linear_features=n,
            **neuron_options)``.
        readout: a :class:`Readout`, or the name of a reduction for one with default output neurons.
        input_gain: projections start as this multiple of Xavier's uniform weights.
        recurrent_gain: recurrent weights start as this multiple of an orthogonal matrix, in
            recurrent layers, or of what a plugin draws. Zero is what the published PS-MNIST code
            uses.
        between: makes the module between projection and neuron of a layer, given its number of
            neurons.
        ticks: time steps of the network for each step of its inputs, which are there in the first
            of them alone. Spikes have the others to go around in, before the answer is read.
        plastic_inputs: whether the ``plasticity`` among the neuron's options covers the inputs of a
            layer as well, in the place of its projection.
        **neuron_options: keywords of the neuron class: ``tau_mem``, ``tau_adapt``, ``threshold``,
            ``plasticity``, ... Every layer gets its own copy of them.

    Raises:
        ValueError: for sizes below one, options that the neuron refuses, or a module between a
            projection and neurons where there is no projection.

    Example:
        >>> net = SRNN(700, [128, 128], 20, tau_mem="normal(20, 5)", tau_adapt="normal(150, 10)")
        >>> logits, record = net(torch.rand(100, 8, 700).round())     # time, batch, channels
        >>> logits.shape, record.counts[0].shape
        (torch.Size([8, 20]), torch.Size([8, 128]))
        >>> from srnn.neurons.plasticity import HebbianSTP
        >>> plastic = SRNN(37, [11], 37, plasticity=HebbianSTP, plastic_inputs=True)
        >>> plastic.layers[0].neuron.plasticity.synapses
        528
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        classes: int,
        *,
        neuron: Callable[..., nn.Module] = RALIF,
        readout: str | Readout = "softmax-sum",
        input_gain: float = 1.0,
        recurrent_gain: float = 1.0,
        between: Callable[[int], nn.Module] | None = None,
        ticks: int = 1,
        plastic_inputs: bool = False,
        **neuron_options: Any,
    ) -> None:
        super().__init__()
        if not hidden or min(inputs, classes, *hidden) < 1:
            raise ValueError(
                "A network needs at least one channel, one neuron in each of one or more hidden "
                f"layers and one class; got {inputs}, {list(hidden)} and {classes}."
            )
        if ticks < 1:
            raise ValueError(f"A network takes one tick a step or more, got {ticks}.")
        if plastic_inputs and between is not None:
            raise ValueError(
                "plastic_inputs leaves no projection for a module to stand behind: leave out one "
                "of plastic_inputs and between."
            )

        def layer(below: int, width: int) -> Layer:
            # Copies, since layers that share a given TimeConstant would learn one between them.
            options = copy.deepcopy(neuron_options)
            if plastic_inputs:
                options["plastic_inputs"] = below
            return Layer(
                nn.Identity() if plastic_inputs else nn.Linear(below, width),
                neuron(linear_features=width, **options),
                None if between is None else between(width),
            )

        self.ticks = ticks
        widths = [inputs, *hidden]
        self.layers: Any = nn.ModuleList(layer(*pair) for pair in pairwise(widths))
        self.readout = (
            readout if isinstance(readout, Readout) else Readout(hidden[-1], classes, readout)
        )
        self._initialise(input_gain, recurrent_gain)

    @torch.no_grad()
    def _initialise(self, input_gain: float, recurrent_gain: float) -> None:
        """Start as the published code: Xavier inputs, orthogonal recurrence, no hidden bias.

        Plastic synapses start as their plugin draws them, times the gains.
        """
        for layer in self.layers:
            if layer.synapses is None:
                nn.init.xavier_uniform_(layer.projection.weight, gain=input_gain)
                nn.init.zeros_(layer.projection.bias)
            stp = getattr(layer.neuron, "plasticity", None)
            if stp is not None:
                stp.W[:, : stp.inputs] *= input_gain
                stp.W[:, stp.inputs :] *= recurrent_gain
            recurrent = getattr(layer.neuron, "recurrent", None)
            if isinstance(recurrent, nn.Linear):
                nn.init.orthogonal_(recurrent.weight, gain=recurrent_gain)
                nn.init.zeros_(recurrent.bias)
        nn.init.xavier_uniform_(self.readout.projection.weight)

    def forward(
        self,
        inputs: Tensor | EventBatch,
        state: tuple[Any, ...] | None = None,
        *,
        reset: Tensor | None = None,
        keep_spikes: bool = False,
        keep_membranes: bool = False,
    ) -> tuple[Tensor, Record]:
        """Run over a batch of sequences, or over the next piece of it.

        Args:
            inputs: [time, batch, channels], dense or as events.
            state: ``record.state`` of the piece before; None at the beginning.
            reset: mask [time, batch] of steps that begin a new episode (readout ``"stream"`` only).
            keep_spikes: whether the record holds the spikes, and not their counts alone.
            keep_membranes: whether it holds the membranes of the hidden layers.

        Returns:
            The logits, [batch, classes], or [time, batch, classes] for the readout ``"stream"``;
            and the record of what the network did.

        Raises:
            ValueError: if the inputs have another shape, or events do not fit theirs.
        """
        channels = self.layers[0].input_size
        if len(inputs.shape) != 3 or inputs.shape[-1] != channels:
            raise ValueError(
                f"The network expects inputs of shape [time, batch, {channels}], "
                f"got {list(inputs.shape)}."
            )
        signal = self._signal(inputs)
        reset = None if reset is None else first_ticks(reset, self.ticks)
        spikes, membranes, states = [], [], []
        # A hook may write to the spikes unseen, also one of the layer above or of a part of it.
        hooked = not all(untouched(part) for part in self.modules() if part is not self)
        for i, layer in enumerate(self.layers):
            before = None if state is None else state[i]
            signal, after, *trace = layer(signal, before, reset=reset, membrane=keep_membranes)
            if hooked:
                forget(signal)
            spikes.append(signal)
            states.append(after)
            membranes.extend(trace)
        logits, after, fired = self.readout(
            signal, None if state is None else state[-1], reset=reset
        )
        if fired is not None:
            if hooked:
                forget(fired)
            spikes.append(fired)
        if self.readout.reduction == "stream":
            logits = logits[self.ticks - 1 :: self.ticks]
        return logits, Record(
            counts=tuple(counts_of(s) for s in spikes),
            steps=inputs.shape[0] * self.ticks,
            state=(*states, after),
            spikes=tuple(spikes) if keep_spikes else None,
            membranes=tuple(membranes) if keep_membranes else None,
        )

    def _signal(self, inputs: Tensor | EventBatch) -> Tensor | EventBatch:
        """What the first layer is given: events only if no hook would see them."""
        dtype = self.readout.projection.weight.dtype
        if isinstance(inputs, Tensor):
            return first_ticks(inputs.to(dtype), self.ticks)
        inputs.check()
        if self.ticks == 1 and untouched(self.layers[0]):
            return inputs
        return first_ticks(inputs.dense(dtype), self.ticks)

    def select_state(self, state: tuple[Any, ...], places: Tensor) -> tuple[Any, ...]:
        """Take some of the sequences out of a :attr:`Record.state`: their places in the batch."""
        return select(state, places)

    def named_layers(self) -> list[tuple[str, Any]]:
        """Hidden layers and readout, each with a projection and a neuron, by name."""
        hidden = [(f"layer{i}", layer) for i, layer in enumerate(self.layers, start=1)]
        return [*hidden, ("readout", self.readout)]

    def layer_names(self) -> list[str]:
        """Names of the layers that spike, in the order of :attr:`Record.counts`."""
        hidden = [name for name, _ in self.named_layers()[:-1]]
        return [*hidden, "readout"] if self.readout.spikes else hidden

    def time_constants(self) -> dict[str, Tensor]:
        """Current time constants, in steps, by name (``layer1.tau_adapt``); detached copies."""
        taus = {}
        for name, layer in self.named_layers():
            for key, module in layer.neuron.named_children():
                if isinstance(module, TimeConstant):
                    taus[f"{name}.{key}"] = module.tau.detach().clone().flatten()
        return taus


def first_ticks(signal: Tensor, ticks: int) -> Tensor:
    """Give every step of a signal further ticks, in which it is zero.

    Args:
        signal: [time, ...].
        ticks: of a step, the first included.

    Returns:
        [time * ticks, ...]; the signal itself for one tick.
    """
    if ticks == 1:
        return signal
    spread = signal.new_zeros(len(signal), ticks, *signal.shape[1:])
    spread[:, 0] = signal
    return spread.flatten(0, 1)
