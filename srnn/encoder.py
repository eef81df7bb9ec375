"""What a network sees its inputs through, step by step: a layer without memory before the others.

    dense(n)            y = max(0, W x + b)                        n outputs
    conv(c@ksS, ...)    for each part in turn: a convolution to c channels with kernels of k x k and
                        a stride of S, and max(0, .); then flattened

Policies of non-spiking networks have one, since the weights of a gated layer are four times as many
for each input. A spiking layer needs none: its projection is one.

Source: conv(16@8s4, 32@4s2) is the front end of Rodriguez, Guo and Moraitis 2022 (ICML).
"""

import math
import re
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """Layers without memory, applied to every step of a sequence.

    Args:
        shape: of an input: (channels,), or (channels, height, width) for convolutions.
        form: ``dense(n)`` or ``conv(c@ksS, ...)``, as above.

    Attributes:
        input_size: number of inputs.
        hidden_size: number of outputs.

    Raises:
        ValueError: for another form, or convolutions that do not fit the shape.

    Example:
        >>> encoder = Encoder((1, 84, 84), "conv(16@8s4, 32@4s2)")
        >>> encoder.hidden_size
        2592
        >>> encoder(torch.rand(5, 2, 1 * 84 * 84)).shape     # time, batch, channels
        torch.Size([5, 2, 2592])
    """

    def __init__(self, shape: Sequence[int], form: str) -> None:
        super().__init__()
        name, parts = _read(form)
        self.input_size = math.prod(shape)
        layers: list[nn.Module]
        if name == "dense":
            ((width, _, _),) = parts
            layers = [nn.Linear(self.input_size, width), nn.ReLU()]
            self.hidden_size = width
        else:
            if len(shape) != 3:
                raise ValueError(
                    f"{form} needs inputs with a height and a width; these have the shape "
                    f"{tuple(shape)}."
                )
            layers = [nn.Unflatten(1, tuple(shape))]
            channels = [shape[0], *(width for width, _, _ in parts)]
            size = tuple(shape[1:])
            for (below, above), (_, kernel, stride) in zip(pairwise(channels), parts, strict=True):
                if kernel > min(size):
                    raise ValueError(
                        f"{form}: kernels of {kernel} x {kernel} do not fit {size[0]} x {size[1]}."
                    )
                layers += [nn.Conv2d(below, above, kernel, stride), nn.ReLU()]
                size = tuple((length - kernel) // stride + 1 for length in size)
            layers.append(nn.Flatten())
            self.hidden_size = channels[-1] * math.prod(size)
        self.layers = nn.Sequential(*layers)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """Orthogonal weights that keep the size of a signal through max(0, .); no biases."""
        for layer in self.layers:
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.orthogonal_(layer.weight, gain=math.sqrt(2))
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Encode a sequence, [time, batch, inputs], to [time, batch, features]."""
        return self.layers(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2])


def _read(form: str) -> tuple[str, list[tuple[int, int, int]]]:
    """Read a form: its name, and (width, kernel, stride) of its layers."""
    if match := re.fullmatch(r"\s*dense\s*\(\s*([1-9]\d*)\s*\)\s*", form):
        return "dense", [(int(match[1]), 1, 1)]
    part = r"\s*([1-9]\d*)@([1-9]\d*)s([1-9]\d*)\s*"
    if match := re.fullmatch(rf"\s*conv\s*\(({part}(?:,{part})*)\)\s*", form):
        sizes = re.findall(part, match[1])
        return "conv", [(int(width), int(kernel), int(stride)) for width, kernel, stride in sizes]
    raise ValueError(
        "An encoder is dense(width) or conv(channels@kernel s stride, ...), such as dense(128) or "
        f"conv(16@8s4, 32@4s2); got {form!r}."
    )
