"""Speakers, and the utterances that they make of a word.

**Utterance.** A word is a row of sounds with targets Y_s (log formants and bandwidths, levels) and
borders b_s. Sound s is active with

    w_s(t) = S((t - b_s) / q) - S((t - b_{s+1}) / q),    S(x) = 1 / (1 + exp(-x)),

and formants follow from it by dominance (Löfqvist 1990; Cohen and Massaro 1993), where h_s is how
firmly a sound holds its place:

    ln F(t) = sum_s h_s w_s(t) ln F_s / sum_s h_s w_s(t).

That is coarticulation: formants bend towards what comes next and before, and a short sound never
reaches its target. The amplitudes of voice, breath and hiss are sum_s w_s(t) 10^{L_s / 20}, with a
shorter q, since the larynx and a narrow place open and close faster than the tongue moves.

**Time.** The lengths d_s of the sounds vary on their own, and a word is spoken the faster the
longer it would get (polysyllabic shortening: Lehiste 1972):

    T = sum_s d_s,     every length is multiplied by (T_0 / T)^c / rate.

**Speaker.** A speaker scales all formants by one factor, that of the length of the vocal tract, and
each formant of each sound by a habit of his own; speaks at his own pitch, rate, loudness and
spectral tilt, reduces vowels to his own degree, and has a colour: gains in dB over frequency, of
the voice and of the room. Every utterance varies around that.

| symbol    | meaning                                       | value                 | source  |
|-----------|-----------------------------------------------|-----------------------|---------|
| q         | transition of formants, of amplitudes         | 14, 5 ms              | approx. |
| T_0, c    | typical length of a word, shortening          | 0.66 s, 0.5           | ours    |
| rate      | sd of its log, of speaker, of utterance       | 0.06, 0.07            | ours    |
| d_s       | sd of its log                                 | 0.35                  | ours    |
|           | factor on the last sound of a word            | 1 to 1.3              | K       |
| scale     | of formants, men, women; sd of its log        | 1, 1.16; 0.06         | H       |
| pitch     | of men, of women                              | 125, 210 Hz           | H       |
|           | sd of its log, of speaker, of utterance       | 0.13, 0.08            | ours    |
|           | log rise at the start, log fall over the word | 0 to 0.12, 0.1 to 0.4 | ours    |
| habit     | sd of a speaker's log formant of a sound      | 0.06                  | ours    |
| token     | sd of a sound's log formant in an utterance   | 0.07                  | ours    |
| reduction | share of the way to a neutral vowel           | 0 to 0.2, 0 to 0.1    | ours    |
| loudness  | sd, of speaker, of utterance                  | 0.5, 1.5 dB           | ours    |
| stress    | sd of the levels of a sound                   | 3 dB                  | ours    |
|           | fall of voice and breath over the word        | 2 to 6 dB             | ours    |
| tilt      | sd, of speaker, of utterance, an octave       | 1.2, 0.8 dB           | ours    |
| colour    | sd of 8 gains, of speaker, of utterance       | 2.5, 3 dB             | ours    |
| hiss      | sd of the log of its place in an utterance    | 0.04                  | ours    |
| silence   | before the word                               | 20 to 120 ms          | ours    |
|           | after the word                                | 50 to 150 ms          | ours    |

H: rounded from Hillenbrand et al. 1995. K: after Klatt 1976. Hiss moves with the root of the scale,
for the cavity in front of the narrow place is the shorter part of the tract.

Two values of a spread are those of a speaker and of an utterance, and add up. Normal draws are cut
off at 2.5 standard deviations. What is "ours" was chosen so that, as on SHD, a network that uses
the order of events does much better on unknown speakers than a classifier of their counts; within
that, formants of one vowel vary between speakers and between utterances about as they do in the
published tables.
"""

from dataclasses import dataclass

import numpy as np

from srnn.datasets.speech.draws import Array, Draws
from srnn.datasets.speech.phonemes import PHONES, WORDS, Hiss

FRAME = 0.005
"""Seconds from one frame of an utterance to the next."""

LONGEST = 1.3
"""Seconds that no utterance exceeds, silence included."""

