"""Speech sounds and the twenty words: zero to nine in English, null to neun in German.

**Sounds.** A sound is a set of targets that the vocal tract aims at: the lowest three formants and
their bandwidths, how strongly the vocal folds vibrate (`voice`), how much breath passes them
(`breath`, noise that the formants filter as they do the voice), and hiss, noise made at a narrow
place whose spectrum does not depend on the formants. A stop consonant is a closure, then a burst,
then aspiration, each with a symbol of its own, as in the TIMIT transcriptions. A diphthong is two
targets, the voice gliding from one to the other.

| value             | unit | source                                                                |
|-------------------|------|-----------------------------------------------------------------------|
| English vowels    | Hz   | Hillenbrand et al. 1995, means of men; unstressed ones approximate    |
| diphthongs        | Hz   | Klatt 1980, table II, rounded                                         |
| German vowels     | Hz   | after Pätzold and Simpson 1997, men; rounded to 10 Hz and approximate |
| consonants F1..F3 | Hz   | Klatt 1980, table III; German [x], [ʁ] and [ts] approximate           |
| bandwidths        | Hz   | Klatt 1980, rounded; the same within a class of sounds                |
| levels            | dB   | re the voice of a vowel; approximate, after the same table            |
| hiss              | Hz   | where the noise of a sound peaks; approximate                         |
| durations         | ms   | after Klatt 1976 and 1979, in words spoken alone; approximate         |
| hold              | 1    | ours: how firmly a sound keeps its formants beside others             |

**Hold.** Coarticulation is a matter of dominance (Löfqvist 1990): the tongue is free during [f] or
[h], which therefore take on the formants of their neighbours, but not during [i] or [s].
"""

from dataclasses import dataclass, replace

SILENT = -200.0
"""Level of what is not there, in dB."""


@dataclass(frozen=True)
class Hiss:
    """A band of noise.

    Attributes:
        centre: Where it peaks, in Hz.
        width: Standard deviation of its Gaussian shape, in ERB.
        level: In dB, of its peak.
    """

    centre: float
    width: float
    level: float


@dataclass(frozen=True)
class Phone:
    """Targets of one sound; see the module for units and sources.

    Attributes:
        formants: F1, F2, F3 of an average man.
        duration: In a word spoken alone.
        bandwidths: Of the three formants.
        voice: Level of voicing.
        breath: Level of aspiration.
        hiss: Bands of noise.
        hold: Dominance over the formants of the neighbours.
    """

    formants: tuple[float, float, float]
    duration: float
    bandwidths: tuple[float, float, float] = (70, 90, 150)
    voice: float = 0.0
    breath: float = SILENT
    hiss: tuple[Hiss, ...] = ()
    hold: float = 1.0


def _sonorant(f1: float, f2: float, f3: float, duration: float, voice: float) -> Phone:
    return Phone((f1, f2, f3), duration, (60, 110, 180), voice, hold=0.8)


def _nasal(f1: float, f2: float, f3: float, duration: float) -> Phone:
    # The murmur is a strong first resonance below weak and broad ones.
    return Phone((f1, f2, f3), duration, (60, 300, 300), -7, hold=0.6)


def _fricative(f2: float, f3: float, duration: float, *hiss: Hiss, hold: float) -> Phone:
    return Phone((330, f2, f3), duration, (200, 120, 200), SILENT, hiss=hiss, hold=hold)


def _voiced(fricative: Phone, duration: float) -> Phone:
    weaker = tuple(replace(band, level=band.level - 7) for band in fricative.hiss)
    f1, f2, f3 = 240, *fricative.formants[1:]
    return replace(
        fricative, formants=(f1, f2, f3), duration=duration, voice=-13, hiss=weaker, bandwidths=_BAR
    )


def _closure(f2: float, f3: float, duration: float, voice: float = SILENT) -> Phone:
    return Phone((220, f2, f3), duration, _BAR, voice, hold=0.5)


def _burst(f2: float, f3: float, *hiss: Hiss) -> Phone:
    return Phone((350, f2, f3), 14, (250, 150, 250), SILENT, hiss=hiss, hold=0.5)


_BAR = (70.0, 200.0, 300.0)

_S = _fricative(1390, 2530, 125, Hiss(5600, 2.0, 2), hold=0.9)
_F = _fricative(1100, 2080, 105, Hiss(6500, 4.5, -13), Hiss(1500, 3.0, -22), hold=0.25)

