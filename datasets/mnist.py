"""S-MNIST and PS-MNIST: handwritten digits read one pixel a time step.

**Task.** A 28 x 28 image is read row by row, which makes a sequence of 784 steps, and the digit is
named at the end (Le, Jaitly and Hinton, 2015). In PS-MNIST one fixed permutation, the same for
every image, shuffles the steps. It takes away the neighbourhood of pixels in time, so that evidence
has to be kept for hundreds of steps.

**Input.** Every encoding keeps the 784 steps, and step t never sees a pixel after t:

    pixel        x_t / 255                                          1 channel
    window       x_{t-w+1}, ..., x_t, each / 255, zero before t=0   w channels, the newest last
    population   exp(-(x_t/255 - c_k)^2 / (2 s^2))                  K channels, c_k = k s, s =
    1/(K-1)

With a threshold, a pixel is 1 where x/255 exceeds it and else 0. Yin, Corradi and Bohte (2021) read
S-MNIST in windows of 8 analog pixels and PS-MNIST in windows of 4 binarised at 0.1; in 2020 they
read S-MNIST with 80 Gaussians, whose width is not known to us: that it equals the spacing s is our
choice. Their permutation was unseeded and is lost; results on different permutations can only be
compared statistically.

**Split.** A share of the 60,000 training images, drawn at random with a seed of its own, is kept
for validation. It is the same for both tasks and whatever the other options are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import embedding, pad

from srnn.datasets._base import DataError, Info, SequenceDataset, Splits
from srnn.datasets._draws import Indices, check_number, check_whole, hold_out, permutation
from srnn.datasets.files import fetch, is_there
from srnn.datasets.idx import read_idx

Encoding = Literal["pixel", "window", "population"]

MNIST_FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""The published files and the md5 of each, decompressed."""

_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_SIDE = 28
_STEPS = _SIDE * _SIDE
_CLASSES = tuple("0123456789")
_SPLIT_SEED = 60_000


@dataclass(frozen=True)
class _PixelCode:
    """How pixels become channels: a row of the table for each grey level, then a causal window."""

    phrase: str
    table: Tensor  # [256, channels of one pixel] float32
    window: int = 1  # pixels seen at one step; above 1 only where a pixel has one channel

    @property
    def channels(self) -> int:
        return self.table.shape[1] * self.window

    def __call__(self, pixels: Tensor) -> Tensor:
        """Encode grey levels [time, batch] uint8 as [time, batch, channels] float32."""
        levels = embedding(pixels.int(), self.table)
        if self.window == 1:
            return levels
        history = pad(levels.squeeze(2), (0, 0, self.window - 1, 0))
        return history.unfold(0, self.window, 1).contiguous()