# The table says what these are.
_FORMANT_GLIDE = 0.014
_AMPLITUDE_GLIDE = 0.005
_NEUTRAL = np.log([500.0, 1500.0, 2500.0])
_HIGH_FORMANTS = np.log([3500.0, 4500.0])
_HIGH_BANDWIDTHS = (250.0, 300.0)
_SYMBOLS = tuple(PHONES)

_HABIT, _TOKEN = 0.06, 0.07
_SIZE, _PITCH = 0.06, 0.13
_OWN_RATE, _RATE, _STRETCH = 0.06, 0.07, 0.35
_TYPICAL, _COMPENSATION = 0.66, 0.5
_OWN_LOUDNESS, _LOUDNESS, _STRESS = 0.5, 1.5, 3.0
_OWN_TILT, _TILT = 1.2, 0.8
_OWN_COLOUR, _COLOUR = 2.5, 3.0
_KNOTS = 8


@dataclass(frozen=True)
class Speaker:
    """A voice.

    Attributes:
        gender: "male" or "female".
        age: In years.
        height: Of the body, in cm.
        scale: Factor on all formants.
        pitch: In Hz.
        rate: Factor on the rate of speech.
        loudness: In dB.
        tilt: Of the spectrum of the voice, in dB an octave, over that of an average voice.
        reduction: Share of the way that formants go to those of a neutral vowel.
        habits: Log factor on F1, F2 and F3 of every sound, [sounds, 3].
        colour: Gain in dB of this voice, [knots] from the lowest to the highest channel.
    """

    gender: str
    age: int
    height: int
    scale: float
    pitch: float
    rate: float
    loudness: float
    tilt: float
    reduction: float
    habits: Array
    colour: Array


@dataclass(frozen=True)
class Utterance:
    """A spoken word, frame by frame.

    Attributes:
        pitch: In Hz, [time].
        formants: In Hz, [time, 5].
        bandwidths: In Hz, [time, 5].
        voice: Amplitude of voicing, [time].
        breath: Amplitude of aspiration, [time].
        hiss: Bands of noise.
        hiss_gain: Amplitude of each of them, [time, bands].
        tilt: Of the voice, in dB an octave over that of an average voice.
        colour: Gain in dB, [knots] evenly spaced from the lowest to the highest channel.
    """

    pitch: Array
    formants: Array
    bandwidths: Array
    voice: Array
    breath: Array
    hiss: tuple[Hiss, ...]
    hiss_gain: Array
    tilt: float
    colour: Array


def draw_speaker(draws: Draws, female: bool) -> Speaker:
    """Draw a voice."""
    size = draws.about(0.0, 1.0)
    scale = (1.16 if female else 1.0) * np.exp(-_SIZE * size)
    return Speaker(
        gender="female" if female else "male",
        age=int(draws.between(20, 60)),
        height=round((166 if female else 179) + 6 * size + draws.about(0, 3)),
        scale=float(scale),
        pitch=(210 if female else 125) * float(np.exp(draws.about(0.0, _PITCH))),
        rate=float(np.exp(draws.about(0.0, _OWN_RATE))),
        loudness=draws.about(0.0, _OWN_LOUDNESS),
        tilt=draws.about(0.0, _OWN_TILT),
        reduction=draws.between(0.0, 0.2),
        habits=_HABIT * draws.normal(3 * len(_SYMBOLS)).reshape(-1, 3).clip(-2.5, 2.5),
        colour=_draw_colour(_OWN_COLOUR, draws),
    )


