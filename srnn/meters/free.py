"""Operations that cost nothing by our conventions: they move, choose or compare numbers.

Non-linearities are free too, in spiking and other networks alike: no model of energy that we know
of has a price for them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_MOVES = """
alias arange as_strided_scatter cat clone constant_pad_nd contiguous copy detach diagonal_scatter
empty empty_like empty_strided expand_copy eye fill flatten flip full full_like gather hstack index
index_copy index_fill index_put index_select item lift lift_fresh lift_fresh_copy linspace
local_scalar_dense masked_fill masked_scatter masked_select new_empty new_empty_strided new_full
new_ones new_zeros ones ones_like pad pin_memory pixel_shuffle pixel_unshuffle reflection_pad1d
reflection_pad2d repeat repeat_interleave replication_pad1d replication_pad2d reshape resize roll
rot90 scalar_tensor scatter select_scatter set slice_scatter split_copy squeeze_copy stack take
to to_copy tril triu unfold_copy unsafe_split unsafe_view upsample_nearest1d upsample_nearest2d
vstack where zero zeros zeros_like
rand rand_like randint randint_like randn randn_like randperm uniform normal bernoulli
"""
_COMPARISONS = """
all allclose amax amin aminmax any argmax argmin argsort bitwise_and bitwise_not bitwise_or
bitwise_xor clamp clamp_max clamp_min count_nonzero eq equal ge gt is_nonzero isclose isfinite isinf
isnan isneginf isposinf kthvalue le logical_and logical_not logical_or logical_xor lt max
max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices maximum median min minimum
mode ne nonzero searchsorted sort topk unique2 unique_consecutive
adaptive_max_pool1d adaptive_max_pool2d max_pool1d
"""
_NON_LINEARITIES = """
abs acos asin atan celu ceil cos cosh elu erf exp floor gelu glu_jvp hardshrink hardsigmoid
hardswish hardtanh heaviside leaky_relu log log_sigmoid_forward log_softmax mish neg nan_to_num
prelu_kernel relu relu6 round rrelu_with_noise selu sgn sigmoid sign silu sin sinh softmax softplus
softshrink tan tanh threshold trunc
"""
_FREE = frozenset((_MOVES + _COMPARISONS + _NON_LINEARITIES).split())


def is_free(operation: Any, arguments: Sequence[Any] = (), named: Mapping[str, Any] = {}) -> bool:
    """Whether an operation, as torch dispatches it, costs nothing.

    Args:
        operation: an ``OpOverload``.
        arguments: what it is called with: some moves can be told to add up.
        named: the same, by name.
    """
    given = dict(zip((a.name for a in operation._schema.arguments), arguments, strict=False))
    given |= named
    if given.get("reduce") is not None or given.get("accumulate"):
        return False
    namespace, _, name = operation._schema.name.partition("::")
    if namespace == "prim":
        return True
    return operation.is_view or (namespace == "aten" and name.strip("_") in _FREE)
