"""The form in which batches reach a network: bits for the compiled kernel, floats for the rest."""

import pytest
import torch

from srnn import SRNN, baselines
from srnn.datasets import PackedSpikes, load
from srnn.neurons.kernels import kernel_info
from srnn.neurons.kernels.events import EventBatch
from srnn.train.signals import during, for_network, read, steps_of

CPU = torch.device("cpu")
compiled = pytest.mark.skipif(
    kernel_info()[0].kernel != "cpu", reason="only the compiled kernel reads bits"
)


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield load("shd-synth", train=12, test=2, split="random", bin_ms=50.0)


def network(splits, kind=SRNN):
    torch.manual_seed(0)
    return kind(splits.info.channels, [16], 20, readout="mean")


@compiled
def test_a_spiking_network_learns_the_same_from_bits(splits):
    net = network(splits)
    packed = for_network(splits.train, net, CPU)
    results = []
    for dataset in (splits.train, packed):
        inputs, targets = dataset.__getitems__([3, 1, 4])
        net.zero_grad()
        logits, record = net(read(inputs))
        torch.nn.functional.cross_entropy(logits, targets).backward()
        results.append(
            [logits.detach(), *record.counts, *(p.grad.clone() for p in net.parameters())]
        )
    assert isinstance(packed.__getitems__([0])[0], PackedSpikes)
    assert results[0][1].any()
    for dense, bits in zip(*results, strict=True):
        assert torch.equal(dense, bits)


@compiled
def test_other_networks_and_kernels_get_floats(splits, monkeypatch):
    assert for_network(splits.train, network(splits, baselines.GRU), CPU) is splits.train
    net = network(splits)
    assert for_network(splits.train, net, torch.device("meta")) is splits.train
    monkeypatch.setenv("SRNN_KERNEL", "reference")
    assert for_network(splits.train, net, CPU) is splits.train


def test_pieces_of_both_forms_are_the_same(splits):
    dense = splits.train.__getitems__([0, 1])[0]
    packed = splits.train.packed().__getitems__([0, 1])[0]
    assert steps_of(dense) == steps_of(packed) == splits.info.steps
    cut = slice(5, 9)
    piece = read(during(packed, cut))
    assert isinstance(piece, EventBatch)
    assert torch.equal(piece.dense(torch.float32), read(during(dense, cut)))
    assert dense[cut].any()
