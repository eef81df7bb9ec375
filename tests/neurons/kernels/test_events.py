"""Batches of events as bits: the same input as lists and as a dense tensor."""

import pytest
import torch
from torch import nn

from srnn import Layer
from srnn.neurons import RALIF
from srnn.neurons.kernels import EventBatch
from srnn.neurons.kernels.problem import Bits


def bits_of(dense):
    """Pack spikes bit by bit, in Python's integers."""
    steps, batch, channels = dense.shape
    rows = []
    for row in dense.flatten(0, 1):
        number = sum(1 << int(channel) for channel in row.nonzero())
        words = [number >> (64 * w) & (2**64 - 1) for w in range(-(-channels // 64))]
        rows.append([word - 2**64 if word >= 2**63 else word for word in words])
    return EventBatch(Bits(torch.tensor(rows)), (steps, batch, channels))


@pytest.fixture(params=[1, 7, 63, 64, 65, 130])
def spikes(request):
    torch.manual_seed(request.param)
    return (torch.rand(12, 3, request.param) < 0.3).double()


def test_bits_lists_and_a_dense_tensor_hold_the_same(spikes):
    bits, lists = bits_of(spikes), EventBatch.of(spikes)
    bits.check()
    assert torch.equal(bits.dense(torch.float64), spikes)
    for part, expected in zip(bits.lists(), lists.events, strict=True):
        assert part is expected is None or torch.equal(part, expected)
    assert lists.lists() is lists.events


@pytest.mark.parametrize("kernel", ["reference", "torch", "cpu"])
def test_every_kernel_takes_them(kernel, spikes, monkeypatch):
    monkeypatch.setenv("SRNN_KERNEL", kernel)
    torch.manual_seed(0)
    neuron = RALIF(linear_features=5, threshold=0.02)
    layer = Layer(nn.Linear(spikes.shape[-1], 5), neuron).double()
    found = []
    for inputs in (spikes, bits_of(spikes)):
        layer.zero_grad()
        out, _ = layer(inputs)
        (out * torch.linspace(0, 1, 5)).sum().backward()
        found.append([out.detach(), *(p.grad.clone() for p in layer.parameters())])
    assert 0 < found[0][0].mean() < 1
    for dense, bits in zip(*found, strict=True):
        torch.testing.assert_close(bits, dense, rtol=1e-10, atol=1e-10)


def test_another_dtype_moves_nothing(spikes):
    for batch in (bits_of(spikes), EventBatch.of(spikes * 0.5)):
        there = batch.to("meta")
        for part in (*there.events, *there.to(torch.float64).events):
            assert part.device.type == "meta"


def test_bits_that_do_not_fit_are_refused():
    words = torch.zeros(6, 2, dtype=torch.int64)
    EventBatch(Bits(words), (3, 2, 70)).check()
    beyond = words.clone()
    beyond[4, 1] = 1 << 6  # channel 70, of 0 .. 69
    for message, wrong in {
        r"must be int64 of shape .* \[6, 2\], got torch.int64 \[6, 1\]": words[:, :1],
        r"got torch.int32": words.int(),
        "beyond the last of 70 channels": beyond,
    }.items():
        with pytest.raises(ValueError, match=message):
            EventBatch(Bits(wrong), (3, 2, 70)).check()
