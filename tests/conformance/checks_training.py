"""Checklist 12 to 14: gradients, snnTorch's training loops, losses, surrogates and monitors."""

import warnings

import snntorch as snn
import torch
from snntorch import functional as SF
from snntorch import surrogate
from snntorch.functional import probe
from torch import nn

from .subject import check, dense, same, step

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from snntorch import backprop

STEPS = 6


def trains(subject, train, layers, *, time_varying=False, **options):
    """Run one of snnTorch's loops: the loss stays finite, and gradients reach every layer."""
    torch.manual_seed(0)
    net = nn.Sequential(*layers)
    shape = (STEPS, *subject.shape) if time_varying else subject.shape
    labels = torch.arange(subject.shape[0]) % subject.shape[1]
    batches = [(torch.randn(shape) + 0.5, labels) for _ in range(2)]
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    before = net[0].weight.detach().clone()
    if not time_varying:
        options["num_steps"] = STEPS
    loss = train(net, batches, optimiser, SF.ce_rate_loss(), time_var=time_varying, **options)
    assert torch.isfinite(torch.as_tensor(loss))
    assert not torch.equal(net[0].weight, before)
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name


def last(subject):
    n = subject.shape[1]
    return [nn.Linear(n, n), subject.keeping()]


def hidden(subject):
    n = subject.shape[1]
    return [nn.Linear(n, n), subject.build(init_hidden=True), nn.Linear(n, n), subject.keeping()]


@check
def c12_gradients_reach_every_parameter(subject):
    learned = {"learn_threshold": True}
    if "beta" in subject.options:
        learned["learn_beta"] = True
    current = subject.current(20)
    for explicit in (False, True):
        layer = subject.build(**learned) if explicit else subject.keeping(**learned)
        x = current.clone().requires_grad_()
        if explicit:
            spikes, membranes, _ = subject.step_explicitly(layer, x)
        else:
            spikes, membranes = step(layer, x)
        (spikes.sum() + (membranes**2).sum()).backward()
        assert x.grad.any()
        names = {name for name, _ in layer.named_parameters()}
        assert names >= {name.replace("learn_", "") for name in learned}
        for name, parameter in layer.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name


@check(applies=dense)
def c12_bptt_as_the_last_layer(subject):
    trains(subject, backprop.BPTT, last(subject))


@check(applies=dense)
def c12_bptt_as_a_hidden_layer(subject):
    trains(subject, backprop.BPTT, hidden(subject))


@check(applies=dense)
def c12_bptt_on_varying_data(subject):
    trains(subject, backprop.BPTT, last(subject), time_varying=True)


@check(applies=dense)
def c12_tbptt(subject):
    trains(subject, backprop.TBPTT, hidden(subject), K=2)


@check(applies=dense)
def c12_tbptt_on_varying_data(subject):
    trains(subject, backprop.TBPTT, hidden(subject), time_varying=True, K=2)


@check(applies=dense)
def c12_tbptt_beside_another_class(subject):
    other = snn.Leaky if subject.recurrent else snn.RLeaky
    fits = {} if subject.recurrent else {"linear_features": subject.shape[1]}
    layers = hidden(subject)
    layers[1] = other(beta=0.9, init_hidden=True, **fits)
    trains(subject, backprop.TBPTT, layers, K=2)


@check(applies=dense)
def c12_losses_take_its_spikes_and_membranes(subject):
    labels = torch.arange(subject.shape[0]) % subject.shape[1]
    losses = {
        "spikes": [
            SF.ce_rate_loss(),
            SF.ce_count_loss(),
            SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2),
            SF.ce_temporal_loss(),
            SF.mse_temporal_loss(),
            lambda spikes, _: SF.l1_rate_sparsity(1e-2)(spikes),
        ],
        "membranes": [SF.ce_max_membrane_loss(), SF.mse_membrane_loss()],
    }
    for kind, functions in losses.items():
        for function in functions:
            current = subject.current().requires_grad_()
            spikes, membranes = step(subject.keeping(), current)
            function(spikes if kind == "spikes" else membranes, labels).backward()
            assert current.grad.isfinite().all()
            assert current.grad.any()
    spikes = spikes.detach()
    assert 0 <= SF.accuracy_rate(spikes, labels) <= 1
    assert 0 <= SF.accuracy_temporal(spikes, labels) <= 1


SURROGATES = {
    "atan": surrogate.atan(),
    "fast_sigmoid": surrogate.fast_sigmoid(),
    "sigmoid": surrogate.sigmoid(),
    "straight_through_estimator": surrogate.straight_through_estimator(),
    "triangular": surrogate.triangular(),
    "heaviside": surrogate.heaviside(),
    "spike_rate_escape": surrogate.spike_rate_escape(),
    "SSO": surrogate.SSO(),
    "SFS": surrogate.SFS(),
    "custom": surrogate.custom_surrogate(lambda v, grad, spikes: grad * torch.exp(-(v**2))),
}


@check
def c13_every_surrogate_but_lso(subject):
    for name, psi in SURROGATES.items():
        # Small: snnTorch's sigmoid overflows at a distance of 3.5.
        current = (0.4 * subject.current()).requires_grad_()
        spikes, membranes = step(subject.keeping(spike_grad=psi), current)
        (spikes.sum() + membranes.sum()).backward()
        assert current.grad.isfinite().all(), name
        assert current.grad.any(), name


@check
def c13_without_a_surrogate_spikes_have_no_gradient(subject):
    current = subject.current().requires_grad_()
    spikes, _ = step(subject.keeping(surrogate_disable=True), current)
    if spikes.requires_grad:
        (gradient,) = torch.autograd.grad(spikes.sum(), current)
        assert not gradient.any()


@check
def c13_the_membrane_is_quantised(subject):
    layer = subject.keeping(state_quant=lambda mem: (mem * 8).round() / 8)
    _, membranes = step(layer, subject.current())
    assert torch.equal(membranes * 8, (membranes * 8).round())
    assert len(membranes.unique()) > 4


@check(applies=dense)
def c13_inhibition_lets_one_neuron_through(subject):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Inhibition is an unstable feature")
        layer = subject.keeping(inhibition=True)
    spikes, _ = step(layer, subject.current())
    assert set(spikes.sum(-1).unique().tolist()) == {0.0, 1.0}


@check
def c14_monitors_see_it(subject):
    net, current = nn.Sequential(subject.keeping()), subject.current().requires_grad_()
    kind = subject.kind
    monitors = {
        "output": probe.OutputMonitor(net, kind),
        "input": probe.InputMonitor(net, kind),
        "state": probe.AttributeMonitor("mem", False, net, kind),
    }
    spikes, membranes = step(net, current)
    for name, monitor in monitors.items():
        assert monitor.monitored_layers == ["0"], name
        assert len(monitor.records) == len(current), name
    same((spikes,), (torch.stack([spk for spk, _ in monitors["output"].records]),))
    same((current,), (torch.stack(monitors["input"].records),))
    same((membranes,), (torch.stack(monitors["state"].records),))


@check
def c14_monitors_see_its_gradients(subject):
    net = nn.Sequential(subject.build(init_hidden=True))
    monitors = [m(net, subject.kind) for m in (probe.GradOutputMonitor, probe.GradInputMonitor)]
    current = subject.current().requires_grad_()
    torch.stack([net(x) for x in current]).sum().backward()
    for monitor in monitors:
        assert len(monitor.records) == len(current)
        assert all(record.shape == subject.shape for record in monitor.records)
