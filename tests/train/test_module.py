"""The training step: pieces, updates, learning rates, averages."""

import math

import pytest
import torch

from srnn import detach
from srnn.datasets import IGNORE, Info
from srnn.train.build import build_network
from srnn.train.config import Experiment
from srnn.train.module import SequenceClassifier
from srnn.train.schedule import learning_rate_factor
from srnn.train.scores import criterion


def options(**settings):
    return Experiment(batch_size=4, **settings)


def info(streaming):
    return Info("toy", "Toy", 3, 11, ("a", "b"), streaming, *("text",) * 5)


@pytest.fixture
def batch():
    """Eleven steps of three sequences; a third of the targets of the streaming task is missing."""
    inputs = (torch.rand(11, 3, 3) < 0.4).float()
    targets = torch.randint(2, (11, 3))
    targets[torch.rand(11, 3) < 0.3] = IGNORE
    return inputs, targets


@pytest.fixture
def step(monkeypatch, network):
    """Take a training step without Lightning's trainer; give the module after it."""

    def take(batch, readout="stream", **settings):
        module = SequenceClassifier(
            network(readout=readout), info(readout == "stream"), options(**settings), 10
        )
        (optimizer,), (scheduler,) = module.configure_optimizers()
        monkeypatch.setattr(module, "optimizers", lambda: optimizer)
        monkeypatch.setattr(module, "lr_schedulers", lambda: scheduler)
        monkeypatch.setattr(module, "manual_backward", lambda loss: loss.backward())
        module.training_step(batch, 0)
        return module

    return take


def by_hand(net, batch, length, clip):
    """Truncated backpropagation, written out."""
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    inputs, targets = batch
    state, losses, norms = None, [], []
    for begin in range(0, len(inputs), length):
        logits, record = net(inputs[begin : begin + length], state)
        labels = targets[begin : begin + length] if targets.dim() > 1 else targets
        chosen = labels != IGNORE
        picked = torch.log_softmax(logits, -1)[chosen]
        loss = -picked[torch.arange(len(picked)), labels[chosen]].mean()
        optimizer.zero_grad()
        loss.backward()
        norm = math.sqrt(
            sum(float((p.grad**2).sum()) for p in net.parameters() if p.grad is not None)
        )
        for parameter in net.parameters():
            if parameter.grad is not None and norm > clip:
                parameter.grad *= clip / norm
        optimizer.step()
        state = detach(record.state)
        losses.append((float(loss.detach()), int(chosen.sum())))
        norms.append(norm)
    return losses, norms


@pytest.mark.parametrize("length", [4, 1, 11])
@pytest.mark.parametrize("clip", [0.05, 100.0])
def test_truncated_steps(length, clip, batch, step, network):
    module = step(batch, lr=0.01, tbptt=length, clip_norm=clip)
    expected = network(readout="stream")
    losses, norms = by_hand(expected, batch, length, clip)
    for ours, theirs in zip(module.network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    means = module.recent.take()
    total = sum(weight for _, weight in losses)
    assert means["loss"] == pytest.approx(sum(v * w for v, w in losses) / total, rel=1e-4)
    assert means["grad_norm"] == pytest.approx(sum(norms) / len(norms), rel=1e-3)
    assert means["grad_norm_max"] == pytest.approx(max(norms), rel=1e-3)


def test_pieces_of_a_sequence_with_one_label(batch, step, network):
    labelled = batch[0], torch.tensor([0, 1, 1])
    module = step(labelled, readout="softmax-sum", lr=0.01, tbptt=5, clip_norm=100.0)
    expected = network(readout="softmax-sum")
    by_hand(expected, labelled, 5, 100.0)
    for ours, theirs in zip(module.network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("length", [11, 12, 1000])
def test_pieces_as_long_as_the_sequence_are_the_whole(length, batch, step):
    whole, pieces = step(batch), step(batch, tbptt=length)
    for ours, theirs in zip(pieces.state_dict().values(), whole.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_averages_weigh_pieces_by_what_they_hold(batch, step):
    """The last of the pieces, of 11 = 10 + 1 steps, has no label and counts as one step."""
    inputs, targets = batch
    targets[-1] = IGNORE
    module = step((inputs, targets), tbptt=10, lr=1e-30)
    logits, record = module.network(inputs)
    means = module.recent.take()
    right = (logits.argmax(-1) == targets)[targets != IGNORE].float().mean()
    assert means["accuracy"] == pytest.approx(float(right))
    assert means["loss"] == pytest.approx(float(criterion(logits, targets).detach()))
    assert means["rate_layer1"] == pytest.approx(record.rates()[0])


def test_no_clipping(batch, step):
    steps = [step(batch, clip_norm=clip) for clip in (0.0, 1e6)]
    for one, other in zip(*(module.network.parameters() for module in steps), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("constant", lambda step: 1.0),
        ("linear", lambda step: 1 - step / 40),
        ("cosine", lambda step: (1 + math.cos(math.pi * step / 40)) / 2),
        ("step", lambda step: 0.3 ** (step // 20)),
    ],
)
def test_schedule(name, factor):
    experiment = options(schedule=name, epochs=4, lr_step=2, lr_factor=0.3)
    schedule = learning_rate_factor(experiment, 40)  # ten batches an epoch
    for step in range(41):
        assert schedule(step) == pytest.approx(factor(step), abs=1e-12)


def test_kinds_of_parameters_have_learning_rates_of_their_own(network):
    experiment = options(lr=0.1, tau_lr_factor=10.0, recurrent_lr_factor=0.5, weight_decay=0.01)
    module = SequenceClassifier(network(), info(False), experiment, 10)
    (optimizer,), _ = module.configure_optimizers()
    names = {id(p): name for name, p in module.network.named_parameters()}
    seen = set()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            seen.add(name)
            if "tau" in name:
                assert (group["lr"], group["weight_decay"]) == (1.0, 0.0)
            elif "recurrent" in name:
                assert (group["lr"], group["weight_decay"]) == (0.05, 0.01)
            else:
                assert (group["lr"], group["weight_decay"]) == (0.1, 0.01)
    assert seen == set(names.values())
    assert any("tau" in name for name in seen)


@pytest.mark.parametrize("plastic_inputs", [False, True])
def test_plastic_synapses_that_are_recurrent_alone_learn_as_such(plastic_inputs):
    plastic = {"plasticity": "hebbian", "plastic_inputs": plastic_inputs}
    experiment = options(lr=0.1, recurrent_lr_factor=0.5, hidden=[4], **plastic)
    network = build_network(experiment, info(False))
    module = SequenceClassifier(network, info(False), experiment, 10)
    (optimizer,), _ = module.configure_optimizers()
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    expected = {"W": 0.1, "bias": 0.1} if plastic_inputs else {"W": 0.05, "bias": 0.05}
    synapses = dict(network.layers[0].neuron.plasticity.named_parameters())
    assert {name: rates[id(synapses[name])] for name in ("W", "bias", "Lambda", "Gamma")} == (
        expected | {"Lambda": 0.1, "Gamma": 0.1}
    )
