"""What a spike does to the membrane, one step after it.

| name     | effect on the update                                   | where        |
|----------|--------------------------------------------------------|--------------|
| subtract | u_t = alpha u_{t-1} + g I_t - B S_{t-1}                | both         |
| zero     | u_t = alpha (1 - S_{t-1}) u_{t-1} + g I_t              | feed-forward |
| zero     | u_t = (1 - S_{t-1}) (alpha u_{t-1} + g I_t)            | recurrent    |
| none     | u_t = alpha u_{t-1} + g I_t                            | both         |

snnTorch 1.0.0 gives "zero" two meanings: ``Leaky`` keeps the current of the step after the spike,
``RLeaky`` drops it too. Each of our classes follows its counterpart.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Reset(NamedTuple):
    """A reset as two functions: on the old membrane before it leaks, and on the updated one.

    Attributes:
        before_leak: (u_{t-1}, S_{t-1}) -> membrane that leaks.
        after_leak: (leaked membrane plus current, S_{t-1}, B_t) -> u_t.
    """

    before_leak: Callable[[Tensor, Tensor], Tensor]
    after_leak: Callable[[Tensor, Tensor, Tensor], Tensor]


def _keep(u: Tensor, *_: Tensor) -> Tensor:
    return u


def _subtract(u: Tensor, S: Tensor, B: Tensor) -> Tensor:
    return u - S * B


def _clear_before(u: Tensor, S: Tensor) -> Tensor:
    return (1 - S) * u


def _clear_after(u: Tensor, S: Tensor, B: Tensor) -> Tensor:
    return u - S * u


FEED_FORWARD_RESETS = {
    "subtract": Reset(_keep, _subtract),
    "zero": Reset(_clear_before, _keep),
    "none": Reset(_keep, _keep),
}
RECURRENT_RESETS = FEED_FORWARD_RESETS | {"zero": Reset(_keep, _clear_after)}


def quantised(reset: Reset, quantise: Callable[[Tensor], Tensor]) -> Reset:
    """The same reset with snnTorch's ``state_quant`` applied to the membrane it leaves."""
    return Reset(reset.before_leak, lambda u, S, B: quantise(reset.after_leak(u, S, B)))
