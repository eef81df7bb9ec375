"""Checklist 15 and 16: compilers, hooks and number formats."""

import warnings

import torch
from torch import nn

from .subject import check, dense, same, step

WAYS = ({"init_hidden": True, "output": True}, {})


@check
def c15_compiles_without_a_break(subject):
    current = subject.current(4)
    for options in WAYS:
        torch._dynamo.reset()
        layer = subject.build(**options)
        compiled = torch.compile(subject.build(**options), backend="eager", fullgraph=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # dynamo's own, about .grad
            runs = [
                step(each, current) if options else subject.step_explicitly(each, current)[:2]
                for each in (layer, compiled)
            ]
        same(*runs)


def export(layer, *arguments):
    with warnings.catch_warnings():
        # Of tensors beside the buffers, for which there is a check of its own.
        warnings.filterwarnings("ignore", "The tensor attribute", UserWarning)
        return torch.export.export(layer, arguments).module()


@check
@torch.no_grad()
def c15_one_step_exports(subject):
    """After a first step, without which no state has a shape; the states are carried on."""
    current = subject.current(5)
    for options in WAYS:
        layers = [subject.build(**options) for _ in range(2)]
        if options:
            for each in layers:
                each(current[0])
            exported = export(layers[0], current[1])
            same(step(exported, current[1:]), step(layers[1], current[1:]))
            continue
        states = [subject.step_explicitly(each, current[:1])[2] for each in layers]
        exported = export(layers[0], current[1], *states[0])
        runs = [
            subject.step_explicitly(each, current[1:], state)[:2]
            for each, state in zip((exported, layers[1]), states, strict=True)
        ]
        same(*runs)


@check(applies=lambda subject: subject.recurrent)
def c16_the_recurrent_map_is_called_once_a_step(subject):
    """Whoever counts operations counts the calls of the layer's children."""
    for mechanism in ("subtract", "zero", "none"):
        layer, calls = subject.keeping(reset_mechanism=mechanism), []
        layer.recurrent.register_forward_hook(lambda *call, calls=calls: calls.append(call))
        step(layer, subject.current(4))
        assert len(calls) == 4, mechanism


def keeps(subject, dtype):
    layer, current = subject.keeping().to(dtype), subject.current().to(dtype)
    for part in step(layer, current.requires_grad_()):
        assert part.dtype == dtype
        assert part.isfinite().all()
    for name, value in layer.named_buffers():
        assert value.dtype in (dtype, torch.int64), name


@check
def c16_float64_from_end_to_end(subject):
    keeps(subject, torch.float64)


@check
def c16_bfloat16_from_end_to_end(subject):
    keeps(subject, torch.bfloat16)


@check(applies=dense)
def c16_autocast_is_not_undone(subject):
    """The current and the parameters decide the format, and from the first step on."""
    n = subject.shape[1]
    projection, layer = nn.Linear(n, n), subject.keeping()
    with torch.autocast("cpu", torch.bfloat16):
        currents = [projection(x) for x in subject.current(4)]
        outputs = [layer(x) for x in currents]
    # A parameter for each neuron counts, one for all of them does not: torch's rules.
    own = dict(layer.named_parameters()) | dict(layer.named_buffers())
    per_neuron = any(p.shape == (n,) for name, p in own.items() if "recurrent" not in name)
    expected = torch.float32 if per_neuron else torch.bfloat16
    for spikes, membranes in outputs:
        assert spikes.dtype == membranes.dtype == expected
    torch.stack([spikes for spikes, _ in outputs]).sum().backward()
    assert projection.weight.grad.dtype == torch.float32
