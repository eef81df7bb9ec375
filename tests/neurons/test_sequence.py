"""The step call against whole sequences, and the states that a layer keeps."""

import pytest
import snntorch as snn
import torch
from snntorch import utils
from torch import nn

from srnn.neurons import ALIF, LIF, RALIF, RLIF

KINDS = [LIF, RLIF, ALIF, RALIF]
each = pytest.mark.parametrize("kind", KINDS)
ways = pytest.mark.parametrize(
    "given",
    [
        {"beta": 0.85, "threshold": 0.4},
        {"tau_mem": "uniform(2, 20)", "threshold": 0.15},
    ],
    ids=["beta", "tau"],
)
resets = pytest.mark.parametrize("reset_mechanism", ["subtract", "zero", "none"])


@pytest.fixture
def reference(monkeypatch):
    """Run sequences on the kernel that agrees with stepping to the last bit."""
    monkeypatch.setenv("SRNN_KERNEL", "reference")


def make(kind, given, **options):
    torch.manual_seed(1)
    if kind in (ALIF, RALIF):
        options = {"tau_adapt": "uniform(3, 30)"} | options
    return kind(linear_features=3, **given, **options)


def current_of(steps=20, batch=2):
    return torch.randn(steps, batch, 3) * 1.5 + 0.3


def stepped(layer, current, hidden):
    """Spikes and membranes of the step call, with hidden or explicit state."""
    layer.init_hidden, layer.output = hidden, hidden
    outputs, state = [], ()
    for x in current:
        out = layer(x, *state)
        outputs.append(out)
        if not hidden:
            state = out if isinstance(layer, snn.RLeaky) else out[1:]
    return [torch.stack(part) for part in zip(*outputs, strict=True)]


@each
@ways
@resets
@pytest.mark.parametrize("hidden", [True, False])
@pytest.mark.usefixtures("reference")
def test_stepping_equals_the_whole_sequence(kind, given, reset_mechanism, hidden):
    current = current_of().requires_grad_()
    layer = make(kind, given, reset_mechanism=reset_mechanism)
    spikes, state, membrane = layer.forward_sequence(current, return_membrane=True)
    assert 0.02 < spikes.mean() < 0.98
    S, u = stepped(layer, current, hidden)
    assert torch.equal(S, spikes)
    assert torch.equal(u, membrane)
    for name in layer._hidden_states():
        assert torch.equal(getattr(layer, name), getattr(state, name))

    weights = torch.randn(2, *spikes.shape)
    wanted = [current, *layer.parameters()]
    gradients = [
        torch.autograd.grad((weights * torch.stack(pair)).sum(), wanted, allow_unused=True)
        for pair in ((S, u), (spikes, membrane))
    ]
    for a, b in zip(*gradients, strict=True):
        # Not to the last bit: the two graphs sum the same terms in another order, which leaves a
        # few roundings of float32 (6e-8) of the largest terms, about 100; 2e-5 was measured.
        torch.testing.assert_close(a, b, rtol=1e-5, atol=3e-5)


