"""--rate-penalty: its value and gradient against the formula, and what it does to a network."""

import json

import pytest
import torch

from srnn import Record
from srnn.datasets import Info
from srnn.train.config import Experiment
from srnn.train.module import SequenceClassifier
from srnn.train.scores import criterion

STEPS, BATCH = 10, 4
INFO = Info("toy", "Toy", 3, STEPS, ("a", "b"), False, *("text",) * 5)


@pytest.fixture
def module(network):
    """Make a module with a penalty on firing."""

    def make(penalty, target, **options):
        experiment = Experiment(rate_penalty=penalty, rate_target=target, **options)
        return SequenceClassifier(network(hidden=(3, 2)), INFO, experiment, 10)

    return make


@pytest.mark.parametrize("target", [0.0, 0.25])
def test_value_and_gradient_follow_the_formula(target, module):
    counts = [
        torch.tensor([[0.0, 4, 9]] * BATCH, requires_grad=True),
        torch.tensor([[1.0, 6]] * BATCH, requires_grad=True),
    ]
    penalty = module(2.0, target)._firing_penalty(Record(tuple(counts), STEPS, ()))
    rates = [0.0, 0.4, 0.9, 0.1, 0.6]
    assert float(penalty.detach()) == pytest.approx(2 * sum(max(0, r - target) for r in rates) / 5)
    penalty.backward()
    # A neuron above the target: 2 / 5 neurons / 10 steps / 4 sequences for one more spike.
    slopes = [0.01 if rate > target else 0.0 for rate in rates]
    found = torch.cat([layer.grad for layer in counts], 1)
    torch.testing.assert_close(found, torch.tensor([slopes] * BATCH))


def test_a_network_without_spikes_pays_nothing(module):
    assert module(2.0, 0.0)._firing_penalty(Record((), STEPS, ())) == 0.0


def test_it_reaches_the_weights_as_the_surrogate_says(module, monkeypatch):
    """The gradient of a training step is that of the loss and the penalty, both by autograd."""
    inputs, targets = torch.rand(STEPS, BATCH, 3).round(), torch.tensor([0, 1, 0, 1])
    made = module(3.0, 0.05, clip_norm=0.0)
    expected = module(3.0, 0.05).network
    logits, record = expected(inputs, keep_spikes=True)
    fired = torch.cat([spikes.mean((0, 1)) for spikes in record.spikes])
    assert (fired > 0.05).any()
    (criterion(logits, targets) + 3 * (fired - 0.05).clamp(min=0).mean()).backward()
    (optimizer,), (scheduler,) = made.configure_optimizers()
    monkeypatch.setattr(made, "optimizers", lambda: optimizer)
    monkeypatch.setattr(made, "lr_schedulers", lambda: scheduler)
    monkeypatch.setattr(made, "manual_backward", lambda loss: loss.backward())
    made.training_step((inputs, targets), 0)
    plain = module(0.0, 0.0).network
    criterion(plain(inputs)[0], targets).backward()
    for ours, theirs, without in zip(
        made.network.parameters(), expected.parameters(), plain.parameters(), strict=True
    ):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)
        if ours.shape == (3, 3):
            assert not torch.allclose(ours.grad, without.grad, rtol=1e-2)


def test_it_makes_a_network_sparser_and_is_no_part_of_the_loss(train):
    rates, losses = {}, {}
    for penalty in (0, 30):
        folder = train("--rate-penalty", penalty, "--epochs", 3, name=f"penalty{penalty}")
        summary = json.loads((folder / "summary.json").read_text())
        rates[penalty] = summary["rates"]["layer1"]
        losses[penalty] = summary["test"]["loss"]
    assert rates[30] < 0.7 * rates[0]
    assert losses[30] < 3


@pytest.mark.parametrize("flag", ["--rate-penalty", "--rate-target"])
def test_wrong_flag(flag, refused):
    assert refused(flag, "-1") == f"{flag} must not be negative; got -1.0."
