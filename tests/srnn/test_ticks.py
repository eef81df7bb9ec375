"""Ticks: a network that takes several time steps for each step of its inputs."""

import pytest
import torch

from srnn import SRNN, from_nir, to_nir
from srnn.meters import measure
from srnn.network import first_ticks
from srnn.neurons.kernels import EventBatch

SIZES = 5, [7, 6], 3


def network(**options):
    torch.manual_seed(0)
    return SRNN(*SIZES, input_gain=6.0, **options).double()


def inputs(steps=9, batch=4):
    return (torch.rand(steps, batch, SIZES[0], dtype=torch.float64) < 0.4).double()


def test_first_ticks_by_hand():
    signal = torch.tensor([[1.0], [2.0]])
    assert first_ticks(signal, 3).tolist() == [[1], [0], [0], [2], [0], [0]]
    assert first_ticks(signal, 1) is signal
    assert first_ticks(torch.tensor([[True], [False]]), 2).tolist() == [[1], [0], [0], [0]]


@pytest.mark.parametrize("ticks", [1, 2, 3])
def test_ticks_are_steps_with_inputs_in_the_first_of_them_alone(ticks):
    net, plain = network(ticks=ticks, readout="stream"), network(readout="stream")
    x = inputs()
    outputs, record = net(x)
    spread = torch.zeros(9 * ticks, 4, 5, dtype=torch.float64)
    spread[::ticks] = x
    expected, beside = plain(spread)
    assert torch.equal(outputs, expected[ticks - 1 :: ticks])
    assert all(torch.equal(*pair) for pair in zip(record.counts, beside.counts, strict=True))
    assert record.counts[1].sum() > 0
    assert record.steps == 9 * ticks


def test_one_answer_to_a_whole_sequence_is_read_over_all_ticks():
    x = inputs()
    net, plain = network(ticks=2, readout="mean"), network(readout="mean")
    torch.testing.assert_close(net(x)[0], plain(first_ticks(x, 2))[0])


def test_an_episode_begins_in_the_first_of_its_ticks():
    """A mask at every tick would wipe out what the inputs had just brought about."""
    net = network(ticks=2, readout="stream")
    x, reset = inputs(), torch.zeros(9, 4, dtype=torch.bool)
    reset[5, 1:] = True
    whole, _ = net(x, reset=reset)
    fresh, _ = net(x[5:, 1:])
    torch.testing.assert_close(whole[5:, 1:], fresh)
    torch.testing.assert_close(whole[5:, 0], net(x)[0][5:, 0])
    assert not torch.allclose(whole[5:, 1:], net(x)[0][5:, 1:])


def test_pieces_go_on_from_each_other():
    net = network(ticks=3, readout="stream")
    x = inputs()
    first, record = net(x[:4])
    second, _ = net(x[4:], record.state)
    torch.testing.assert_close(torch.cat([first, second]), net(x)[0])


def test_events_are_the_same_as_the_dense_inputs():
    net = network(ticks=2, readout="stream")
    x = inputs()
    assert torch.equal(net(EventBatch.of(x))[0], net(x)[0])


def test_gradients_reach_the_inputs_through_all_ticks():
    net = network(ticks=2, readout="stream")
    x = inputs().requires_grad_()
    net(x)[0].sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_the_meters_count_all_ticks_and_charge_inputs_once():
    x = inputs()
    counted, plain = (measure(network(ticks=k, readout="stream"), [x]) for k in (2, 1))
    same = measure(network(readout="stream"), [first_ticks(x, 2)])
    assert counted.per_sample() == same.per_sample()
    assert counted.per_sample().ac > plain.per_sample().ac
    inputs_of = [m.layers["layer1"].terms["synapses"] for m in (counted, plain)]
    assert inputs_of[0].ac == inputs_of[1].ac == float(x.sum()) * 7


def test_some_sequences_can_be_taken_out_of_a_state():
    for net in (network(ticks=2, readout="stream"), network(readout="mean")):
        x = inputs()
        _, record = net(x[:5])
        chosen = torch.tensor([3, 1])
        some, _ = net(x[5:, chosen], net.select_state(record.state, chosen))
        torch.testing.assert_close(some, net(x[5:], record.state)[0].index_select(-2, chosen))


def test_ticks_are_not_lost_on_the_way_to_nir():
    net = network(ticks=2, readout="stream").float()
    with pytest.raises(ValueError, match=r"no place for the 2 ticks of a step: set network.ticks"):
        to_nir(net, strict=False)
    net.ticks = 1
    again, x = from_nir(to_nir(net, strict=False)), inputs().float()
    net.ticks = 2
    expected = again(first_ticks(x, 2))[0][1::2]
    torch.testing.assert_close(net(x)[0], expected)


def test_less_than_one_tick_is_refused():
    with pytest.raises(ValueError, match="one tick a step or more, got 0"):
        network(ticks=0)
