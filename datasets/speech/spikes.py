"""Spikes of refractory channels: a Poisson process with dead time, exact in continuous time.

A channel whose hazard is lambda(t) fires at t_k. For an absolute refractory time r it is silent;
then it fires again once the integral of the hazard has grown by a waiting time E of mean one:

    Lambda(t) = integral of lambda from 0 to t,
    t_1 = Lambda^-1(E_1),     t_{k+1} = Lambda^-1(Lambda(t_k + r) + E_{k+1}),     E_k ~ Exp(1).

The hazard is constant within a frame, so Lambda is piecewise linear and its inverse is exact; there
are no bins in which a channel fires once or not at all. At a constant hazard the intervals are r
plus a waiting time of mean 1/lambda, so that the rate is lambda / (1 + lambda r).

All channels are drawn together, spike by spike: laid end to end, their Lambdas are one curve that
never falls, in which one binary search finds the next spike of every channel.

Source: time rescaling, Brown et al. 2002; dead time, Cox and Lewis 1966.
"""

import numpy as np
import numpy.typing as npt

from srnn.datasets.speech.draws import Array, Draws


def fire(
    hazard: Array, frame: float, refractory: float, draws: Draws
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Draw the spikes of all channels.

    Args:
        hazard: Of spiking, per second, [time, channels], constant within a frame; not negative.
        frame: Length of a frame, in seconds.
        refractory: Absolute refractory time, in seconds.
        draws: Where the waiting times come from.

    Returns:
        The times of the spikes in seconds, rising, and the channel of each.
    """
    frames, channels = hazard.shape
    # Entry (c, i) is the integral over all channels before c and over the first i frames of c.
    curve = np.zeros((channels, frames + 1))
    np.cumsum(hazard.T * frame, axis=1, out=curve[:, 1:])
    curve += np.concatenate([[0.0], np.cumsum(curve[:-1, -1])])[:, None]
    flat, ends = curve.ravel(), curve[:, -1]

    times, units = [], []
    alive = np.arange(channels)
    start = curve[:, 0]
    while alive.size:
        target = start + draws.exponential(alive.size)
        fired = target < ends[alive]
        alive, target = alive[fired], target[fired]
        # The frame in which the curve passes the target; its hazard cannot be zero.
        after = np.searchsorted(flat, target)
        before = after - 1
        share = (target - flat[before]) / (flat[after] - flat[before])
        time = frame * (before - alive * (frames + 1) + share)
        times.append(time)
        units.append(alive)
        # Go on from where the channel has recovered, if that is within the recording.
        resume = (time + refractory) / frame
        inside = resume < frames
        alive, resume = alive[inside], resume[inside]
        index = resume.astype(np.int64)
        row = alive * (frames + 1) + index
        start = flat[row] + (resume - index) * (flat[row + 1] - flat[row])
    time, unit = np.concatenate(times), np.concatenate(units)
    order = np.lexsort((unit, time))
    return time[order], unit[order]
