"""Checklist 6 to 8: where sequences begin, and where gradients end."""

import snntorch as snn
import torch
from snntorch import utils
from torch import nn

import srnn

from .subject import check, dense, same, step


def used(subject, **options):
    """A layer that has run with a gradient, so that every state of it is far from its start."""
    layer = subject.keeping(**options)
    step(layer, (subject.current(seed=5) + 1).requires_grad_())
    return layer


def begins_anew(subject, layer):
    current = subject.current()
    same(step(layer, current), step(subject.keeping(), current))


def holds_no_graph(layer):
    for name, value in layer.named_buffers():
        assert not value.requires_grad, name


@check
def c06_reset_mem_returns_the_states(subject):
    layer = used(subject)
    returned = layer.reset_mem()
    states = returned if subject.recurrent else (returned,)
    assert len(states) == (2 if subject.recurrent else 1)
    assert states[-1] is layer.mem
    assert states[0] is (layer.spk if subject.recurrent else layer.mem)
    for state in states:
        assert state.shape == subject.shape
        assert not state.any()


@check
def c06_reset_mem_begins_anew(subject):
    layer = used(subject)
    layer.reset_mem()
    holds_no_graph(layer)
    begins_anew(subject, layer)


@check
def c06_reset_mem_works_before_the_first_step(subject):
    layer = subject.keeping()
    layer.reset_mem()
    begins_anew(subject, layer)


@check
def c06_the_old_name_of_reset_mem_works(subject):
    layer = used(subject)
    (layer.init_rleaky if subject.recurrent else layer.init_leaky)()
    begins_anew(subject, layer)


@check
def c06_states_of_zero_begin_a_sequence(subject):
    """As in a hand-written loop, whose author knows of no state but spikes and membrane."""
    layer, current = subject.build(), subject.current().requires_grad_()
    runs = []
    for _ in range(2):
        spikes, membranes, _ = subject.step_explicitly(layer, current)
        (spikes.sum() + membranes.sum()).backward()
        runs.append((spikes, membranes))
    same(*runs)


@check
def c07_detach_hidden_ends_the_gradient_and_keeps_the_state(subject):
    first, second = (subject.current(6, seed=s).requires_grad_() for s in (2, 3))
    layer = subject.keeping()
    spikes, membranes = step(layer, first)
    (spikes.sum() + membranes.sum()).backward()
    gradient = first.grad.clone()
    subject.counterpart.detach_hidden()
    spikes, membranes = step(layer, second)
    (spikes.sum() + membranes.sum()).backward()
    assert torch.equal(first.grad, gradient)
    assert second.grad.any()
    whole, _ = step(subject.keeping(), torch.cat([first, second]))
    assert torch.equal(spikes, whole[6:])


@check(applies=dense)
def c07_detached_states_end_the_gradient(subject):
    layer, state = subject.build(), None
    projection = nn.Linear(subject.shape[1], subject.shape[1])
    for seed in (2, 3, 4):
        current = projection(subject.current(6, seed=seed))
        spikes, membranes, state = subject.step_explicitly(layer, current, state)
        (spikes.sum() + membranes.sum()).backward()
        state = tuple(part.detach() for part in state)
    assert projection.weight.grad.any()


def learns(subject):
    """For checks of gradients that come from no input."""
    return any(True for _ in subject.build().parameters())


@check(applies=learns)
def c07_on_data_a_gradient_ends_where_it_is_cut(subject):
    """A first layer, whose input has no gradient: extra states may have one where mem has none."""
    current = subject.current(4)
    layer = subject.keeping()
    for _ in range(3):
        spikes, _ = step(layer, current)
        spikes.sum().backward()
        subject.counterpart.detach_hidden()
    layer, state = subject.build(), None
    for _ in range(3):
        spikes, _, state = subject.step_explicitly(layer, current, state)
        spikes.sum().backward()
        state = tuple(part.detach() for part in state)


@check
def c08_utils_reset_begins_anew(subject):
    layer = used(subject)
    utils.reset(nn.Sequential(layer))
    holds_no_graph(layer)
    begins_anew(subject, layer)


@check
def c08_reset_mem_over_all_modules_begins_anew(subject):
    """The next release of snnTorch resets so."""
    layer = used(subject)
    for module in nn.Sequential(nn.Sequential(layer)).modules():
        if isinstance(module, snn.SpikingNeuron):
            module.reset_mem()
    holds_no_graph(layer)
    begins_anew(subject, layer)


@check
def c08_srnn_reset_begins_anew_and_spares_others(subject):
    layer, other = used(subject), used(subject)
    membrane = other.mem.clone()
    srnn.reset(nn.Sequential(nn.Sequential(layer)))
    holds_no_graph(layer)
    begins_anew(subject, layer)
    assert torch.equal(other.mem, membrane)


@check
def c08_utils_reset_reaches_nested_layers(subject):
    layer = used(subject)
    utils.reset(nn.Sequential(nn.Sequential(layer)))
    assert not layer.mem.any()


@check
def c08_utils_reset_spares_other_networks(subject):
    layer, other = used(subject), used(subject)
    utils.reset(nn.Sequential(layer))
    assert other.mem.any()
