"""The thin layer around a step function: parameters, snnTorch's contract, whole sequences.

A neuron class is three things put together: the dynamics (a step function with its state and
parameters, in ``lif.py`` or ``alif.py``), one of the two wirings in ``_wiring.py``, and the
snnTorch class that the wiring stands for. The layer keeps snnTorch's contract: states are
non-persistent buffers that follow the shape of the input, the step call takes and returns what the
counterpart does, and whoever resets a layer, by its method or by snnTorch's class-level walk over
all layers, reaches every state.
"""

import inspect
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from . import surrogate
from ._given import Expected, begins, floating
from ._registry import Registered, forget, register
from .distributions import Distribution, constant, parse
from .kernels import reference, sequence
from .kernels.events import EventBatch
from .reset import RECURRENT_RESETS, Reset
from .time_constant import TimeConstant, check_fits

_NUMBERS = ("V", "graded_spikes_factor")
"""Keywords of snnTorch's that become part of the arithmetic, besides beta and threshold."""


class SpikingLayer(Registered):
    """Base of all spiking layers; a subclass adds dynamics, a wiring and snnTorch's class.

    The dynamics supply ``state_type``, ``step`` and the three methods that are left open here.
    """

    state_type: Any
    step: Any
    resets: dict[str, Reset]
    # What snnTorch's classes own:
    beta: Tensor
    threshold: Tensor
    graded_spikes_factor: Tensor
    mem: Tensor
    spike_grad: Callable[[Tensor], Tensor]
    state_quant: Any
    reset_mechanism: str
    reset_mechanism_val: Tensor
    reset_dict: dict[str, int]
    reset_delay: bool
    init_hidden: bool
    inhibition: bool
    output: bool
    linear_features: int | None
    conv2d_channels: int | None

    def __init__(self, *args: Any, **keywords: Any) -> None:
        # The counterpart's positional arguments, so that ours may be given by their names below.
        counterpart = next(c for c in type(self).__mro__ if c.__module__.startswith("snntorch."))
        names = list(inspect.signature(counterpart).parameters)
        if len(args) > len(names):
            raise TypeError(
                f"{type(self).__name__} takes {len(names)} positional arguments at most, "
                f"got {len(args)}."
            )
        self._set_up(**dict(zip(names, args, strict=False)), **keywords)

    def _set_up(
        self,
        *,
        beta: float | Tensor | None = None,
        tau_mem: float | str | Distribution | TimeConstant | None = None,
        threshold: float | Tensor | None = None,
        spike_grad: Any = None,
        surrogate_disable: bool = False,
        detach_reset: bool | None = None,
        **snntorch: Any,
    ) -> None:
        if beta is not None and tau_mem is not None:
            raise ValueError(
                "Give the membrane's decay once: beta (snnTorch's way) or tau_mem, not both."
            )
        papers = beta is None
        if threshold is None:
            threshold = 0.01 if papers else 1.0
        if papers and snntorch.get("learn_beta"):
            raise ValueError("learn_beta needs the decay as beta; tau_mem is learned anyway.")
        values = torch.as_tensor(threshold)
        if not bool(((values > 0) & values.isfinite()).all()):
            raise ValueError(f"threshold must be positive and finite, got {threshold}.")
        if not papers and not bool(torch.as_tensor(beta).isfinite().all()):
            raise ValueError(f"beta must be finite, got {beta}.")
        if surrogate_disable:
            spike_grad = surrogate.no_gradient()
        elif spike_grad is None:
            spike_grad = surrogate.multi_gaussian() if papers else surrogate.atan()
        if isinstance(spike_grad, type) or not callable(spike_grad):
            raise TypeError(
                "spike_grad must be a surrogate, such as srnn.neurons.surrogate.atan(), "
                f"got {spike_grad!r}."
            )
        # A whole number would be kept as such, a type of its own beside that of all else.
        numbers = {"beta": 0.0 if papers else beta, "threshold": threshold}
        numbers |= {name: snntorch.pop(name) for name in _NUMBERS if name in snntorch}
        numbers = {name: floating(value) for name, value in numbers.items()}
        try:
            super().__init__(spike_grad=spike_grad, **numbers, **snntorch)
        except BaseException:
            forget(self)
            raise
        register(self)
        self.surrogate_disable = surrogate_disable
        self._kept_gradient = False
        # snnTorch binds its own update here once and for all; ours follows `reset_mechanism`.
        self.__dict__.pop("state_function", None)
        self.detach_reset = (not papers) if detach_reset is None else detach_reset
        self.tau_mem: TimeConstant | None = None
        if papers:
            del self.beta
            self.tau_mem = self._time_constant(tau_mem, "normal(20, 5)", "20", (1.0, 200.0))
        for name in self._hidden_states():
            self.register_buffer(name, torch.zeros(0), persistent=False)

    # ------------------------------------------------------------------- what the dynamics supply

    @abstractmethod
    def params(self) -> Any:
        """Compute the parameters of one step from what is learned."""

    @abstractmethod
    def threshold_of(self, state: Any, params: Any) -> Tensor:
        """Return B, the threshold that the membrane of ``state`` was compared with."""

    @abstractmethod
    def initial_state(self, like: Tensor) -> Any:
        """Return the state before the first step, of the shape of ``like``."""

    def _zeros(self, like: Tensor) -> Tensor:
        """Zeros of the shape of ``like``, as floating numbers even where an input counts spikes."""
        dtype = like.dtype if like.is_floating_point() else self.threshold.dtype
        return torch.zeros_like(like, dtype=dtype)

    # ------------------------------------------------------------------------------ parameters

    def _time_constant(
        self, given: Any, per_neuron: str, shared: str, bounds: tuple[float, float]
    ) -> TimeConstant:
        """Make a time constant of what a user gave, or of the default."""
        size = self._size()
        if isinstance(given, TimeConstant):
            if size is not None:
                check_fits(given, size)
            return given
        if given is None:
            given = shared if size is None else per_neuron
        initial = parse(given)
        if size is None and not isinstance(initial, constant):
            # Said here too, since a layer has no argument "size".
            raise ValueError(
                f"{initial} draws one value per neuron: say how many with linear_features "
                "(or conv2d_channels)."
            )
        return TimeConstant(initial, size, bounds=bounds)

    def _size(self) -> Sequence[int] | None:
        """Shape of one value per neuron, or per channel of a convolution; None if unknown."""
        if self.linear_features:
            return (self.linear_features,)
        return (self.conv2d_channels, 1, 1) if self.conv2d_channels else None

    @property
    def alpha(self) -> Tensor:
        """Decay of the membrane over one step."""
        return self.beta.clamp(0, 1) if self.tau_mem is None else self.tau_mem.decay()

    @property
    def input_gain(self) -> Tensor | float:
        """g, what the current is multiplied by: 1 with ``beta``, 1 - alpha with ``tau_mem``."""
        return self._gain(self.alpha)

    def _gain(self, alpha: Tensor) -> Tensor | float:
        return 1.0 if self.tau_mem is None else 1 - alpha

    # ----------------------------------------------------------------------------------- a step

    def _recurrent_current(self, spikes: Tensor) -> Tensor | None:
        """W_rec S + b_rec, or None in a feed-forward layer."""
        return None

    def _emit(self, S: Tensor, state: Any, params: Any) -> Tensor:
        """What the layer sends out when its neurons cross their threshold with S."""
        if not self.inhibition:
            return S * self.graded_spikes_factor
        # snnTorch grades the spikes of a layer without inhibition only.
        excess = state.membrane - self.threshold_of(state, params)
        winner = excess.argmax(dim=1, keepdim=True)
        return S * torch.zeros_like(S).scatter(1, winner, 1.0)

    def _advance(
        self, input_: Tensor, spikes: Tensor, state: Any, params: Any
    ) -> tuple[Tensor, Any]:
        """One step of the layer; the step call and every sequence go through here."""
        crossed = state.spikes
        recurrent = self._recurrent_current(spikes)
        if recurrent is not None and self.tau_mem is not None:
            # The papers sum the current before it charges the membrane, snnTorch afterwards: the
            # same number but for its last bit, which each of the two ways keeps.
            input_, recurrent = input_ + recurrent, None
        S, state = self.step(input_, state, params, recurrent)
        spikes = self._emit(S, state, params)
        if not self.reset_delay:
            # snnTorch's reset in the same step; a membrane that the delayed reset has already
            # lowered is not lowered twice.
            once = spikes / self.graded_spikes_factor - crossed.detach()
            B = self.threshold_of(state, params)
            at_once = RECURRENT_RESETS[self.reset_mechanism].after_leak
            state = state._replace(membrane=at_once(state.membrane, once, B))
            state = self._with_crossings(state, params)
        return spikes, state

    def _with_crossings(self, state: Any, params: Any) -> Any:
        """The state whose S follows from its membrane, which users may set and snnTorch goes by."""
        distance = state.membrane - self.threshold_of(state, params)
        return state._replace(spikes=self._spike(distance))

    @property
    def _spike(self) -> Callable[[Tensor], Tensor]:
        """H with its surrogate, in the dtype of its input: snnTorch's own answer in float32."""
        given = self.spike_grad
        if isinstance(given, surrogate.Surrogate):
            return given
        return lambda distance: given(distance).to(distance.dtype)

    def _advance_hidden(
        self, input_: Tensor, spikes: Tensor, state: Any, params: Any, hidden: dict[str, Tensor]
    ) -> tuple[Tensor, Any, dict[str, Tensor]]:
        """One step of the step call, which returns the new hidden states by name too."""
        spikes, state = self._advance(input_, spikes, state, params)
        return spikes, state, {name: getattr(state, name) for name in hidden}

    # -------------------------------------------------------------------- snnTorch's step call

    def _hidden_states(self) -> list[str]:
        """States that snnTorch's tuples do not carry: kept as buffers under their own names."""
        return [name for name in self.state_type._fields if name not in ("spikes", "membrane")]

    def _hidden_start(self, like: Tensor) -> dict[str, Tensor]:
        """Hidden states before the first step of neurons of the shape of ``like``."""
        initial = self.initial_state(like)
        return {name: getattr(initial, name) for name in self._hidden_states()}

    def _like_neurons(self, input_: Tensor) -> Tensor:
        """A tensor of the shape of the neurons that an input reaches."""
        return input_

    def _refuse_states(self, *given: Tensor | None) -> None:
        if self.init_hidden and any(state is not None for state in given):
            raise TypeError(
                f"With init_hidden=True, {type(self).__name__} keeps its states itself: "
                "call it with its input alone."
            )

    def _step_call(
        self, input_: Tensor, spikes: Tensor | None, mem: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        self._expects().check_step(type(self).__name__, input_.shape)
        params = self.params()
        like = self._like_neurons(input_)
        initial = self.initial_state(like)
        kept = self.mem
        mem = kept if mem is None else mem
        # snnTorch's users begin a sequence with a membrane of zeros, and know of no other state.
        hidden = self._hidden_start(like)
        anew: bool | Tensor = False
        if hidden and mem is not kept:
            # A compiled or exported step has no branch. Run as it stands, it must not even touch
            # what an earlier sequence left: its graph may have been freed.
            compiling = torch.compiler.is_compiling()
            anew = ~mem.any() if compiling else begins(mem, kept)
        # Whoever detached the membrane truncates the gradient here.
        truncated = self._kept_gradient and not mem.requires_grad
        state = initial
        if mem.shape == like.shape:
            for name, start in hidden.items():
                value = getattr(self, name)
                if value.shape != start.shape or anew is True:
                    continue
                value = value.detach() if truncated else value
                hidden[name] = torch.where(anew, start, value) if anew is not False else value
            own = {name: hidden[name] for name in self.state_type._fields if name in hidden}
            state = self._with_crossings(state._replace(membrane=mem, **own), params)
        if spikes is None or spikes.shape != like.shape:
            spikes = initial.spikes
        spikes, state, hidden = self._advance_hidden(input_, spikes, state, params, hidden)
        mem = state.membrane
        for name, value in hidden.items():
            self._keep(name, value)
            if value.requires_grad and not mem.requires_grad:
                # As in an adaptive layer on data whose reset is detached. Tie the membrane to the
                # graph, by a gradient of zero, or nobody could truncate there by detaching it.
                tie = value if value.shape == mem.shape else value.flatten(1)[:, :1]
                mem = torch.where(mem.new_ones((), dtype=torch.bool), mem, tie.to(mem.dtype))
        self._keep("mem", mem)
        self._kept_gradient = mem.requires_grad
        return spikes, mem

    def _returned(self, spikes: Tensor, mem: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """What snnTorch's step call returns: the pair, unless the states are hidden."""
        return spikes if self.init_hidden and not self.output else (spikes, mem)

    def _keep(self, name: str, state: Tensor) -> None:
        """Keep a state: as nn.Module does, which torch.export sees, and never taken for a reset."""
        super().__setattr__(name, state)

    def __setattr__(self, name: str, value: Any) -> None:
        """Take a membrane set to zero from outside for a reset, and start every other state anew.

        snnTorch 1.0.0 resets by assigning zeros to ``mem`` on every layer of the process that it
        knows.
        """
        super().__setattr__(name, value)
        if name != "mem" or not isinstance(value, Tensor):
            return
        if self._hidden_states() and not bool(value.any()):
            for state, start in self._hidden_start(value).items():
                self._keep(state, start)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        """Load the reset mechanism too, which snnTorch keeps as a number and goes by as a name."""
        super()._load_from_state_dict(state_dict, prefix, *args)
        number = int(self.reset_mechanism_val)
        names = {value: name for name, value in self.reset_dict.items()}
        if number not in names:
            raise ValueError(
                f"{prefix}reset_mechanism_val must be one of {sorted(names)}, got {number}: the "
                "state_dict is damaged."
            )
        self._reset_mechanism = names[number]

    # -------------------------------------------------------------------------- whole sequences

    def _expects(self) -> Expected:
        """What the layer has to be given."""
        size = self._size()
        if size is None:
            return Expected("a current")
        image = ("height", "width") if len(size) > 1 else ()
        return Expected("a current", (size[0], *image))

    def forward_sequence(
        self,
        input_: Tensor | EventBatch,
        state: Any = None,
        *,
        reset: Tensor | None = None,
        return_membrane: bool = False,
        projection: nn.Module | None = None,
    ) -> tuple[Tensor, Any] | tuple[Tensor, Any, Tensor]:
        """Run the layer over a whole sequence.

        It neither reads nor changes the states that the step call keeps, and agrees with stepping:
        to the last bit on the reference kernel, else but for roundings. See
        :func:`srnn.kernel_info` for the kernels.

        Args:
            input_: current of every step, [time, batch, neurons], before the recurrent part; the
                activity of the inputs, [time, batch, channels], where plastic synapses cover them.
            state: where to start from, as returned by an earlier call; None for the initial state.
            reset: mask [time, batch]; where it is true, the state is put to its initial value
                before that step, as at the start of a new episode.
            return_membrane: whether to return the membrane of every step too, differentiable.
            projection: a module that makes the current from ``input_``, which then is [time, batch,
                channels], dense or an :class:`srnn.neurons.kernels.EventBatch`. A kernel that knows
                the weights of an ``nn.Linear`` need not compute what is multiplied by zero.

        Returns:
            The spikes [time, batch, neurons] and the final state, then, if asked for, the membrane
            [time, batch, neurons].

        Raises:
            ValueError: if a shape does not fit.
        """
        shape = sequence.shape_after(input_, projection)
        told = projection is None or isinstance(projection, nn.Linear)
        expected = self._expects() if told else Expected("an input", ("channels",))
        expected.check_sequence(type(self).__name__, shape)
        reference.check_reset(reset, shape)
        outputs, state, membrane = sequence.run_layer(
            self, input_, projection, state, reset, return_membrane
        )
        return (outputs, state) if membrane is None else (outputs, state, membrane)
