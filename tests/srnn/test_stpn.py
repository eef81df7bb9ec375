"""STPN: the published network, its counts, and the conventions that it shares with the others."""

import pytest
import torch

import srnn
from srnn import Readout
from srnn.neurons.plasticity import (
    HebbianState,
    MemristiveSTP,
    PlasticState,
    TsodyksMarkramSTP,
)
from srnn.stpn import STPN, STPNLayer

T, B, CHANNELS, CLASSES = 9, 4, 5, 3


def make(readout="last", hidden=(6,), **synapses):
    net = STPN(CHANNELS, hidden, CLASSES, readout=readout, **synapses)
    for layer in net.layers:
        torch.nn.init.uniform_(layer.plasticity.Gamma, -0.3, 0.3)
    return net


def test_the_counts_of_the_paper():
    assert sum(p.numel() for p in srnn.STPN(37, [11], 37).parameters()) == 2039
    scalar = STPN(37, [20], 37, lambda_per="scalar", gamma_per="scalar")
    assert sum(p.numel() for p in scalar.parameters()) == 1939
    pong = STPN(2592, [64], 6)
    assert pong.layers[0].plasticity.synapses == 169_984
    assert sum(p.numel() for p in pong.layers.parameters()) == 510_016


def test_a_step_is_the_published_equation():
    layer = STPNLayer(2, 3).double()
    p = layer.plasticity.params()
    x, h, F = torch.randn(4, 2).double(), torch.rand(4, 3).double(), torch.randn(4, 3, 5).double()
    sequence, state = layer(x[None], PlasticState(h, (), HebbianState(F)))
    activity = sequence[0]
    for b in range(4):
        z = torch.cat([x[b], h[b]])
        G = p.W + F[b]
        n = G.square().sum(1).sqrt()
        expected = torch.tanh((G / n[:, None]) @ z + p.bias)
        torch.testing.assert_close(activity[b], expected)
        learned = p.Lambda * F[b] / n[:, None] + p.Gamma * torch.outer(expected, z)
        torch.testing.assert_close(state.synapses.F[b], learned)
    assert torch.equal(state.h, activity)


@pytest.mark.parametrize("readout", ["last", "mean", "softmax-sum", "stream"])
def test_pieces_with_carried_state_equal_the_whole(readout):
    net = make(readout, hidden=(6, 4))
    x = torch.randn(T, B, CHANNELS)
    whole, record = net(x, keep_membranes=True)
    first, middle = net(x[:4])
    logits, end = net(x[4:], middle.state)
    logits = torch.cat([first, logits]) if readout == "stream" else logits
    torch.testing.assert_close(logits, whole)
    torch.testing.assert_close(end.state[1].synapses.F, record.state[1].synapses.F)
    assert record.counts == ()
    assert record.steps == T
    assert [m.shape[-1] for m in record.membranes] == [6, 4]
    assert torch.equal(record.membranes[1][-1], record.state[1].h)


def test_the_last_activity_is_what_is_read():
    net = make()
    x = torch.randn(T, B, CHANNELS)
    logits, record = net(x)
    # Matrices of another shape may be multiplied in another order.
    torch.testing.assert_close(logits, net.readout.projection(record.state[0].h))


def test_a_new_episode_begins_in_its_sequence_only():
    net = make("stream")
    x = torch.randn(T, B, CHANNELS)
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[5, 1] = True
    logits, _ = net(x, reset=reset)
    whole, anew = net(x)[0], net(x[5:])[0]
    others = [0, 2, 3]
    torch.testing.assert_close(logits[:, others], whole[:, others])
    torch.testing.assert_close(logits[5:, 1], anew[:, 1])
    assert not torch.allclose(whole[5:, 1], anew[:, 1])


def test_no_gradient_crosses_the_start_of_an_episode():
    layer = STPNLayer(CHANNELS, 6)
    x = torch.randn(T, B, CHANNELS, requires_grad=True)
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[5, 1] = True
    h, state = layer(x, reset=reset)
    (gradient,) = torch.autograd.grad(h[-1].sum() + state.synapses.F.sum(), x)
    assert not gradient[:5, 1].any()
    assert gradient[5:, 1].any()
    assert gradient[:5, 0].any()


