"""The reference loop: what it hands to whom, whole, in pieces and with new episodes."""

import pytest
import torch

from srnn.neurons import RALIF
from srnn.neurons.plasticity import (
    HebbianSTP,
    MemristiveSTP,
    PlasticState,
    TsodyksMarkramSTP,
    plastic_step,
    restart,
    run,
)

KINDS = [HebbianSTP, MemristiveSTP, TsodyksMarkramSTP]
every = pytest.mark.parametrize("kind", KINDS)
either = pytest.mark.parametrize("inputs", [0, 6])
T, B, N = 12, 3, 4


def leaky(current, h, u):
    """Neurons with a state of their own, reset by their last activity."""
    membrane = 0.7 * u[0] + current - h
    return torch.sigmoid(4 * membrane - 2), (membrane,)


def make(kind, inputs):
    stp = kind(N, inputs).double()
    if hasattr(stp, "Gamma"):
        torch.nn.init.uniform_(stp.Gamma, -0.5, 0.5)
    zeros = torch.zeros(B, N).double()
    return stp, PlasticState(zeros, (zeros,), stp.initial_state(B, zeros))


def flat(state):
    return [state.h, *state.neurons, *state.synapses]


@every
@either
def test_a_step_asks_the_plugin_then_the_neurons_then_the_plugin(kind, inputs):
    stp, initial = make(kind, inputs)
    params = stp.params()
    x = torch.rand(B, inputs or N).double()
    start = initial._replace(h=torch.rand(B, N).double())
    z = torch.cat([x, start.h], 1) if inputs else start.h
    current, synapses = stp.transmit(z, start.synapses, params)
    expected, neurons = leaky(current if inputs else current + x, start.h, start.neurons)
    synapses = stp.update(z, expected, synapses, params)
    h, state = plastic_step(x, start, stp, params, leaky)
    for got, right in zip(flat(state), [expected, *neurons, *synapses], strict=True):
        assert torch.equal(got, right)
    assert torch.equal(h, expected)


@every
@either
def test_pieces_with_carried_state_equal_the_whole(kind, inputs):
    stp, initial = make(kind, inputs)
    x = torch.rand(T, B, inputs or N).double()
    whole, end = run(x, initial, initial, None, stp, leaky)
    state, pieces = initial, []
    for piece in (x[:0], x[:5], x[5:]):
        h, state = run(piece, state, initial, None, stp, leaky)
        pieces.append(h)
    assert torch.equal(torch.cat(pieces), whole)
    for got, right in zip(flat(state), flat(end), strict=True):
        assert torch.equal(got, right)


@every
@either
def test_a_new_episode_forgets_everything_in_its_sequence_only(kind, inputs):
    stp, initial = make(kind, inputs)
    x = torch.rand(T, B, inputs or N).double()
    reset = torch.zeros(T, B)
    reset[7, 1] = 1  # a mask of numbers will do
    h, end = run(x, initial, initial, reset, stp, leaky)
    whole, undisturbed = run(x, initial, initial, None, stp, leaky)
    anew, fresh = run(x[7:], initial, initial, None, stp, leaky)
    torch.testing.assert_close(h[:, [0, 2]], whole[:, [0, 2]])
    torch.testing.assert_close(h[7:, 1], anew[:, 1])
    for got, kept, started in zip(flat(end), flat(undisturbed), flat(fresh), strict=True):
        torch.testing.assert_close(got[[0, 2]], kept[[0, 2]])
        torch.testing.assert_close(got[1], started[1])
        assert not torch.equal(got[1], kept[1])


def test_restart_takes_nested_states_and_cuts_the_gradient():
    old, new = (
        PlasticState(
            torch.full((2, 3), v, requires_grad=True), (), (torch.full((2, 3, 4), v), ((),))
        )
        for v in (1.0, 7.0)
    )
    begun = restart(old, new, torch.tensor([False, True]))
    assert begun.h.tolist() == [[1.0] * 3, [7.0] * 3]
    assert begun.neurons == ()
    assert begun.synapses[0][:, 0, 0].tolist() == [1.0, 7.0]
    begun.h.sum().backward()
    assert old.h.grad.tolist() == [[1.0] * 3, [0.0] * 3]


@every
@either
def test_spiking_neurons_learn_through_plastic_synapses(kind, inputs):
    """A RALIF's own step in the loop: the gradient reaches every parameter of the synapses."""
    stp = kind(N, inputs)
    ralif = RALIF(linear_features=N, tau_mem=5.0, threshold=0.05)
    params = ralif.params()

    def advance(current, spikes, state):
        return ralif.step(current, state, params)

    like = torch.zeros(B, N)
    initial = PlasticState(like, ralif.initial_state(like), stp.initial_state(B, like))
    x = (torch.rand(40, B, inputs or N) < 0.5).float()
    spikes, _ = run(x, initial, initial, None, stp, advance)
    assert 0 < spikes.mean() < 1
    (spikes * torch.randn_like(spikes)).sum().backward()
    for name, parameter in stp.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
