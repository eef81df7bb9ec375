"""A cochlea of 700 channels: from the tracks of an utterance to hazards of spiking.

**Channels** lie evenly on the scale of auditory filter bandwidths (ERB; Glasberg and Moore 1990),
channel 0 at the lowest frequency:

    ERB(f) = 24.7 (4.37 f / 1000 + 1) Hz,     E(f) = 21.4 log10(4.37 f / 1000 + 1).

**Sound.** The power spectrum of an utterance is, with resonances |H_n|^2 normalised to one at f = 0
(Fant 1960),

    P(f, t) = [V(t)^2 |S(f)|^2 + A(t)^2] prod_n |H_n(f, t)|^2 + sum_b N_b(t)^2 G_b(f),

where V, A and N_b are the amplitudes of voice, breath and hiss, S falls with the tilt of the voice
and G_b is a Gaussian on the scale E. It is taken at one point for every five channels.

**Excitation** is P seen through the auditory filters, (1 + p |x|) exp(-p |x|) at a distance of x
ERB (Patterson et al. 1982), with a smaller p below the filter's centre than above it, so that sound
spreads towards the high channels. Filters narrower than the pitch resolve the harmonics of the
voice: with sigma = ERB(f) / sqrt(2 pi), excitation is multiplied by

    R(f, t) = f0 / (sigma sqrt(2 pi)) sum_{k >= 1} exp(-(f - k f0)^2 / 2 sigma^2),

which tends to one where filters are wide.

**Hair cells** answer with a drive D that saturates, and use up transmitter q that comes back slowly
(after Meddis 1986, one store in place of three), so that onsets are strong and fade:

    x = (R P / P_0)^gamma,   D = x / (1 + x),
    dq/dt = (1 - q) / tau_q - D q / tau_u,
    hazard = h_0 + h_1 D q.

| symbol   | meaning                                    | value               | source         |
|----------|--------------------------------------------|---------------------|----------------|
| f        | centre of the lowest and highest channel   | 80, 10,000 Hz       | ours           |
| S        | slope from 300 Hz on, as an inner ear has  | -2 dB an octave     | ours           |
|          | it: of the source -6, of the middle ear +4 |                     |                |
| p        | slopes of a filter, below and above        | 2.6, 4 per ERB      | approx.; MG    |
| P_0      | power of half the drive                    | 11.4 dB             | fitted         |
| gamma    | compression                                | 0.45                | ours           |
| tau_q    | recovery of transmitter                    | 80 ms               | ours, after M  |
| tau_u    | use of transmitter at full drive           | 40 ms               | ours, after M  |
| h_0, h_1 | spontaneous and largest hazard             | 0.5, 250 per s      | ours           |

MG: Moore and Glasberg 1987. M: Meddis 1986. P_0 was fitted to the density of the published test
file, in which 6,258 of 70,000 cells (100 bins of 14 ms, 700 channels) of a sample have an event.

**What is left out.** Time is cut into frames of 5 ms, so that events do not lock to the single
pulses of the voice, as they do in a real nerve. Which end of the published files' channels has the
low frequencies is not known to us; here it is channel 0.
"""

from functools import cache

import numpy as np

from srnn.datasets.speech.draws import Array
from srnn.datasets.speech.voice import FRAME, Utterance

CHANNELS = 700

_LOWEST, _HIGHEST = 80.0, 10_000.0
_GROUP = 5
_BELOW, _ABOVE = 2.6, 4.0
_TILT = -2.0
_TILT_FROM, _TILT_AT = 300.0, 1000.0
_HALF = 10 ** (11.4 / 10)
_COMPRESSION = 0.45
_RECOVERY = 0.080
_USE = 0.040
_SPONTANEOUS, _LARGEST = 0.5, 250.0


def erb(frequency: Array) -> Array:
    """Bandwidth of the auditory filter at a frequency, both in Hz."""
    return 24.7 * (4.37e-3 * frequency + 1)


def erb_number(frequency: Array | float) -> Array:
    """Place of a frequency in Hz on the scale of auditory filters."""
    return 21.4 * np.log10(4.37e-3 * np.asarray(frequency) + 1)


def frequency_at(number: Array) -> Array:
    """Frequency in Hz at a place on the scale of auditory filters."""
    return (10 ** (number / 21.4) - 1) / 4.37e-3


@cache
def centre_frequencies() -> Array:
    """Centre of every channel in Hz, [700], rising."""
    return frequency_at(np.linspace(erb_number(_LOWEST), erb_number(_HIGHEST), CHANNELS))