def recalled(plastic):
    """Train on three of four keys, each followed by one of three values; then one is asked for.

    Returns:
        The fraction of right answers to new sequences; chance is 1/3, and a network that knows
        which values it saw, but not which key each belongs to, gets somewhat above 3/5.
    """

    def batch(size):
        keys = torch.rand(size, 4).argsort(1)[:, :3]
        values = torch.randint(3, (size, 3))
        asked = torch.randint(3, (size, 1))
        pairs = torch.stack([keys, 4 + values], 2).flatten(1)
        symbols = torch.cat([pairs, keys.gather(1, asked)], 1)
        return torch.eye(7)[symbols.T], values.gather(1, asked)[:, 0]

    net = STPN(7, [8], 3)
    if not plastic:
        torch.nn.init.zeros_(net.layers[0].plasticity.Gamma).requires_grad_(False)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(300):
        x, target = batch(64)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(x)[0], target).backward()
        optimiser.step()
    x, target = batch(1000)
    return (net(x)[0].argmax(1) == target).float().mean().item()


def test_it_binds_pairs_that_the_same_units_without_plasticity_cannot():
    assert recalled(plastic=True) > 0.95
    assert recalled(plastic=False) < 0.75


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, [3], 2), {}, r"at least one channel, .*; got 0, \[3\] and 2"),
        ((2, [], 2), {}, r"got 2, \[\] and 2"),
        ((2, [3], 2), {"readout": "count"}, "counts spikes"),
        ((2, [3], 2), {"readout": "best"}, "Unknown readout 'best'"),
        ((2, [3], 2), {"normalisation": "pre"}, "normalisation must be one of"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        STPN(*arguments, **options)


def test_a_spiking_readout_is_refused():
    readout = Readout(3, 2, "mean", neuron=srnn.neurons.ALIF(linear_features=2))
    with pytest.raises(ValueError, match="non-spiking network"):
        STPN(2, [3], 2, readout=readout)


def test_inputs_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"inputs of shape \[time, batch, 5\], got \[9, 4, 6\]"):
        make()(torch.zeros(9, 4, 6))
    with pytest.raises(ValueError, match="reset mask must have the shape"):
        make("stream")(torch.zeros(9, 4, 5), reset=torch.zeros(9, 3, dtype=torch.bool))


def test_other_synapses_take_the_place_of_the_hebbian_ones():
    """Memristors without limits, of one decay, are Hebbian synapses with one Lambda."""
    torch.manual_seed(0)
    unlimited = {"window": (-torch.inf, torch.inf), "retention_range": (1e-3, 60.0)}
    net = STPN(CHANNELS, (6,), CLASSES, plasticity=MemristiveSTP, **unlimited).double()
    plain = STPN(CHANNELS, (6,), CLASSES, normalisation="none", lambda_per="scalar").double()
    plain.load_state_dict(
        {
            **{n: p for n, p in net.state_dict().items() if n in plain.state_dict()},
            "layers.0.plasticity.Lambda": net.layers[0].plasticity.params().decay,
        }
    )
    for one in (net, plain):
        with torch.no_grad():
            one.layers[0].plasticity.Gamma.copy_(torch.linspace(-0.3, 0.3, 66).view(6, 11))
    x = torch.randn(T, B, CHANNELS).double()
    torch.testing.assert_close(net(x)[0], plain(x)[0], rtol=1e-12, atol=1e-12)
    with pytest.raises(TypeError, match="normal_isation"):
        STPN(CHANNELS, (6,), CLASSES, plasticity=MemristiveSTP, normal_isation="none")


def test_synapses_that_take_no_tanh_are_refused():
    with pytest.raises(ValueError, match="TsodyksMarkramSTP takes activity between 0 and 1, and"):
        STPN(5, [4], 3, plasticity=TsodyksMarkramSTP)