@each
@ways
@resets
@pytest.mark.parametrize("kernel", ["auto", "torch"])
def test_stepping_is_close_to_the_whole_sequence_on_every_kernel(
    kind, given, reset_mechanism, kernel, monkeypatch
):
    monkeypatch.setenv("SRNN_KERNEL", kernel)
    layer = make(kind, given, reset_mechanism=reset_mechanism).double()
    current = current_of().double()
    spikes, state, membrane = layer.forward_sequence(current, return_membrane=True)
    S, u = stepped(layer, current, hidden=True)
    assert torch.equal(S, spikes)
    torch.testing.assert_close(u, membrane, rtol=1e-12, atol=1e-12)
    assert torch.equal(state.spikes, spikes[-1])
    for name in layer._hidden_states():
        torch.testing.assert_close(
            getattr(layer, name), getattr(state, name), rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("kind", [LIF, RLIF])
@resets
def test_a_reset_without_delay_steps_as_it_runs(kind, reset_mechanism):
    layer = make(kind, {"beta": 0.85}, reset_mechanism=reset_mechanism, reset_delay=False)
    current = current_of()
    spikes, _, membrane = layer.forward_sequence(current, return_membrane=True)
    S, u = stepped(layer, current, hidden=True)
    assert spikes.any()
    assert torch.equal(S, spikes)
    assert torch.equal(u, membrane)


@each
@ways
@pytest.mark.parametrize("cuts", [(7,), (1, 2, 19), (0, 10)])
def test_pieces_with_carried_state_equal_the_whole(kind, given, cuts):
    layer, current = make(kind, given, output=True), current_of()
    spikes, end, membrane = layer.forward_sequence(current, return_membrane=True)
    state, pieces = None, []
    for piece in torch.tensor_split(current, cuts):
        S, state, u = layer.forward_sequence(piece, state, return_membrane=True)
        pieces.append((S, u))
    S, u = (torch.cat(part) for part in zip(*pieces, strict=True))
    assert torch.equal(S, spikes)
    assert torch.equal(u, membrane)
    for a, b in zip(state, end, strict=True):
        assert torch.equal(a, b)


@each
@ways
def test_graded_spikes_are_carried_between_pieces(kind, given):
    layer, current = make(kind, given), current_of()
    if kind in (LIF, ALIF):
        layer = make(kind, given, graded_spikes_factor=0.5)
    spikes, _ = layer.forward_sequence(current)
    first, state = layer.forward_sequence(current[:9])
    second, _ = layer.forward_sequence(current[9:], state)
    assert torch.equal(torch.cat([first, second]), spikes)


@each
@ways
def test_a_reset_mask_equals_running_the_pieces_apart(kind, given):
    options = {"initial_adaptation": 0.3} if kind in (ALIF, RALIF) else {}
    layer, current = make(kind, given, **options), current_of()
    mask = torch.zeros(20, 2, dtype=torch.bool)
    mask[6, 0] = mask[13, 0] = mask[0, 1] = mask[9, 1] = True
    spikes, state, membrane = layer.forward_sequence(current, reset=mask, return_membrane=True)
    for sample, cuts in ((0, (6, 13)), (1, (9,))):
        pieces = torch.tensor_split(current[:, sample : sample + 1], cuts)
        runs = [layer.forward_sequence(piece, return_membrane=True) for piece in pieces]
        assert torch.equal(torch.cat([run[0] for run in runs])[:, 0], spikes[:, sample])
        assert torch.equal(torch.cat([run[2] for run in runs])[:, 0], membrane[:, sample])
        for a, b in zip(runs[-1][1], state, strict=True):
            assert torch.equal(a[0], b[sample])
    plain, _ = layer.forward_sequence(current)
    assert not torch.equal(plain, spikes)  # the mask did something


@each
def test_a_reset_mask_cuts_the_gradient(kind):
    layer = make(kind, {"tau_mem": 5.0})
    current, mask = current_of(10).requires_grad_(), torch.zeros(10, 2)
    mask[4] = 1
    _, _, membrane = layer.forward_sequence(current, reset=mask, return_membrane=True)
    (gradient,) = torch.autograd.grad(membrane[-1].sum(), current)
    assert not gradient[:4].any()
    assert gradient[4:].any()


@each
@ways
def test_the_membrane_is_differentiable_and_only_there_when_asked_for(kind, given):
    layer, current = make(kind, given), current_of().requires_grad_()
    assert len(layer.forward_sequence(current)) == 2
    _, _, membrane = layer.forward_sequence(current, return_membrane=True)
    membrane[-1].sum().backward()
    assert current.grad[0].any()
    assert current.grad[-1].all()


@each
def test_a_sequence_leaves_the_states_of_the_step_call_alone(kind):
    layer = make(kind, {"beta": 0.9}, init_hidden=True)
    layer(current_of()[0])
    before = {name: value.clone() for name, value in layer.named_buffers()}
    layer.forward_sequence(current_of())
    for name, value in layer.named_buffers():
        assert torch.equal(value, before[name]), name


@each
@ways
def test_states_follow_the_shape_of_the_input(kind, given):
    layer = make(kind, given, init_hidden=True, output=True)
    stepped(layer, current_of(batch=2), hidden=True)
    current = current_of(batch=5)
    fresh = make(kind, given)
    for a, b in zip(stepped(layer, current, True), stepped(fresh, current, True), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", [ALIF, RALIF])
@pytest.mark.parametrize("batch", [None, 5])
def test_a_membrane_of_a_new_shape_comes_with_a_new_adaptation(kind, batch):
    """A fresh layer, or one that has run on another batch, is given a membrane to start from."""
    layer = make(kind, {"beta": 0.9}, initial_adaptation=0.5)
    if batch:
        stepped(layer, current_of(batch=batch), hidden=False)
    layer(torch.zeros(2, 3), mem=torch.full((2, 3), 0.1))
    torch.testing.assert_close(layer.adaptation, (0.5 * layer.tau_adapt.decay()).expand(2, 3))


@each
def test_a_state_given_to_hidden_state_is_refused(kind):
    layer = make(kind, {"beta": 0.9}, init_hidden=True)
    states = [{"mem": torch.zeros(2, 3)}]
    if kind in (RLIF, RALIF):
        states.append({"spk": torch.zeros(2, 3)})
    for state in states:
        with pytest.raises(TypeError, match=f"init_hidden=True, {kind.__name__} keeps"):
            layer(torch.zeros(2, 3), **state)


@each
@pytest.mark.parametrize("initial", [0.0, "threshold"])
@pytest.mark.parametrize("by", ["utils", "layer"])
def test_a_reset_reaches_every_state(kind, initial, by):
    adaptive = kind in (ALIF, RALIF)
    options = {"initial_adaptation": initial} if adaptive else {}
    layer = make(kind, {"beta": 0.9, "threshold": 0.4}, init_hidden=True, output=True, **options)
    net = nn.Sequential(nn.Linear(3, 3), layer)
    for x in current_of():
        net(x)
    layer(torch.full((2, 3), 9.0))  # so that the last spikes are not zero anyway
    states = {name: value for name, value in layer.named_buffers() if value.shape == (2, 3)}
    kept = {"mem"} | ({"spk"} if kind in (RLIF, RALIF) else set())
    kept |= {"adaptation"} if adaptive else set()
    assert set(states) == kept
    assert all(value.any() for value in states.values())

    if by == "utils":
        utils.reset(net)
    else:
        layer.reset_mem()
    start = {"mem": 0.0, "spk": 0.0, "adaptation": 0.4 if initial == "threshold" else 0.0}
    for name in kept:
        value = getattr(layer, name)
        assert not value.requires_grad
        assert torch.equal(value, torch.full((2, 3), start[name])), name
    current = current_of()
    again = [torch.stack(part) for part in zip(*map(layer, current), strict=True)]
    fresh = make(kind, {"beta": 0.9, "threshold": 0.4}, **options)
    for a, b in zip(again, stepped(fresh, current, True), strict=True):
        assert torch.equal(a, b)


@each
@ways
@pytest.mark.parametrize("how", ["explicit", "hidden", "in place"])
def test_windows_of_truncated_backpropagation_share_no_graph(kind, given, how):
    layer = make(kind, given, init_hidden=how != "explicit", output=True)
    projection = nn.Linear(3, 3)
    state = ()
    for _ in range(3):
        loss = torch.zeros(())
        for x in current_of(5):
            spikes, membrane = layer(projection(x), *state)
            loss = loss + spikes.sum() + membrane.sum()
            if how == "explicit":
                state = (spikes, membrane) if isinstance(layer, snn.RLeaky) else (membrane,)
        loss.backward()
        state = tuple(part.detach() for part in state)
        if how == "hidden":
            type(layer).detach_hidden()
        elif how == "in place":
            for value in (layer.mem, getattr(layer, "spk", layer.mem)):
                value.detach_()
    assert projection.weight.grad.any()


@pytest.mark.parametrize("kind", [ALIF, RALIF])
def test_the_adaptation_is_carried_over_a_detached_membrane(kind):
    layer, current = make(kind, {"beta": 0.9, "threshold": 0.3}), current_of()
    whole, _ = stepped(layer, current, hidden=True)
    layer.reset_mem()
    first, _ = stepped(layer, current[:10], hidden=True)
    kind.detach_hidden()
    second, _ = stepped(layer, current[10:], hidden=True)
    assert torch.equal(torch.cat([first, second]), whole)


@each
def test_an_empty_sequence_has_no_steps(kind):
    layer = make(kind, {"tau_mem": 5.0})
    spikes, state, membrane = layer.forward_sequence(torch.ones(0, 2, 3), return_membrane=True)
    assert spikes.shape == membrane.shape == (0, 2, 3)
    assert not state.membrane.any()


@each
def test_wrong_shapes_are_refused_by_name(kind):
    layer = make(kind, {"beta": 0.9})
    expects = rf"{kind.__name__} expects a current of shape \[time, batch, 3\], got "
    for shape in ((5, 2, 4), (5, 3)):
        with pytest.raises(ValueError, match=expects) as error:
            layer.forward_sequence(torch.ones(shape))
        assert str(list(shape)) in str(error.value)
    for shape in ((5,), (2, 5), (5, 2, 3), (5, 3)):
        with pytest.raises(ValueError, match=r"\[time, batch\] = \[5, 2\], got ") as error:
            layer.forward_sequence(torch.ones(5, 2, 3), reset=torch.zeros(shape))
        assert str(list(shape)) in str(error.value)


@pytest.mark.parametrize("kind", [LIF, ALIF])
def test_a_layer_that_was_not_told_its_size_takes_any(kind):
    spikes, _ = kind(beta=0.9).forward_sequence(torch.ones(4, 2, 7))
    assert spikes.shape == (4, 2, 7)
    with pytest.raises(ValueError, match=r"\[time, batch, neurons\], got \[4, 2\]"):
        kind(beta=0.9).forward_sequence(torch.ones(4, 2))


@pytest.mark.parametrize("kind", [ALIF, RALIF])
def test_a_membrane_of_zeros_begins_every_state_anew(kind):
    layer = kind(beta=0.9, linear_features=3)
    current = torch.rand(20, 2, 3)

    def sequence():
        # As snnTorch's users write it, who know of no state but these.
        state = [torch.zeros(2, 3) for _ in range(2 if kind is RALIF else 1)]
        spikes = []
        for x in current:
            spk, mem = layer(x, *state)
            state = [spk, mem] if kind is RALIF else [mem]
            spikes.append(spk)
        return torch.stack(spikes)

    first = sequence()
    assert first.any()
    assert torch.equal(sequence(), first)


def test_only_a_detached_membrane_cuts_the_gradient_of_the_adaptation():
    # Here the membrane needs no gradient at all, so that it must not be taken for a detached one.
    options = {"beta": 0.9, "reset_mechanism": "none", "threshold": 0.5, "linear_features": 3}
    layer = ALIF(**options, init_hidden=True, tau_adapt=20.0)
    current = torch.rand(30, 2, 3)
    stepped = torch.stack([layer(x) for x in current])
    whole, _ = layer.forward_sequence(current)
    gradients = [
        torch.autograd.grad(spikes[-1].sum(), layer.tau_adapt.theta)[0]
        for spikes in (stepped, whole)
    ]
    assert gradients[1].abs().min() > 0
    torch.testing.assert_close(*gradients)  # summed over the steps in another order


def test_a_sequence_begun_with_zeros_touches_nothing_of_the_one_before():
    # Nor its graph, which is freed by then. Here the adaptation alone has a gradient of its own.
    layer = ALIF(beta=0.9, reset_mechanism="none", threshold=0.5, tau_adapt=20.0)
    for _ in range(2):
        membrane, fired = torch.zeros(2, 3), 0.0
        for x in torch.rand(10, 2, 3):
            spikes, membrane = layer(x, membrane)
            fired = fired + spikes.sum()
        fired.backward()
    assert layer.tau_adapt.theta.grad.any()


@pytest.mark.usefixtures("reference")
def test_an_adaptive_layer_on_data_is_truncated_by_its_membrane():
    # Which depends on nothing that is learned: it is tied to the adaptation, and no more than that.
    layer = ALIF(beta=0.9, init_hidden=True, output=True, tau_adapt=20.0)
    kept = ALIF(beta=0.9, adaptation_strength=1.8, tau_adapt=20.0)
    current = torch.rand(12, 2, 3) * 2
    expected, _, membrane = kept.forward_sequence(current, return_membrane=True)
    for part in range(3):
        pairs = [layer(x) for x in current[4 * part : 4 * part + 4]]
        spikes, membranes = (torch.stack(each) for each in zip(*pairs, strict=True))
        assert torch.equal(spikes, expected[4 * part : 4 * part + 4])
        assert torch.equal(membranes, membrane[4 * part : 4 * part + 4])
        (gradient,) = torch.autograd.grad(membranes.sum(), layer.tau_adapt.theta, retain_graph=True)
        assert not gradient.any()
        spikes.sum().backward()
        snn.Leaky.detach_hidden()
    assert layer.tau_adapt.theta.grad.any()
