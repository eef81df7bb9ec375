import numpy as np
import pytest

from srnn.datasets.speech.cochlea import (
    CHANNELS,
    centre_frequencies,
    erb,
    erb_number,
    frequency_at,
    hazards,
)
from srnn.datasets.speech.draws import Draws
from srnn.datasets.speech.phonemes import PHONES, Hiss
from srnn.datasets.speech.voice import Utterance, draw_speaker, speak

FRAMES = 60


def steady(formants=(500.0, 1500.0, 2500.0), pitch=100.0, voice=1.0, hiss=()):
    """A sound that does not change."""
    track = np.tile([*formants, 3500.0, 4500.0], (FRAMES, 1))
    return Utterance(
        pitch=np.full(FRAMES, pitch),
        formants=track,
        bandwidths=np.tile([60.0, 90.0, 150.0, 250.0, 300.0], (FRAMES, 1)),
        voice=np.full(FRAMES, voice),
        breath=np.zeros(FRAMES),
        hiss=hiss,
        hiss_gain=np.ones((FRAMES, len(hiss))),
        tilt=0.0,
        colour=np.zeros(8),
    )


def channel_of(frequency):
    return int(np.abs(np.log(centre_frequencies() / frequency)).argmin())


def test_the_scale_has_its_published_values():
    # Glasberg and Moore 1990: 132.6 Hz and 15.6 ERB at 1 kHz; 24.7 Hz at the lowest.
    assert erb(np.array(1000.0)) == pytest.approx(132.6, abs=0.1)
    assert erb_number(1000.0) == pytest.approx(15.6, abs=0.05)
    assert erb(np.array(0.0)) == pytest.approx(24.7)
    assert erb_number(0.0) == 0


def test_the_number_of_bandwidths_is_their_integral():
    # dE/df is one over the bandwidth; the published constants are rounded to 21.4.
    f = np.linspace(80, 10_000, 2001)
    assert np.diff(erb_number(f)) / np.diff(f) == pytest.approx(
        1 / erb((f[1:] + f[:-1]) / 2), rel=0.005
    )
    assert frequency_at(erb_number(f)) == pytest.approx(f)


def test_channels_rise_evenly_from_the_lowest_to_the_highest():
    centres = centre_frequencies()
    assert centres.shape == (CHANNELS,)
    assert centres[[0, -1]] == pytest.approx([80, 10_000])
    assert np.diff(erb_number(centres)) == pytest.approx(np.diff(erb_number(centres))[0])
    assert (np.diff(centres) > 0).all()


@pytest.mark.parametrize("vowel", ["i", "V", "E", "i:"])
def test_a_vowel_has_its_formants_at_their_channels(vowel):
    # At a pitch too low to be resolved, the hazard peaks where the formants are.
    formants = PHONES[vowel].formants
    hazard = hazards(steady(formants, pitch=20.0))[-1]
    peaks = np.flatnonzero((hazard[1:-1] > hazard[:-2]) & (hazard[1:-1] >= hazard[2:])) + 1
    for formant in formants[:2]:
        distance = np.abs(erb_number(centre_frequencies()[peaks]) - erb_number(formant))
        assert distance.min() < 0.6, (vowel, formant)


def test_harmonics_are_resolved_in_low_channels_and_not_in_high_ones():
    hazard = hazards(steady(pitch=200.0))[0]
    lower, dip, middle, shallow, upper = hazard[[channel_of(f) for f in range(200, 601, 100)]]
    assert min(lower, middle) > 5 * dip
    assert min(middle, upper) > 1.2 * shallow > 1.2 * dip
    alike = hazards(steady(pitch=20.0))[0]
    high = channel_of(3000.0)
    assert hazard[high:] == pytest.approx(alike[high:], rel=0.02)


def test_hiss_is_where_it_is_made():
    hazard = hazards(steady(voice=0.0, hiss=(Hiss(5000.0, 1.5, 10.0),)))[-1]
    assert abs(int(hazard.argmax()) - channel_of(5000.0)) < 10
    assert hazard[channel_of(500.0)] == pytest.approx(0.5, abs=1.0)


def test_onsets_are_stronger_than_what_follows():
    # Settled transmitter is 1 / (1 + 80 ms D / 40 ms), so a full drive fades to a third.
    hazard = hazards(steady())
    loudest = hazard[0].argmax()
    assert hazard[0, loudest] > 2 * hazard[-1, loudest]
    assert hazard[-1, loudest] > hazard[0, loudest] / 3.1
    assert (np.diff(hazard[:, loudest]) < 0).all()


def test_louder_is_never_less_and_has_its_limit():
    rows = [hazards(steady(voice=voice))[0] for voice in (0.0, 0.1, 1.0, 10.0, 1e4)]
    assert (np.diff(rows, axis=0) >= -1e-9).all()
    assert rows[0] == pytest.approx(np.full(CHANNELS, 0.5), abs=0.1)
    assert rows[-1].max() <= 250.5


def test_the_hazards_of_a_word_are_finite_and_positive():
    draws = Draws(0)
    hazard = hazards(speak("six", draw_speaker(draws, True), draws))
    assert np.isfinite(hazard).all()
    assert (hazard > 0).all()
