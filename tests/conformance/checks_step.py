"""Checklist 1 to 5 and 9: what a layer is, takes and returns."""

import inspect
from itertools import product

import pytest
import snntorch as snn
import torch

from .subject import check, same, step

NAMES = ["init_hidden", "inhibition", "output", "reset_mechanism", "reset_delay"]


@check
def c01_is_its_counterpart(subject):
    assert isinstance(subject.build(), snn.Leaky | snn.RLeaky)


@check
def c02_is_in_the_registry(subject):
    layer = subject.build()
    assert any(entry == layer for entry in snn.SpikingNeuron.instances)


@check
def c02_takes_every_keyword_of_its_counterpart(subject):
    parameters = inspect.signature(subject.counterpart).parameters
    defaults = {n: p.default for n, p in parameters.items() if p.default is not p.empty}
    needed = {"beta": 0.9} | subject.fits
    model = subject.counterpart(**needed)
    for layer in (subject.kind(**{**defaults, **needed}), subject.kind(**needed)):
        for name in NAMES:
            assert getattr(layer, name) == getattr(model, name), name
        for name, value in model.state_dict().items():
            assert layer.state_dict()[name].shape == value.shape, name
            if not name.startswith("recurrent"):
                assert torch.equal(layer.state_dict()[name], value), name
    learned = {"learn_beta": True, "learn_threshold": True}
    names = {n for n, _ in subject.counterpart(**needed, **learned).named_parameters()}
    assert names <= {n for n, _ in subject.kind(**needed, **learned).named_parameters()}


@check
def c02_refuses_what_its_counterpart_refuses(subject):
    with pytest.raises(ValueError, match="reset_mechanism"):
        subject.build(reset_mechanism="half")
    if subject.recurrent:
        with pytest.raises(TypeError, match="linear_features"):
            subject.kind(beta=0.9)


@check
def c02_a_failed_construction_leaves_nothing_behind(subject):
    with pytest.raises(ValueError, match="reset_mechanism"):
        subject.build(reset_mechanism="half")
    subject.counterpart.reset_hidden()


@check
def c03_returns_what_its_counterpart_returns(subject):
    x = subject.current()[0]
    for options in ({}, {"output": True}, {"init_hidden": True, "output": True}):
        returned = subject.build(**options)(x)
        assert isinstance(returned, tuple)
        assert [type(part) for part in returned] == [torch.Tensor, torch.Tensor]
        assert [part.shape for part in returned] == [x.shape, x.shape]
    assert isinstance(subject.build(init_hidden=True)(x), torch.Tensor)


@check
def c03_goes_on_from_the_states_that_it_kept(subject):
    current = subject.current()
    same(step(subject.build(), current), step(subject.keeping(), current))


@check
def c04_refuses_states_that_it_keeps_itself(subject):
    layer, x = subject.build(init_hidden=True), subject.current()[0]
    for name in ("spk", "mem")[not subject.recurrent :]:
        with pytest.raises(TypeError):
            layer(x, **{name: torch.zeros_like(x)})
    with pytest.raises(TypeError):
        layer(x, torch.zeros_like(x))


def kept(layer, shape):
    """Names of the buffers that have the shape of a batch."""
    return {name for name, value in layer.named_buffers() if value.shape == shape}


@check
def c05_states_are_buffers_and_not_persistent(subject):
    layer, current = subject.keeping(), subject.current()
    step(layer, current)
    assert "mem" in kept(layer, current[0].shape)
    assert not kept(layer, current[0].shape) & set(layer.state_dict())


@check
def c05_states_are_empty_before_the_first_step(subject):
    layer, current = subject.keeping(), subject.current()
    before = {name: value.shape for name, value in layer.named_buffers()}
    step(layer, current)
    for name in kept(layer, current[0].shape):
        assert before[name] == (0,), name


@check
def c05_another_shape_begins_anew(subject):
    layer = subject.keeping()
    step(layer, subject.current())
    current = subject.current(batch=5)
    same(step(layer, current), step(subject.keeping(), current))


@check
def c09_kept_and_given_states_agree(subject):
    current = subject.current()
    spikes, membranes = step(subject.keeping(), current)
    assert 0.05 < spikes.mean() < 0.95
    same((spikes, membranes), subject.step_explicitly(subject.build(), current)[:2])


@check
def c09_spikes_are_nothing_or_the_graded_factor(subject):
    for factor in (1.0, 0.5):
        layer = subject.keeping()
        layer.graded_spikes_factor = torch.tensor(factor)
        spikes, _ = step(layer, subject.current())
        assert set(spikes.unique().tolist()) == {0.0, factor}


@check(applies=lambda subject: subject.dense and subject.plain is not None)
def c09_without_adaptation_it_is_its_counterpart(subject):
    options = {"threshold": 0.6, "init_hidden": True, "output": True}
    settings = product((0.85, 1.2), (True, False), ("subtract", "zero", "none"))
    for beta, delay, mechanism in settings:
        given = {**options, **subject.fits, "beta": beta, "reset_mechanism": mechanism}
        given["reset_delay"] = delay
        layer, model = subject.kind(**given, **subject.plain), subject.counterpart(**given)
        layer.load_state_dict(model.state_dict(), strict=False)
        currents = [subject.current(30).requires_grad_() for _ in range(2)]
        runs = [step(each, x) for each, x in zip((layer, model), currents, strict=True)]
        same(*runs)
        for spikes, membranes in runs:
            (spikes.sum() + membranes.sum()).backward()
        torch.testing.assert_close(currents[0].grad, currents[1].grad)