PHONES: dict[str, Phone] = {
    # English vowels
    "I": Phone((427, 2034, 2684), 105),
    "i": Phone((342, 2322, 3000), 210),
    "E": Phone((580, 1799, 2605), 115),
    "V": Phone((623, 1200, 2550), 150),
    "O": Phone((620, 980, 2500), 175),
    "u": Phone((378, 1050, 2300), 220),
    "@": Phone((480, 1500, 2500), 65, hold=0.5),
    # Diphthongs of both languages, each from a first to a second target
    "a(I)": Phone((680, 1230, 2550), 140),
    "(a)I": Phone((420, 1900, 2550), 110, hold=0.9),
    "e(I)": Phone((480, 1790, 2560), 115),
    "(e)I": Phone((340, 2100, 2700), 95, hold=0.9),
    "o(U)": Phone((540, 1050, 2350), 130),
    "(o)U": Phone((430, 900, 2300), 110, hold=0.9),
    "o(Y)": Phone((520, 960, 2350), 130),
    "(o)Y": Phone((390, 1750, 2350), 110, hold=0.9),
    # German vowels
    "i:": Phone((290, 2070, 2780), 190),
    "E_": Phone((490, 1680, 2450), 110),
    "a_": Phone((640, 1290, 2450), 125),
    "U_": Phone((390, 1020, 2320), 110),
    "Y_": Phone((360, 1430, 2220), 110),
    "6": Phone((540, 1270, 2440), 110, hold=0.8),
    # Sonorants
    "w": _sonorant(290, 610, 2150, 80, -5),
    "r": _sonorant(310, 1060, 1380, 80, -4),
    "R": Phone((420, 1180, 2350), 70, (90, 130, 200), -6, hiss=(Hiss(1300, 2.5, -20),), hold=0.6),
    "l": _sonorant(310, 1150, 2750, 130, -4),
    "n": _nasal(320, 1340, 2470, 95),
    # Fricatives
    "s": _S,
    "z": _voiced(_S, 95),
    "f": _F,
    "v": _voiced(_F, 75),
    "T": _fricative(1290, 2540, 105, Hiss(7000, 3.0, -14), hold=0.6),
    "x": _fricative(1250, 2450, 110, Hiss(1300, 1.8, -8), Hiss(3300, 2.5, -17), hold=0.4),
    # Stops: closure, burst, aspiration
    "tcl": _closure(1650, 2600, 70),
    "kcl": _closure(1900, 2500, 65),
    "bcl": _closure(1050, 2150, 55, -16),
    "dcl": _closure(1650, 2600, 40, -18),
    "t": _burst(1650, 2600, Hiss(4500, 2.5, 0)),
    "d": _burst(1650, 2600, Hiss(4300, 2.5, -5)),
    "k": _burst(1950, 2750, Hiss(2300, 1.6, -3)),
    "b": _burst(1050, 2150, Hiss(1000, 4.0, -13)),
    "h": Phone((450, 1500, 2500), 50, (250, 120, 200), SILENT, breath=-12, hold=0.15),
}
"""Every sound by its symbol: SAMPA, with an underscore or a colon for the German vowels."""

WORDS: dict[str, tuple[str, ...]] = {
    "zero": ("z", "I", "r", "o(U)", "(o)U"),
    "one": ("w", "V", "n"),
    "two": ("t", "h", "u"),
    "three": ("T", "r", "i"),
    "four": ("f", "O", "r"),
    "five": ("f", "a(I)", "(a)I", "v"),
    "six": ("s", "I", "kcl", "k", "s"),
    "seven": ("s", "E", "v", "@", "n"),
    "eight": ("e(I)", "(e)I", "tcl", "t", "h"),
    "nine": ("n", "a(I)", "(a)I", "n"),
    "null": ("n", "U_", "l"),
    "eins": ("a(I)", "(a)I", "n", "s"),
    "zwei": ("t", "s", "v", "a(I)", "(a)I"),
    "drei": ("dcl", "d", "R", "a(I)", "(a)I"),
    "vier": ("f", "i:", "6"),
    "fuenf": ("f", "Y_", "n", "f"),
    "sechs": ("z", "E_", "kcl", "k", "s"),
    "sieben": ("z", "i:", "bcl", "b", "@", "n"),
    "acht": ("a_", "x", "tcl", "t", "h"),
    "neun": ("n", "o(Y)", "(o)Y", "n"),
}
"""The sounds of every word; the position of a word is its label."""