def speak(word: str, speaker: Speaker, draws: Draws) -> Utterance:
    """Draw an utterance of a word.

    Args:
        word: One of `WORDS`.
        speaker: Whose voice it is.
        draws: Where its variation comes from.
    """
    symbols = WORDS[word]
    phones = [PHONES[symbol] for symbol in symbols]
    borders, end = _borders(np.array([phone.duration for phone in phones]), speaker.rate, draws)
    time = FRAME * (np.arange(int(end / FRAME), dtype=np.float64) + 0.5)

    holds = np.array([phone.hold for phone in phones])
    # The small number keeps formants defined in the silence around the word.
    pull = (_active(time, borders, _FORMANT_GLIDE) + 1e-9) * holds
    pull /= pull.sum(1, keepdims=True)
    targets = np.log([phone.formants for phone in phones])
    reduction = speaker.reduction + draws.between(0.0, 0.1)
    targets += reduction * (_NEUTRAL - targets)
    targets += speaker.habits[[_SYMBOLS.index(symbol) for symbol in symbols]]
    targets += _TOKEN * draws.normal(targets.size).reshape(targets.shape).clip(-2.5, 2.5)
    high = np.broadcast_to(_HIGH_FORMANTS, (len(phones), 2))
    formants = speaker.scale * np.exp(_blend(pull, np.hstack([targets, high])))
    widths = [(*phone.bandwidths, *_HIGH_BANDWIDTHS) for phone in phones]
    bandwidths = np.exp(_blend(pull, np.log(widths)))

    active = _active(time, borders, _AMPLITUDE_GLIDE)
    loudness = speaker.loudness + draws.about(0.0, _LOUDNESS)
    levels = np.array([(phone.voice, phone.breath) for phone in phones])
    levels += loudness + _STRESS * draws.normal(levels.size).reshape(levels.shape).clip(-2.5, 2.5)
    progress = np.clip((time - borders[0]) / (borders[-1] - borders[0]), 0, 1)
    fall = 10 ** (-draws.between(2.0, 6.0) * progress / 20)  # as the lungs empty
    voice, breath = _blend(active, 10 ** (levels / 20)).T * fall

    bands = [(band, active[:, s]) for s, phone in enumerate(phones) for band in phone.hiss]
    shift = float(np.sqrt(speaker.scale)) * float(np.exp(draws.about(0.0, 0.04)))
    hiss = tuple(
        Hiss(band.centre * shift, band.width, band.level + loudness + draws.about(0.0, _STRESS))
        for band, _ in bands
    )
    gain = np.stack([track for _, track in bands], 1) if bands else np.zeros((len(time), 0))

    pitch = speaker.pitch * np.exp(draws.about(0.0, 0.08))
    contour = draws.between(0.0, 0.12) - draws.between(0.1, 0.4) * progress
    return Utterance(
        pitch=pitch * np.exp(contour),
        formants=formants,
        bandwidths=bandwidths,
        voice=voice,
        breath=breath,
        hiss=hiss,
        hiss_gain=gain,
        tilt=speaker.tilt + draws.about(0.0, _TILT),
        colour=speaker.colour + _draw_colour(_COLOUR, draws),
    )


def _draw_colour(deviation: float, draws: Draws) -> Array:
    """Gains in dB, [knots], that shape a spectrum and leave its level."""
    gains = deviation * draws.normal(_KNOTS).clip(-2.5, 2.5)
    return gains - gains.mean()


def _borders(durations: Array, rate: float, draws: Draws) -> tuple[Array, float]:
    """Draw when every sound begins, and when the last one and the utterance end, in seconds."""
    lengths = durations / 1000 * np.exp(_STRETCH * draws.normal(len(durations)).clip(-2.5, 2.5))
    lengths[-1] *= draws.between(1.0, 1.3)  # the last sound of a phrase is drawn out
    # Long words, and words with a long sound, are spoken faster.
    lengths *= (_TYPICAL / lengths.sum()) ** _COMPENSATION
    lengths /= rate * np.exp(draws.about(0.0, _RATE))
    before, after = draws.between(0.02, 0.12), draws.between(0.05, 0.15)
    lengths *= min(1.0, (LONGEST - before - after) / lengths.sum())
    borders = before + np.concatenate([[0.0], np.cumsum(lengths)])
    return borders, float(borders[-1]) + after


def _active(time: Array, borders: Array, glide: float) -> Array:
    """How much each sound is on, [time, sounds]; in between two borders they sum to one."""
    reached = 0.5 * (1 + np.tanh((time[:, None] - borders) / (2 * glide)))
    return reached[:, :-1] - reached[:, 1:]


def _blend(weights: Array, targets: Array) -> Array:
    """Weighted sums of targets, [time, targets], summed in one order whatever the machine."""
    return (weights[:, :, None] * targets[None]).sum(1)