class MnistSequences(SequenceDataset):
    """Images read pixel by pixel.

    Args:
        info: What the dataset is.
        code: How a pixel becomes input channels.
        images: [images, 28, 28] uint8.
        labels: [images] uint8.
        order: The pixel read at each of the 784 steps, or None for row by row.

    Attributes:
        permutation: `order` as a tuple, for a run to store, or None.
    """

    def __init__(
        self,
        info: Info,
        code: _PixelCode,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.uint8],
        order: Indices | None,
    ) -> None:
        super().__init__(info)
        pixels = images.reshape(len(images), _STEPS)
        # Permuted once here, so that a batch of PS-MNIST costs what one of S-MNIST does.
        self._pixels = torch.tensor(pixels if order is None else pixels[:, order])
        self._labels = torch.tensor(labels, dtype=torch.int64)
        self._code = code
        self.permutation = None if order is None else tuple(order.tolist())

    @property
    def drawn(self) -> dict[str, list[int]]:
        """The permutation, where there is one."""
        return {} if self.permutation is None else {"permutation": list(self.permutation)}

    def __len__(self) -> int:
        return len(self._labels)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Inputs [784, batch, channels] float32, targets [batch] int64."""
        chosen = torch.as_tensor(indices)
        return self._code(self._pixels[chosen].T), self._labels[chosen]


def smnist(
    root: Path,
    *,
    encoding: Encoding = "pixel",
    window: int = 8,
    threshold: float | None = None,
    population: int = 80,
    validation: float = 0.1,
) -> Splits:
    """Sequential MNIST: 784 steps, ten classes, one target a sequence.

    Args:
        root: Data root; the files lie in its folder ``mnist``.
        encoding: "pixel", "window" or "population"; see the head of this module.
        window: Pixels that one step sees, for encoding "window".
        threshold: Grey level in 0..1 above which a pixel is 1, or None to leave it analog.
        population: Number of Gaussians, for encoding "population".
        validation: Share of the training images that is kept for validation.

    Raises:
        DataError: An option has no meaning, or a file is missing, damaged or not the published one.
    """
    code = _pixel_code(encoding, window, threshold, population)
    return _splits(root, "smnist", "Sequential MNIST", code, validation, order=None)


def psmnist(
    root: Path,
    *,
    encoding: Encoding = "pixel",
    window: int = 4,
    threshold: float | None = None,
    population: int = 80,
    permutation_seed: int = 0,
    validation: float = 0.1,
) -> Splits:
    """Permuted sequential MNIST: `smnist` with the steps of all images in one random order.

    Args:
        root: Data root; the files lie in its folder ``mnist``.
        encoding: "pixel", "window" or "population"; windows slide over the permuted pixels.
        window: Pixels that one step sees, for encoding "window".
        threshold: Grey level in 0..1 above which a pixel is 1, or None to leave it analog.
        population: Number of Gaussians, for encoding "population".
        permutation_seed: Seed of the order; the datasets carry the order as `permutation`.
        validation: Share of the training images that is kept for validation.

    Raises:
        DataError: An option has no meaning, or a file is missing, damaged or not the published one.
    """
    check_whole("permutation_seed", permutation_seed, 0)
    code = _pixel_code(encoding, window, threshold, population)
    order = permutation(_STEPS, permutation_seed)
    title = f"Permuted sequential MNIST (permutation of seed {permutation_seed})"
    return _splits(root, "psmnist", title, code, validation, order)


def _pixel_code(encoding: str, window: int, threshold: float | None, population: int) -> _PixelCode:
    if encoding not in get_args(Encoding):
        known = ", ".join(get_args(Encoding))
        raise DataError(f"There is no encoding {encoding!r} of pixels; known are {known}.")
    check_whole("window", window, 1)
    check_whole("population", population, 2)
    grey = torch.arange(256, dtype=torch.float64) / 255

    if encoding == "population":
        if threshold is not None:
            raise DataError(
                "A threshold leaves nothing for a population to encode: leave one of them out."
            )
        centres = torch.linspace(0, 1, population, dtype=torch.float64)
        distance = (grey[:, None] - centres) * (population - 1)
        table = torch.exp(-0.5 * distance**2).float()
        return _PixelCode(f"{population} Gaussian receptive fields of the pixel", table)

    phrase = "one pixel" if encoding == "pixel" else f"a window of {window} pixels"
    if threshold is not None:
        check_number("threshold", threshold, 0, 1)
        grey = (grey > threshold).double()
        phrase += f" binarised at {threshold:g}"
    return _PixelCode(phrase, grey[:, None].float(), window if encoding == "window" else 1)


def _splits(
    root: Path,
    name: str,
    title: str,
    code: _PixelCode,
    validation: float,
    order: Indices | None,
) -> Splits:
    images, labels = _read(root / "mnist", "train")
    train, valid = hold_out(len(labels), validation, _SPLIT_SEED)
    info = Info(
        name=name,
        title=title,
        channels=code.channels,
        steps=_STEPS,
        classes=_CLASSES,
        streaming=False,
        split=f"{len(train)} images to train and {len(valid)} to validate, drawn at random with a "
        "fixed seed from the official training set; the official test set is read once, at the end",
        encoding=code.phrase,
        licence="not stated by the authors",
        citation="LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to "
        "document recognition, Proc. IEEE 86(11), 1998; as a sequence: Le, Jaitly and Hinton, "
        "A simple way to initialize recurrent networks of rectified linear units, 2015",
        source=_MIRROR,
    )
    return Splits(
        info,
        MnistSequences(info, code, images[train], labels[train], order),
        MnistSequences(info, code, images[valid], labels[valid], order),
        lambda: MnistSequences(info, code, *_read(root / "mnist", "t10k"), order),
    )


def _read(folder: Path, part: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Read the images [images, 28, 28] and labels [images] of one part, "train" or "t10k"."""
    images_path = _find(folder, f"{part}-images-idx3-ubyte")
    labels_path = _find(folder, f"{part}-labels-idx1-ubyte")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or images.shape[1:] != (_SIDE, _SIDE):
        raise DataError(f"{images_path} holds no 28 x 28 images but an array {images.shape}.")
    if labels.shape != images.shape[:1]:
        raise DataError(
            f"{labels_path} has labels of shape {labels.shape} for the {len(images)} images of "
            f"{images_path.name}."
        )
    if (highest := labels.max(initial=0)) >= len(_CLASSES):
        raise DataError(f"{labels_path} has a label {highest}, but digits are 0 to 9.")
    return images, labels


def _find(folder: Path, name: str) -> Path:
    """Return the checked file, gzipped as it is published or unpacked."""
    unpacked = folder / name
    path = unpacked if is_there(unpacked) else folder / f"{name}.gz"
    return fetch(path, [f"{_MIRROR}{name}.gz"], MNIST_FILES[name])
