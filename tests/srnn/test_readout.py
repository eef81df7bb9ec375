"""Readouts: every reduction against its formula, whole and in pieces."""

import pytest
import torch

from srnn import Readout
from srnn.neurons import ALIF, LI, RLIF
from srnn.readout import REDUCTIONS

STEPS, BATCH, INPUTS, CLASSES = 17, 4, 6, 3
each = pytest.mark.parametrize("name", list(REDUCTIONS))
spikes_in = pytest.fixture(lambda: (torch.rand(STEPS, BATCH, INPUTS) < 0.4).float())


def make(name, burn_in=0, **options):
    torch.manual_seed(2)
    readout = Readout(INPUTS, CLASSES, name, burn_in=burn_in, **options)
    torch.nn.init.normal_(readout.projection.weight)
    return readout


def trace_of(readout, spikes):
    """What is reduced: the spikes of 'count', else the membranes."""
    current = readout.projection(spikes)
    if isinstance(readout.neuron, LI):
        return readout.neuron.forward_sequence(current)[0]
    fired, _, membrane = readout.neuron.forward_sequence(current, return_membrane=True)
    return fired if readout.reduction == "count" else membrane


FORMULAS = {
    "softmax-sum": lambda o, b: sum(o[t].softmax(-1) for t in range(b, STEPS)),
    "mean": lambda o, b: sum(o[t] for t in range(b, STEPS)) / (STEPS - b),
    "count": lambda o, b: sum(o[t] for t in range(b, STEPS)),
    "last": lambda o, b: o[STEPS - 1],
    "stream": lambda o, b: o,
}


@each
@pytest.mark.parametrize("burn_in", [0, 5, 9])
@pytest.mark.parametrize("spiking", [False, True])
def test_a_reduction_follows_its_formula(name, burn_in, spiking, spikes_in):
    neuron = ALIF(linear_features=CLASSES) if spiking or name == "count" else None
    readout = make(name, burn_in, neuron=neuron)
    logits, state, fired = readout(spikes_in)
    expected = FORMULAS[name](trace_of(readout, spikes_in), burn_in)
    assert expected.any()
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-6)
    assert logits.shape == ((STEPS,) if name == "stream" else ()) + (BATCH, CLASSES)
    assert state.steps == STEPS
    assert (fired is None) == (neuron is None)
    if fired is not None:
        assert fired.shape == (STEPS, BATCH, CLASSES)


@each
@pytest.mark.parametrize("burn_in", [0, 6])
@pytest.mark.parametrize("cuts", [(4,), (6,), (1, 7, 16)])
def test_pieces_with_carried_state_equal_the_whole(name, burn_in, cuts, spikes_in):
    readout = make(name, burn_in)
    whole, end, _ = readout(spikes_in)
    state, outputs = None, []
    for piece in torch.tensor_split(spikes_in, cuts):
        logits, state, _ = readout(piece, state)
        outputs.append(logits)
    last = torch.cat(outputs) if name == "stream" else outputs[-1]
    torch.testing.assert_close(last, whole, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(state.total, end.total, rtol=1e-5, atol=1e-6)
    for a, b in zip(state.neurons, end.neurons, strict=True):
        torch.testing.assert_close(a, b)
    assert state.steps == end.steps == STEPS


@pytest.mark.parametrize("name", ["softmax-sum", "mean", "count"])
def test_a_burn_in_that_is_not_over_gives_zeros(name, spikes_in):
    logits, _, _ = make(name, STEPS + 3)(spikes_in)
    assert not logits.any()


def test_softmax_sums_add_up_to_the_number_of_steps(spikes_in):
    logits, _, _ = make("softmax-sum", 11)(spikes_in)
    torch.testing.assert_close(logits.sum(-1), torch.full((BATCH,), STEPS - 11.0))


@each
def test_a_gradient_reaches_the_weights(name, spikes_in):
    readout = make(name)
    logits, _, _ = readout(spikes_in)
    (logits * torch.randn_like(logits)).sum().backward()
    assert all(p.grad.any() for n, p in readout.named_parameters()), name


def test_the_default_output_neurons():
    assert isinstance(make("softmax-sum").neuron, LI)
    assert isinstance(make("count").neuron, ALIF)
    assert make("count").neuron.linear_features == CLASSES


def test_a_stream_begins_anew_under_a_reset_mask(spikes_in):
    for neuron in (None, RLIF(linear_features=CLASSES)):
        readout = make("stream", neuron=neuron)
        mask = torch.zeros(STEPS, BATCH)
        mask[8, 1] = 1
        logits, _, _ = readout(spikes_in, reset=mask)
        plain, _, _ = readout(spikes_in)
        anew, _, _ = readout(spikes_in[8:])
        assert torch.equal(logits[:, 0], plain[:, 0])
        torch.testing.assert_close(logits[8:, 1], anew[:, 1])
        assert not torch.equal(logits[8:, 1], plain[8:, 1])


@pytest.mark.parametrize("name", sorted(set(REDUCTIONS) - {"stream"}))
def test_one_answer_a_sequence_refuses_a_reset_mask(name, spikes_in):
    with pytest.raises(ValueError, match=f"'{name}' gives one answer a sequence"):
        make(name)(spikes_in, reset=torch.zeros(STEPS, BATCH))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("vote",), {}, "Unknown readout 'vote'; choose from softmax-sum, mean, last, count"),
        (("mean",), {"burn_in": -1}, "burn_in .* cannot be negative, got -1"),
        (("count",), {"neuron": LI(3)}, "'count' counts spikes: give it spiking output neurons"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        Readout(INPUTS, CLASSES, *arguments, **options)


def test_what_it_prints():
    assert make("mean", 3).extra_repr() == "'mean', burn_in=3"
