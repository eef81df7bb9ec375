"""Which kernel runs what, and what is said about it."""

import logging

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import srnn
from srnn.neurons import ALIF, LI, LIF, RALIF, RLIF, surrogate
from srnn.neurons.kernels import choice, kernel_info, library

HERE = torch.device("cpu")


@pytest.fixture(autouse=True)
def _unsaid(monkeypatch):
    """Begin with nothing said, and no kernel named, on a machine that has the compiled one."""
    monkeypatch.setattr(choice, "_said", set())
    monkeypatch.delenv("SRNN_KERNEL", raising=False)
    monkeypatch.setattr(library, "reason", lambda: None)
    monkeypatch.setattr(library, "description", lambda: "for a test")


@pytest.fixture
def use(monkeypatch):
    """Set the kernel."""
    return lambda kernel: monkeypatch.setenv("SRNN_KERNEL", kernel)


@pytest.fixture
def without_compiled(monkeypatch):
    """Take the compiled kernel away."""
    monkeypatch.setattr(library, "reason", lambda: "it was not compiled")


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_plain_layer_is_run_by_the_compiled_kernel(caplog):
    for kind in (LIF, RLIF, ALIF, RALIF):
        (info,) = kernel_info(kind(linear_features=3))
        assert info == (kind.__name__, "cpu", "compiled, for a test")
        assert str(info) == f"{kind.__name__}: cpu (compiled, for a test)"
    assert kernel_info(LI(3))[0].kernel == "cpu"
    assert not caplog.records


def test_each_layer_of_a_network_is_told_of():
    net = srnn.SRNN(4, [3, 3], 2)
    net.layers[1].neuron.inhibition = True
    infos = srnn.kernel_info(net)
    assert [info.layer for info in infos] == [
        "layers.0.neuron",
        "layers.1.neuron",
        "readout.neuron",
    ]
    assert [info.kernel for info in infos] == ["cpu", "reference", "cpu"]
    assert srnn.kernel_info()[0][1:] == ("cpu", "compiled, for a test")
    assert srnn.kernel_info(nn.Linear(2, 2)) == ()


@pytest.mark.parametrize("kernel", ["reference", "torch", "cpu"])
def test_the_environment_names_one(kernel, use):
    use(kernel)
    assert choice.best(HERE, None) == (kernel, "SRNN_KERNEL names it")


def test_an_unknown_name_is_refused(use):
    use("cuda")
    with pytest.raises(ValueError, match="must be auto, reference, torch or cpu, got 'cuda'"):
        LIF(beta=0.9).forward_sequence(torch.ones(2, 1, 1))


def test_a_missing_kernel_is_said_once(without_compiled, caplog):
    for _ in range(2):
        assert choice.best(HERE, None) == ("torch", "it was not compiled")
    assert warnings_of(caplog) == ["The slower kernel 'torch' runs, since it was not compiled."]


def test_a_named_kernel_that_is_missing_is_an_error(without_compiled, use):
    use("cpu")
    with pytest.raises(RuntimeError, match="SRNN_KERNEL=cpu, but it was not compiled"):
        kernel_info()


def test_a_named_kernel_that_cannot_run_a_layer_says_so_once(use, caplog):
    use("torch")
    layer = inhibited()
    for _ in range(2):
        layer.forward_sequence(torch.ones(2, 1, 1))
    (said,) = warnings_of(caplog)
    assert said.startswith("SRNN_KERNEL=torch cannot run every layer: inhibition")


def test_on_another_device_the_torch_kernel_runs(use, caplog):
    device = torch.device("meta")
    kernel, reason = choice.best(device, None)
    assert kernel == "torch"
    assert "meta" in reason
    assert not caplog.records
    use("cpu")
    assert choice.best(device, None)[0] == "torch"
    assert len(warnings_of(caplog)) == 1


class Louder(RALIF):
    """A layer with a method of its own."""

    def _emit(self, S, state, params):
        return 2 * super()._emit(S, state, params)


def inhibited():
    layer = LIF(beta=0.9)
    layer.inhibition = True
    return layer


def with_hook():
    layer = RLIF(beta=0.9, linear_features=3)
    layer.recurrent.register_forward_hook(lambda *_: None)
    return layer


def with_weight_norm():
    layer = RLIF(beta=0.9, linear_features=3)
    weight_norm(layer.recurrent)
    return layer


def patched():
    layer = LIF(beta=0.9)
    layer._advance = layer._advance
    return layer


UNSUPPORTED = {
    "a subclass": (Louder(linear_features=3), "Louder has a _emit of its own"),
    "patched": (patched(), "LIF has a _advance of its own"),
    "hook": (with_hook(), "recurrence has hooks or a changed call"),
    "weight norm": (with_weight_norm(), "recurrence has hooks or a changed call"),
    "convolution": (RLIF(beta=0.9, conv2d_channels=2, kernel_size=3), "the form Conv2d"),
    "one to one": (RLIF(beta=0.9, all_to_all=False), "the form RecurrentOneToOne"),
    "inhibition": (inhibited(), "inhibition"),
    "reset": (LIF(beta=0.9, reset_delay=False), "reset_delay=False"),
    "quantised": (LIF(beta=0.9, state_quant=lambda u: u), "state_quant"),
    "graded": (LIF(beta=0.9, graded_spikes_factor=0.5), "graded_spikes_factor"),
    "learned": (LIF(beta=0.9, learn_graded_spikes_factor=True), "graded_spikes_factor"),
    "surrogate": (LIF(beta=0.9, spike_grad=lambda v: surrogate.atan()(v)), "none of srnn's"),
    "half": (LIF(tau_mem=5.0).half(), "float16"),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_what_the_reference_alone_can_do_is_told_and_not_warned_of(case, caplog):
    layer, reason = UNSUPPORTED[case]
    (info,) = kernel_info(layer)
    assert info.kernel == "reference"
    assert reason in info.reason
    assert not caplog.records


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"shape": (5, 2, 3, 4)}, "more dimensions"),
        ({"dtypes": [torch.float32, torch.float64]}, "different dtypes"),
        ({"dtypes": [torch.bfloat16]}, "bfloat16"),
        ({}, None),
    ],
)
def test_what_of_an_input_matters(options, reason, monkeypatch):
    given = {"shape": (5, 2, 3), "device": HERE, "dtypes": [torch.float64]} | options
    seen = []
    monkeypatch.setattr(choice, "best", lambda device, why: seen.append(why) or ("x", ""))
    choice.choose(LIF(beta=0.9), **given)
    assert seen == [None] if reason is None else reason in seen[0]


def test_transforms_of_functions_run_on_the_reference(use, caplog):
    use("torch")
    layer = LIF(beta=0.9, threshold=0.5)
    current = torch.rand(6, 4, 2, 3)

    def spikes(x):
        return layer.forward_sequence(x)[0]

    batched = torch.vmap(spikes, in_dims=1, out_dims=1)(current)
    assert torch.equal(batched, torch.stack([spikes(x) for x in current.unbind(1)], dim=1))
    assert batched.any()
    assert "torch.func" in warnings_of(caplog)[0]
