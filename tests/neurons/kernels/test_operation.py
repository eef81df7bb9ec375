"""The kernels as an operation of PyTorch: what else of PyTorch it works with."""

import copy

import pytest
import torch
import torch._dynamo.testing
from torch import nn

from srnn import SRNN, detach
from srnn.neurons.kernels.operation import _of_their_own, _take_apart, solve

from .problems import random_problem

kernels = pytest.mark.parametrize("kernel", ["torch", "cpu"])


@pytest.fixture(autouse=True)
def _compiled(request):
    """Leave the cpu kernel out where it is not installed."""
    from srnn.neurons.kernels import library

    uses_cpu = "cpu" in getattr(getattr(request.node, "callspec", None), "params", {}).values()
    if uses_cpu and library.reason():
        pytest.skip(library.reason())


@pytest.fixture
def use(monkeypatch):
    """Set the kernel."""
    return lambda kernel: monkeypatch.setenv("SRNN_KERNEL", kernel)


def network(hidden=(9, 6)):
    torch.manual_seed(3)
    return SRNN(7, hidden, 5, input_gain=3.0)


def loss_of(out):
    logits, record = out
    target = torch.arange(logits.shape[0]) % 5
    return nn.functional.cross_entropy(logits, target) + sum(c.mean() for c in record.counts)


def gradients(net, out):
    return torch.autograd.grad(loss_of(out), list(net.parameters()))


@kernels
@pytest.mark.parametrize("source", ["current", "inputs", "events"])
@pytest.mark.parametrize("adaptive", [False, True])
def test_it_keeps_the_rules_of_operations(kernel, source, adaptive):
    """Schema, no shared memory, autograd, shapes of traced programs, fixed and dynamic."""
    problem = random_problem(steps=6, source=source, adaptive=adaptive, begin=True)
    arguments = (*_take_apart(problem), kernel, True, False, False)
    found = torch.library.opcheck(torch.ops.srnn.sequence.default, arguments)
    assert set(found.values()) == {"SUCCESS"}


def test_results_that_share_memory_are_told_apart():
    a, b = torch.zeros(3), torch.zeros(4)
    own = _of_their_own([a, b, b[1:], a.new_empty(0)], [a])
    assert own[0] is not a
    assert own[1] is b
    assert own[2].untyped_storage().data_ptr() != b.untyped_storage().data_ptr()
    assert [len(tensor) for tensor in own] == [3, 4, 3, 0]


@kernels
def test_a_second_derivative_is_refused_clearly(kernel):
    problem = random_problem()
    trace = solve(problem, kernel, trace=True).trace
    (first,) = torch.autograd.grad(trace.pow(2).sum(), problem.alpha, create_graph=True)
    with pytest.raises(NotImplementedError, match="set SRNN_KERNEL=reference"):
        first.sum().backward()


@kernels
def test_a_graph_is_differentiated_twice_over(kernel):
    problem = random_problem()
    loss = solve(problem, kernel, trace=True).trace.sum()
    first, second = (
        torch.autograd.grad(loss, problem.recurrent, retain_graph=True)[0] for _ in range(2)
    )
    assert torch.equal(first, second)


@kernels
def test_counts_are_differentiable(kernel):
    problem = random_problem()
    found = solve(problem, kernel, trace=False)
    weights = torch.randn_like(found.counts)
    by_counts, by_spikes = (
        torch.autograd.grad((weights * counts).sum(), problem.projection, retain_graph=True)[0]
        for counts in (found.counts, found.spikes.sum(0))
    )
    assert by_counts.any()
    torch.testing.assert_close(by_counts, by_spikes, rtol=1e-12, atol=1e-12)


@kernels
def test_without_gradients_nothing_is_kept(kernel):
    problem = random_problem()
    with torch.no_grad():
        found = solve(problem, kernel, trace=True)
    again = solve(problem, kernel, trace=True)
    assert not found.spikes.requires_grad
    assert torch.equal(found.trace, again.trace)
    with torch.inference_mode():
        assert torch.equal(solve(problem, kernel, trace=True).trace, again.trace)


@kernels
def test_autocast_runs_it_in_single_precision(kernel, use):
    use(kernel)
    net = network()
    inputs = (torch.rand(20, 3, 7) < 0.4).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, record = net(inputs)
    assert record.state[0].membrane.dtype == torch.float32
    plain = net(inputs)
    for a, b in zip(gradients(net, (logits.float(), record)), gradients(net, plain), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's own compiler
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_network_has_one_graph(backend, use):
    use("torch")
    net, counted = network([6]), torch._dynamo.testing.CompileCounterWithBackend(backend)
    torch._dynamo.reset()
    compiled = torch.compile(net, fullgraph=True, backend=counted)
    for _ in range(3):
        inputs = (torch.rand(20, 3, 7) < 0.4).float()
        out = compiled(inputs)
        found, expected = gradients(net, out), gradients(net, net(inputs))
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
        assert out[1].counts[0].any()
    assert counted.frame_count == 1
    # Carried on by its state, which is another program.
    detached = detach(out[1].state)
    torch.testing.assert_close(
        compiled(inputs, detached)[0], net(inputs, detached)[0], rtol=1e-5, atol=1e-6
    )


@kernels
def test_an_exported_network_answers_the_same(kernel, use):
    use(kernel)
    net, inputs = network(), (torch.rand(12, 3, 7) < 0.4).float()
    steps = torch.export.Dim("steps", min=2, max=100)
    program = torch.export.export(net, (inputs,), dynamic_shapes={"inputs": {0: steps}})
    for x in (inputs, (torch.rand(30, 3, 7) < 0.4).float()):
        torch.testing.assert_close(program.module()(x)[0], net(x)[0])


@kernels
def test_a_copy_after_a_run_computes_the_same(kernel, use):
    use(kernel)
    net, inputs = network(), (torch.rand(12, 3, 7) < 0.4).float()
    expected = gradients(net, net(inputs))
    twin = copy.deepcopy(net)
    for a, b in zip(gradients(twin, twin(inputs)), expected, strict=True):
        assert torch.equal(a, b)


@kernels
def test_checkpointed_activations_give_the_same_gradients(kernel, use):
    use(kernel)
    net, inputs = network(), (torch.rand(12, 3, 7) < 0.4).float()
    out = torch.utils.checkpoint.checkpoint(net, inputs, use_reentrant=False)
    for a, b in zip(gradients(net, out), gradients(net, net(inputs)), strict=True):
        assert torch.equal(a, b)
