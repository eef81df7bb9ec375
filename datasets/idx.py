"""The IDX file format, in which MNIST is published: an array of bytes behind a short header.

bytes 0-1   zero
byte  2     type of the elements, 0x08 for unsigned bytes
byte  3     number of dimensions
then        one big-endian 32-bit size for each dimension
then        the elements, the last dimension running fastest
"""

import math
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from srnn.datasets._base import DataError
from srnn.datasets.files import open_content

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, gzipped or not.

    Args:
        path: The file.

    Returns:
        The array, in the shape that the header gives.

    Raises:
        DataError: The file is missing or damaged, is not an IDX file of unsigned bytes, or is
            shorter or longer than its header says.
    """
    with open_content(path) as file:
        content = file.read()

    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE:
        raise DataError(
            f"{path} is not an IDX file of unsigned bytes (it begins with "
            f"{content[:4].hex(' ') or 'nothing'}, expected 00 00 08): replace it."
        )
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise DataError(f"{path} ends within its IDX header: replace it.")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise DataError(
            f"{path} has {len(content) - start} bytes of data where its header announces "
            f"{math.prod(shape)}, {' x '.join(map(str, shape))}: replace it."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
