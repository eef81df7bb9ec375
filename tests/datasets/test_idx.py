import gzip
import re
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from srnn.datasets import DataError
from srnn.datasets.idx import read_idx

# 2 x 3 bytes, written by hand.
SMALL = bytes.fromhex("00000802 00000002 00000003 000102030405")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gzip"])
def test_a_hand_made_file(pack, tmp_path):
    path = tmp_path / "small"
    path.write_bytes(pack(SMALL))
    assert read_idx(path).tolist() == [[0, 1, 2], [3, 4, 5]]


@given(arrays(np.uint8, array_shapes(max_dims=4, max_side=5)), st.booleans())
def test_any_array_comes_back(tmp_path_factory, array, gzipped):
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(content) if gzipped else content)
    np.testing.assert_array_equal(read_idx(path), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\0\0", "begins with 00 00"),
        (b"PK" + SMALL[2:], "begins with 50 4b 08 02"),
        (SMALL[:2] + b"\x0d" + SMALL[3:], "begins with 00 00 0d 02"),  # floats, not bytes
        (SMALL[:7], "ends within its IDX header"),
        (SMALL[:-1], "5 bytes of data where its header announces 6, 2 x 3"),
        (SMALL + b"\0", "7 bytes of data where its header announces 6, 2 x 3"),
        (gzip.compress(SMALL, mtime=0)[:-9], "cannot be read to its end"),
        (gzip.compress(SMALL, mtime=0)[:-1] + b"?", "cannot be read to its end"),
    ],
)
def test_a_damaged_file_is_refused(content, message, tmp_path, one_sentence):
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(message)) as error:
        read_idx(path)
    assert str(path) in one_sentence(error)


def test_a_missing_file_is_refused(tmp_path, one_sentence):
    with pytest.raises(DataError, match="No such file") as error:
        read_idx(tmp_path / "missing")
    one_sentence(error)
