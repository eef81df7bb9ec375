"""The element rule, against a count of one element after the other."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.datasets.packed import pack
from srnn.meters import events
from srnn.meters.events import read
from srnn.meters.events import read_batch as read_events
from srnn.neurons.kernels import EventBatch
from srnn.neurons.kernels.problem import Bits

VALUES = [0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 0.5, 1e-30, 1 - 2**-24, 7.0, float("inf"), float("nan")]


def by_hand(x, timewise):
    """Sums for each feature of [time, batch, features], element by element."""
    time, _, features = x.shape
    blocks = time if timewise else 1
    sums = torch.zeros(3, blocks, features, dtype=torch.float64)
    for t, step in enumerate(x.tolist()):
        for row in step:
            for j, value in enumerate(row):
                at = t if timewise else 0
                if value in (float("inf"), float("-inf")) or value != value or value % 1:
                    sums[2, at, j] += 1
                elif value:
                    sums[0, at, j] += abs(value)
                    sums[1, at, j] += 1
    return sums


@st.composite
def inputs(draw):
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 12), st.integers(1, 9)))
    pool = draw(st.sampled_from([[0.0, 1.0], [0.0, 1.0, -1.0], [0.0, 1.0, 2.0], VALUES]))
    size = shape[0] * shape[1] * shape[2]
    elements = draw(st.lists(st.sampled_from(pool), min_size=size, max_size=size))
    return torch.tensor(elements, dtype=torch.float64).reshape(shape)


@given(inputs(), st.booleans(), st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=150, deadline=None)
def test_every_element_is_sorted_by_itself(x, timewise, dtype):
    x = x.to(dtype)
    found = read(x, timewise=timewise)
    assert torch.equal(torch.stack(found[:3]), by_hand(x, timewise))
    assert found.rows == (x.shape[1] if timewise else x.shape[0] * x.shape[1])


def test_without_the_compiled_kernel_too(monkeypatch):
    monkeypatch.setattr(events.library, "reason", lambda: "not there")
    for name in ("count_ones", "count_bits"):
        monkeypatch.setattr(events.counting, name, None)
    test_every_element_is_sorted_by_itself()
    test_bits_count_as_the_dense_tensor_that_they_are(130, True)


@given(inputs(), st.booleans())
@settings(max_examples=80, deadline=None)
def test_events_count_as_the_dense_tensor_that_they_are(x, timewise):
    expected = read(x, timewise=timewise)
    found = read_events(EventBatch.of(x), timewise=timewise)
    assert all(torch.equal(a, b) for a, b in zip(found[:3], expected[:3], strict=True))
    assert found.rows == expected.rows


@pytest.mark.parametrize("timewise", [False, True])
@pytest.mark.parametrize("channels", [3, 64, 130])
def test_bits_count_as_the_dense_tensor_that_they_are(channels, timewise):
    steps, batch = 90, 4  # more rows than a byte can count
    generator = torch.Generator().manual_seed(channels)
    x = (torch.rand(steps, batch, channels, generator=generator) < 0.8).double()
    x[:, :, 0] = 1
    rows, on = x.flatten(0, 1).nonzero().numpy().T
    words = pack(rows, on, (steps, batch, channels)).words.flatten(0, 1)
    found = read_events(EventBatch(Bits(words), (steps, batch, channels)), timewise=timewise)
    expected = read(x, timewise=timewise)
    assert all(torch.equal(a, b) for a, b in zip(found[:3], expected[:3], strict=True))
    assert found.rows == expected.rows


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.int8, torch.int64, torch.float16, torch.bfloat16]
)
def test_other_dtypes_hold_the_same_numbers(dtype):
    x = torch.tensor([[[0, 1, 1], [1, 0, 1]]]).to(dtype)
    assert read(x).events.tolist() == [[1, 1, 2]]


def test_many_events_are_counted_exactly():
    """float32 would stop at 2**24."""
    x = torch.full((3, 2**13, 2), 2.0**11 + 1)
    assert read(x).events.tolist() == [[3 * 2**13 * (2**11 + 1)] * 2]
    ones = torch.ones(9, 2**21, 1)
    assert read(ones).events.item() == 9 * 2**21


def test_a_hidden_state_is_real_whatever_its_values():
    x = torch.tensor([[0.0, 1.0, -1.0, 0.5, 2.0]])
    found = read(x).as_reals()
    assert found.events.sum() == 0
    assert found.reals.tolist() == [[0, 1, 1, 1, 1]]
