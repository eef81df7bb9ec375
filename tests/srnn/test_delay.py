"""Delay: what arrives when, in pieces, across episodes, and within a network."""

import pytest
import torch

from srnn import SRNN, Delay, detach
from srnn.neurons import LIF

STEPS, BATCH, NEURONS = 12, 3, 4
STEPS_LATE = [0, 1, 3, 20]


def by_hand(current, steps, reset=None):
    """The definition, one value at a time."""
    delayed = torch.zeros_like(current)
    for t in range(len(current)):
        for b in range(current.shape[1]):
            for n, d in enumerate(steps):
                crossed = reset is not None and t >= d and bool(reset[t - d + 1 : t + 1, b].any())
                if t >= d and not crossed:
                    delayed[t, b, n] = current[t - d, b, n]
    return delayed


def test_every_neuron_has_its_own_delay():
    current = torch.randn(STEPS, BATCH, NEURONS)
    assert torch.equal(Delay(NEURONS, STEPS_LATE)(current), by_hand(current, STEPS_LATE))
    assert torch.equal(Delay(NEURONS, 2)(current), by_hand(current, [2] * NEURONS))
    assert torch.equal(Delay(NEURONS, 0)(current), current)


@pytest.mark.parametrize("cuts", [(1,), (5,), (2, 3, 9), (0, 12)])
@pytest.mark.parametrize("episodes", [False, True])
def test_pieces_and_episodes(cuts, episodes):
    current = torch.randn(STEPS, BATCH, NEURONS)
    reset = torch.rand(STEPS, BATCH) < 0.2 if episodes else None
    delay = Delay(NEURONS, [0, 1, 3, 5])
    pieces, state = [], None
    masks = torch.tensor_split(reset, cuts) if episodes else [None] * (len(cuts) + 1)
    for piece, mask in zip(torch.tensor_split(current, cuts), masks, strict=True):
        delayed, state = delay.forward_sequence(piece, state, reset=mask)
        pieces.append(delayed)
    assert torch.equal(torch.cat(pieces), by_hand(current, [0, 1, 3, 5], reset))


def test_gradients_go_back_in_time():
    current = torch.zeros(STEPS, 1, 2, requires_grad=True)
    Delay(2, [1, 4])(current)[5].sum().backward()
    assert current.grad.nonzero().tolist() == [[1, 0, 1], [4, 0, 0]]


@pytest.mark.parametrize("readout", ["mean", "stream"])
def test_a_network_carries_what_is_under_way(readout):
    network = SRNN(
        *(3, [NEURONS, 2], 2),
        between=lambda n: Delay(n, list(range(n))),
        readout=readout,
        neuron=LIF,
        threshold=0.05,
    )
    inputs = (torch.rand(STEPS, BATCH, 3) < 0.5).float()
    reset = torch.rand(STEPS, BATCH) < 0.2 if readout == "stream" else None
    whole, record = network(inputs, reset=reset, keep_spikes=True)
    assert record.spikes[0].any()
    state, outputs, spikes = None, [], []
    for piece in (slice(0, 4), slice(4, 5), slice(5, STEPS)):
        mask = None if reset is None else reset[piece]
        logits, part = network(inputs[piece], state, reset=mask, keep_spikes=True)
        state = detach(part.state)
        outputs.append(logits)
        spikes.append(part.spikes[1])
    assert torch.equal(torch.cat(spikes), record.spikes[1])
    # A mean adds in another order when it adds in pieces.
    torch.testing.assert_close(torch.cat(outputs) if readout == "stream" else outputs[-1], whole)
    assert torch.equal(network.layers[0].between.steps, torch.arange(NEURONS))
    assert "layers.0.between.steps" in network.state_dict()


def test_mistakes_are_named():
    for steps in (-1, [1, 2, 3], 0.5, [0, 1, 2, -3]):
        with pytest.raises(ValueError, match="whole steps >= 0, one or 4 of them"):
            Delay(4, steps)
    with pytest.raises(ValueError, match=r"\[time, batch, 4\], got \[5, 2, 3\]"):
        Delay(4, 1)(torch.zeros(5, 2, 3))
