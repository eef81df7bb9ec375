"""The library's look at lists of events against torch's, on lists well formed and broken."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.neurons.kernels import event_checks, library

pytestmark = pytest.mark.skipif(library.reason() is not None, reason=str(library.reason()))

WIDTH = 5


@st.composite
def lists(draw):
    """Offsets and channels of a few rows, of which up to one number was changed."""
    rows = draw(st.lists(st.sets(st.integers(0, WIDTH - 1)), max_size=6))
    numbers = [sorted(row) for row in rows]
    offsets = torch.tensor([0, *(len(row) for row in numbers)]).cumsum(0)
    channels = torch.tensor([c for row in numbers for c in row], dtype=torch.int32)
    broken = draw(st.sampled_from((None, offsets, channels)))
    if broken is not None and len(broken):
        place = draw(st.integers(0, len(broken) - 1))
        broken[place] = draw(st.integers(-2, WIDTH + 2))
    return offsets, channels


def refused(offsets, channels):
    try:
        event_checks._check_lists(offsets, channels, WIDTH)
    except ValueError:
        return True
    return False


@given(lists())
@settings(max_examples=500, deadline=None)
def test_the_library_and_torch_agree(given_lists):
    assert event_checks._lists_fit(*given_lists, WIDTH) == (not refused(*given_lists))


def test_what_the_library_cannot_look_at_is_left_to_torch():
    offsets, channels = torch.tensor([0, 2]), torch.tensor([1, 0], dtype=torch.int32)
    assert not event_checks._lists_fit(offsets.to("meta"), channels.to("meta"), WIDTH)
    strided = torch.tensor([1, 9, 3, 9], dtype=torch.int32)[::2]
    assert event_checks._lists_fit(offsets, strided, WIDTH)


@given(st.integers(1, 130), st.integers(0, 4), st.data())
@settings(max_examples=300, deadline=None)
def test_bits_beyond_the_last_channel_are_seen(channels, rows, data):
    columns = -(-channels // 64)
    drawn = st.lists(st.integers(0, 64 * columns - 1), max_size=3)
    bits = [data.draw(drawn) for _ in range(rows)]
    words = torch.zeros(rows, columns, dtype=torch.int64)
    for row, places in enumerate(bits):
        for place in places:
            words[row, place // 64] |= -(2**63) if place % 64 == 63 else 1 << place % 64
    beyond = any(place >= channels for places in bits for place in places)
    assert event_checks._bits_fit(words, channels) == (not beyond)