def hazards(utterance: Utterance) -> Array:
    """Hazard of spiking per second, [time, 700], constant within a frame."""
    excitation = _spread(_spectrum(utterance))
    channels = np.arange(CHANNELS)
    place = np.clip((channels - (_GROUP - 1) / 2) / _GROUP, 0, CHANNELS / _GROUP - 1)
    below = np.minimum(place.astype(int), CHANNELS // _GROUP - 2)
    level = np.log(excitation + 1e-12)
    level = level[:, below] + (place - below) * (level[:, below + 1] - level[:, below])
    _resolve(level, utterance.pitch)
    drive = 1 / (1 + np.exp(_COMPRESSION * (np.log(_HALF) - level)))
    return _SPONTANEOUS + _LARGEST * drive * _transmitter(drive)


@cache
def _places() -> Array:
    """Places on the scale where the spectrum is taken, [140], the middle of five channels each."""
    return erb_number(centre_frequencies()).reshape(-1, _GROUP).mean(1)


def _spectrum(utterance: Utterance) -> Array:
    """Power at every place, [time, 140]."""
    frequency = frequency_at(_places())
    tract = np.ones((len(utterance.pitch), len(frequency)))
    squares = frequency**2
    for centre, width in zip(utterance.formants.T, utterance.bandwidths.T, strict=True):
        c = (centre**2)[:, None]
        b = (width**2)[:, None]
        tract *= (c + b / 4) ** 2 / ((c + b / 4 - squares) ** 2 + b * squares)
    octaves = np.log2(np.maximum(frequency, _TILT_FROM) / _TILT_AT)
    source = 10 ** ((_TILT + utterance.tilt) * octaves / 10)
    voiced = utterance.voice[:, None] ** 2 * source
    power = (voiced + utterance.breath[:, None] ** 2) * tract
    for band, gain in zip(utterance.hiss, utterance.hiss_gain.T, strict=True):
        distance = (_places() - erb_number(band.centre)) / band.width
        power += (gain**2)[:, None] * (10 ** (band.level / 10) * np.exp(-0.5 * distance**2))
    knots = np.linspace(_places()[0], _places()[-1], len(utterance.colour))
    return power * 10 ** (np.interp(_places(), knots, utterance.colour) / 10)


def _spread(power: Array) -> Array:
    """Power seen through the auditory filters."""
    step = float(_places()[1] - _places()[0])
    reach = round(3 / step)
    padded = np.pad(power, ((0, 0), (reach, reach)))
    seen = np.zeros_like(power)
    total = 0.0
    for shift in range(-reach, reach + 1):
        # What lies `shift` places below the centre of a filter enters by its lower flank.
        x = (_BELOW if shift > 0 else _ABOVE) * abs(shift) * step
        weight = (1 + x) * np.exp(-x)
        seen += weight * padded[:, reach - shift : reach - shift + power.shape[1]]
        total += weight
    return seen / total


def _resolve(level: Array, pitch: Array) -> None:
    """Add the log of R to the log of the excitation, in place, where filters resolve harmonics."""
    centres = centre_frequencies()
    sigma = erb(centres) / np.sqrt(2 * np.pi)
    # Beyond half a harmonic's distance R is one to within two percent.
    narrow = int(np.searchsorted(sigma, 0.5 * pitch.max()))
    f, s, f0 = centres[:narrow], sigma[:narrow], pitch[:, None]
    nearest = np.maximum(np.round(f / f0), 1)
    away = (f - nearest * f0) / s
    apart = f0 / s
    ripple = np.exp(-0.5 * away**2) + np.exp(-0.5 * (away - apart) ** 2)
    ripple += np.exp(-0.5 * (away + apart) ** 2) * (nearest > 1)
    level[:, :narrow] += np.log(ripple * apart / np.sqrt(2 * np.pi) + 1e-3)


def _transmitter(drive: Array) -> Array:
    """Transmitter at hand in the middle of every frame, [time, 700]; at rest it is one."""
    speed = 1 / _RECOVERY + drive / _USE
    settled = 1 / (_RECOVERY * speed)
    left = np.exp(-0.5 * FRAME * speed)
    at_hand = np.empty_like(drive)
    q = np.ones(drive.shape[1])
    for now, (target, decay) in enumerate(zip(settled, left, strict=True)):
        at_hand[now] = target + (q - target) * decay
        q = target + (at_hand[now] - target) * decay
    return at_hand
