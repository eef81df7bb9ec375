"""Classes that break the contract on purpose, and the checks that must notice.

All but the last differ in one fault from a class that keeps it.
"""

import torch
from torch import nn

from srnn.neurons import LIF, RALIF, RLIF, surrogate

from .subject import Subject
from .subjects import ADAPTIVE, SIZE, WAYS

BROKEN = {}
"""Name of a class: its subject, and a function from the checks of it to those that it fails."""


def fails(*checks, plain=None):
    """Enter a class that fails these checks alone; ``plain`` makes it its counterpart."""
    return _entered(lambda names: set(checks), plain)


def passes(*checks):
    """Enter a class that fails all checks but these."""
    return _entered(lambda names: names - set(checks))


def _entered(expected, plain=None):

    def enter(kind):
        options = WAYS["beta"] | SIZE | (ADAPTIVE if issubclass(kind, RALIF) else {})
        subject = Subject(kind.__name__, kind, options, plain=plain)
        BROKEN[kind.__name__] = (subject, expected)
        return kind

    return enter


class Fatigue:
    """An extra state that lowers the current; a step in a subclass."""

    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        self.register_buffer("fatigue", torch.zeros(0), persistent=False)

    def forward(self, input_, *states, **named):
        if self.fatigue.shape != input_.shape:
            self.fatigue = torch.zeros_like(input_)
        returned = super().forward(input_ - self.fatigue, *states, **named)
        spikes = returned[0] if isinstance(returned, tuple) else returned
        self.fatigue = (0.5 * self.fatigue + 0.5 * spikes).detach()
        return returned


@fails(
    "c06_reset_mem_begins_anew",
    "c06_states_of_zero_begin_a_sequence",
    "c06_the_old_name_of_reset_mem_works",
    "c08_reset_mem_over_all_modules_begins_anew",
    "c08_srnn_reset_begins_anew_and_spares_others",
    "c08_utils_reset_begins_anew",
)
class ForgetsAState(Fatigue, RLIF):
    """No reset reaches the extra state: it goes on from one batch to the next of its shape."""


@fails("c06_states_of_zero_begin_a_sequence", "c08_utils_reset_begins_anew")
class ResetByItsMethodAlone(Fatigue, LIF):
    """snntorch.Leaky is reset by assignment to its membrane, and reset_mem is not called."""

    def reset_mem(self):
        self.fatigue = torch.zeros_like(self.fatigue)
        return super().reset_mem()


@passes(
    "c01_is_its_counterpart",
    "c02_a_failed_construction_leaves_nothing_behind",
    "c02_is_in_the_registry",
    "c02_refuses_what_its_counterpart_refuses",
    "c02_takes_every_keyword_of_its_counterpart",
    "c04_refuses_states_that_it_keeps_itself",
    "c10_fixed_recurrent_weights_are_converted_and_loaded",
    "c14_monitors_see_its_gradients",
    "c18_the_registry_does_not_grow",
)
class ReturnsThree(RALIF):
    """Hands out its extra state."""

    def _returned(self, spikes, mem):
        returned = super()._returned(spikes, mem)
        return (*returned, self.adaptation) if isinstance(returned, tuple) else returned


@fails(
    "c06_reset_mem_returns_the_states",
    "c08_utils_reset_begins_anew",
    "c11_utils_reset_reaches_a_copy",
    "c12_bptt_as_a_hidden_layer",
    "c12_bptt_as_the_last_layer",
    "c12_bptt_on_varying_data",
    "c12_tbptt",
)
class ResetsToThree(RALIF):
    """Hands out its extra state when it is reset."""

    def reset_mem(self):
        return (*super().reset_mem(), self.adaptation)


@fails(
    "c05_states_are_buffers_and_not_persistent",
    "c10_a_state_dict_loads_whatever_the_batch_was",
    "c10_the_state_dict_holds_no_state",
)
class SavesItsState(RALIF):
    """A state in the state_dict."""

    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        self._non_persistent_buffers_set.discard("adaptation")


@fails(
    "c07_detach_hidden_ends_the_gradient_and_keeps_the_state",
    "c07_detached_states_end_the_gradient",
    "c07_on_data_a_gradient_ends_where_it_is_cut",
    "c12_tbptt",
)
class NeverDetaches(RALIF):
    """The gradient of the extra state flows on where that of the membrane has been cut."""

    _kept_gradient = property(lambda self: False, lambda self, value: None)


@fails(
    "c16_autocast_is_not_undone",
    "c16_bfloat16_from_end_to_end",
    "c16_float64_from_end_to_end",
)
class AnswersInFloat32(RLIF):
    """Its surrogate knows one number format."""

    _spike = property(lambda self: lambda v: self.spike_grad(v).float())


