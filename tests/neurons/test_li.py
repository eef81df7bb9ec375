"""LI: the closed form, chunks and resets."""

import numpy as np
import pytest
import torch

from srnn.neurons import LI, TimeConstant


def test_a_trace_follows_its_equation():
    li = LI(3, "uniform(2, 30)").double()
    current = torch.randn(50, 2, 3).double()
    membrane, state = li.forward_sequence(current)
    alpha = np.exp(-1 / li.tau_mem.tau.detach().numpy())
    o = np.zeros((2, 3))
    for t, x in enumerate(current.numpy()):
        o = alpha * o + (1 - alpha) * x
        np.testing.assert_allclose(membrane[t].detach(), o, rtol=0, atol=1e-12)
    assert torch.equal(state.membrane, membrane[-1])


def test_a_constant_current_is_approached_exponentially():
    li = LI(1, 10.0)
    membrane, _ = li.forward_sequence(torch.full((30, 1, 1), 3.0))
    steps = torch.arange(1, 31)
    torch.testing.assert_close(membrane.flatten(), 3 * (1 - torch.exp(-steps / 10)))


def test_pieces_with_carried_state_equal_the_whole():
    li = LI(3)
    current = torch.randn(20, 2, 3)
    whole, end = li.forward_sequence(current)
    first, state = li.forward_sequence(current[:7])
    second, state = li.forward_sequence(current[7:], state)
    assert torch.equal(torch.cat([first, second]), whole)
    assert torch.equal(state.membrane, end.membrane)


def test_a_reset_begins_anew():
    li = LI(3)
    current, reset = torch.randn(12, 2, 3), torch.zeros(12, 2, dtype=torch.bool)
    reset[5, 0] = True
    membrane, _ = li.forward_sequence(current, reset=reset)
    plain, _ = li.forward_sequence(current)
    anew, _ = li.forward_sequence(current[5:])
    assert torch.equal(membrane[:, 1], plain[:, 1])
    assert torch.equal(membrane[:5, 0], plain[:5, 0])
    assert torch.equal(membrane[5:, 0], anew[:, 0])


def test_gradients_match_finite_differences():
    li = LI(2, "uniform(2, 9)").double()

    def run(current, theta):
        call = torch.func.functional_call(_Sequence(li), {"li.tau_mem.theta": theta}, (current,))
        return call[0], call[1].membrane

    current = torch.randn(5, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, (current, li.tau_mem.theta.detach().requires_grad_()))


class _Sequence(torch.nn.Module):
    def __init__(self, li):
        super().__init__()
        self.li = li

    def forward(self, current):
        return self.li.forward_sequence(current)


def test_a_given_time_constant_is_used_as_it_is():
    held = TimeConstant(7.0, 2, learn=False)
    assert LI(2, held).tau_mem is held


def test_an_empty_sequence_changes_nothing():
    li = LI(2)
    _, state = li.forward_sequence(torch.ones(3, 1, 2))
    membrane, after = li.forward_sequence(torch.ones(0, 1, 2), state)
    assert membrane.shape == (0, 1, 2)
    assert after is state


def test_wrong_shapes_are_refused_by_name():
    li = LI(3)
    for shape in ((5, 2, 4), (5, 2, 1), (5, 3)):
        with pytest.raises(ValueError, match=r"LI expects .* \[time, batch, 3\]") as error:
            li.forward_sequence(torch.ones(shape))
        assert str(list(shape)) in str(error.value)
    with pytest.raises(ValueError, match=r"\[time, batch\] = \[5, 2\], got \[5\]"):
        li.forward_sequence(torch.ones(5, 2, 3), reset=torch.zeros(5))


def test_a_time_constant_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="must be positive, got -1"):
        LI(3, -1.0)
