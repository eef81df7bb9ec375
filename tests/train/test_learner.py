"""What every training has in common: running means, the norm of a gradient."""

import pytest
import torch

from srnn.train.learner import Averages, gradient_norm


def test_averages_live_in_the_state():
    one, other = (Averages(["loss", "accuracy"], ["layer1"]) for _ in range(2))
    one.update(torch.tensor(3.0), loss=(2.0, 4), accuracy=(0.5, 4), rate_layer1=(0.1, 1))
    other.load_state_dict(one.state_dict())
    other.update(torch.tensor(1.0), loss=(5.0, 2), accuracy=(1.0, 4), rate_layer1=(0.3, 1))
    means = other.take()
    assert list(means) == one.names()
    assert means == pytest.approx(
        {"loss": 3.0, "accuracy": 0.75, "grad_norm": 2.0, "rate_layer1": 0.2, "grad_norm_max": 3.0}
    )
    other.update(torch.tensor(1.0), loss=(7.0, 1), accuracy=(0.0, 1), rate_layer1=(0.0, 1))
    assert other.take()["grad_norm_max"] == 1.0  # it began anew


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_the_norm_of_an_exploding_gradient_is_finite(scale):
    gradients = [torch.tensor([3.0, 0.0]) * scale, torch.tensor([[4.0]]) * scale]
    torch.testing.assert_close(gradient_norm(gradients), torch.tensor(5.0 * scale))


def test_the_norm_of_no_gradient_and_of_a_broken_one():
    assert gradient_norm([torch.zeros(2)]) == 0
    for broken in (float("nan"), float("inf")):
        assert not gradient_norm([torch.ones(2), torch.tensor([broken])]).isfinite()
