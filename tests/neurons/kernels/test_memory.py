"""Memory that is used again: only when nobody can see it any more."""

import gc

import pytest
import torch

from srnn.neurons.kernels import memory

SHAPE = (2, 1 << 20)


@pytest.fixture(autouse=True)
def _nothing_waits():
    memory._waiting.clear()
    yield
    memory._waiting.clear()


def test_a_block_comes_back_when_its_last_view_is_gone():
    tensor = memory.empty(SHAPE, torch.float32)
    assert tensor.shape == SHAPE
    address = tensor.data_ptr()
    view = tensor[1]
    del tensor
    gc.collect()
    assert memory.empty(SHAPE, torch.float32).data_ptr() != address
    memory._waiting.clear()
    del view
    gc.collect()
    assert memory.empty(SHAPE, torch.float32).data_ptr() == address


def test_two_tensors_never_share():
    tensors = [memory.empty(SHAPE, torch.float64) for _ in range(3)]
    for i, tensor in enumerate(tensors):
        tensor.fill_(i)
    assert [t.unique().tolist() for t in tensors] == [[0], [1], [2]]


def test_autograd_holds_what_it_saved():
    factor = torch.ones((), requires_grad=True)
    big = memory.empty(SHAPE, torch.float32).fill_(3)
    product = (factor * big).sum()
    del big
    gc.collect()
    memory.empty(SHAPE, torch.float32).zero_()
    product.backward()
    assert factor.grad == 3 * 2**21


def test_what_waits_is_bounded_and_small_tensors_are_torch_s():
    many = [memory.empty(SHAPE, torch.float32) for _ in range(9)]
    del many
    gc.collect()
    assert len(memory._waiting) == memory._WAITING
    small = memory.empty((3, 0), torch.int64)
    assert small.shape == (3, 0)
    assert small.dtype == torch.int64
    assert small.untyped_storage().resizable()


def test_sequences_that_differ_a_little_in_length_share_a_block():
    tensor = memory.empty((500, 1 << 14), torch.float32)
    address = tensor.data_ptr()
    del tensor
    gc.collect()
    longer = memory.empty((503, 1 << 14), torch.float32)
    assert longer.shape == (503, 1 << 14)
    assert longer.data_ptr() == address
    assert sum(len(block) for block in memory._waiting) == 0
    for size in (1 << 22, (1 << 22) + 1, 12345678):
        unused = len(memory.empty((size,), torch.uint8).untyped_storage()) - size
        assert 0 <= unused <= size / 8