@fails(
    "c10_no_tensor_stands_beside_the_buffers",
    "c16_autocast_is_not_undone",
    "c16_bfloat16_from_end_to_end",
)
class HasALooseTensor(RLIF):
    """A tensor that no conversion reaches."""

    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        self.gain = torch.ones(3)

    def forward(self, input_, *states, **named):
        return super().forward(input_ * self.gain, *states, **named)


@fails("c09_without_adaptation_it_is_its_counterpart", plain={})
class DelaysEveryReset(RLIF):
    """Takes reset_delay=False and does not heed it."""

    def _advance(self, *arguments):
        self.reset_delay = True
        return super()._advance(*arguments)


@fails("c09_without_adaptation_it_is_its_counterpart", plain={})
class DifferentiatesItsReset(RLIF):
    """The same spikes, and another gradient."""

    def params(self):
        return super().params()._replace(detach_reset=False)


@fails("c09_without_adaptation_it_is_its_counterpart", plain={})
class GrowsBeyondADecayOfOne(RLIF):
    """Does not clamp beta."""

    alpha = property(lambda self: self.beta)


@fails(
    "c16_the_recurrent_map_is_called_once_a_step",
)
class CallsTheRecurrentMapTwice(RLIF):
    """As snntorch.RLeaky does where spikes reset to zero."""

    def _recurrent_current(self, spikes):
        self.recurrent(spikes)
        return self.recurrent(spikes)


@fails(
    "c10_a_replica_runs_on_its_own_tensors",
)
class StoresABoundMethod(RLIF):
    """As snntorch.RLeaky does: a replica steps the original."""

    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        self.bound = self.run

    def run(self, *states, **named):
        return super().forward(*states, **named)

    def forward(self, *states, **named):
        return self.bound(*states, **named)


@fails(
    "c18_the_reset_mechanism_can_be_changed",
    "c18_the_reset_mechanism_is_loaded",
)
class FreezesItsReset(RLIF):
    """As snntorch.RLeaky does: the first reset mechanism stays."""

    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        self.first = super().params().reset

    def params(self):
        return super().params()._replace(reset=self.first)


@fails(
    "c15_compiles_without_a_break",
    "c15_one_step_exports",
)
class BranchesOnData(RLIF):
    """A compiler cannot follow it."""

    def forward(self, input_, *states, **named):
        if input_.max().item() > 1e6:
            raise ValueError("The current explodes.")
        return super().forward(input_, *states, **named)


@fails(
    "c18_a_dropped_layer_is_freed",
    "c18_the_registry_does_not_grow",
)
class KeepsItselfAlive(RLIF):
    """As snnTorch's classes do."""

    everyone = []  # noqa: RUF012 - shared on purpose

    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        self.everyone.append(self)


@fails("c11_utils_reset_reaches_a_copy")
class DoesNotRegisterCopies(RLIF):
    """As snnTorch's classes do not."""

    def __setstate__(self, state):
        nn.Module.__setstate__(self, state)


@fails(
    "c11_a_whole_network_is_saved_and_loaded",
    "c11_pickles_with_its_default_surrogate",
)
class HasAClosure(RLIF):
    """A surrogate that cannot be pickled."""

    def __init__(self, *args, **keywords):
        super().__init__(*args, **{"spike_grad": lambda v: surrogate.atan()(v)} | keywords)


@fails(
    "c04_refuses_states_that_it_keeps_itself",
)
class TakesStatesThatItKeeps(RLIF):
    """Two masters of one state."""

    def _refuse_states(self, *given):
        pass


@fails(
    "c12_gradients_reach_every_parameter",
)
class DoesNotLearnItsThreshold(RLIF):
    """A parameter without a gradient."""

    def params(self):
        params = super().params()
        return params._replace(threshold=params.threshold.detach())


@fails(
    "c02_takes_every_keyword_of_its_counterpart",
)
class HasAnotherDefault(RLIF):
    """What is left out means something else."""

    def __init__(self, *args, **keywords):
        super().__init__(*args, **{"reset_mechanism": "zero"} | keywords)


@fails(
    "c06_reset_mem_begins_anew",
    "c08_reset_mem_over_all_modules_begins_anew",
    "c08_srnn_reset_begins_anew_and_spares_others",
)
class ResetsInPlace(RLIF):
    """Zeroes the tensors that it has handed out, instead of letting go of them."""

    def reset_mem(self):
        with torch.no_grad():
            return self.spk.zero_(), self.mem.zero_()


@passes(
    "c18_the_registry_does_not_grow",
)
class Foreign(nn.Module):
    """A layer that never heard of snnTorch."""

    def __init__(self, beta=0.9, threshold=1.0, linear_features=3):
        super().__init__()
        self.beta, self.threshold, self.mem = beta, threshold, None

    def forward(self, input_):
        self.mem = self.beta * (0 if self.mem is None else self.mem) + input_
        spikes = surrogate.atan()(self.mem - self.threshold)
        self.mem = self.mem - spikes * self.threshold
        return spikes
