import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.datasets.speech.draws import Draws
from srnn.datasets.speech.phonemes import PHONES, WORDS
from srnn.datasets.speech.voice import FRAME, LONGEST, draw_speaker, speak


def test_the_words():
    assert list(WORDS)[:3] == ["zero", "one", "two"]
    assert list(WORDS)[9:12] == ["nine", "null", "eins"]
    assert len(WORDS) == 20
    assert all(word.isascii() for word in WORDS)
    assert {symbol for word in WORDS.values() for symbol in word} == set(PHONES)
    assert len(set(WORDS.values())) == 20


def test_words_share_their_sounds():
    """So that it takes order to tell them apart: most sounds are of more than one word."""
    found = {symbol: sum(symbol in word for word in WORDS.values()) for symbol in PHONES}
    assert np.mean([found[symbol] > 1 for word in WORDS.values() for symbol in word]) > 0.7


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(list(WORDS)), st.integers(0, 10_000), st.booleans())
def test_every_utterance_is_one_that_a_throat_could_make(word, seed, female):
    draws = Draws(seed)
    spoken = speak(word, draw_speaker(draws, female), draws)
    assert 0.2 < len(spoken.pitch) * FRAME <= LONGEST
    assert (spoken.formants > 100).all()
    assert (spoken.formants < 8000).all()
    assert ((spoken.pitch > 50) & (spoken.pitch < 450)).all()
    for track in (spoken.voice, spoken.breath, spoken.hiss_gain):
        assert np.isfinite(track).all()
        assert (track > -1e-9).all()
        # Silence before and after the word.
        assert (track[0] < 0.05).all()
        assert (track[-1] < 0.05).all()


def test_formants_go_from_target_to_target():
    # Means over many men: the formants of "nine" come from [a] and go up to [I].
    second = []
    for seed in range(60):
        draws = Draws(seed)
        spoken = speak("nine", draw_speaker(draws, False), draws)
        middle = np.flatnonzero(spoken.voice > 0.3)
        second.append(
            np.interp(
                np.linspace(0, 1, 50), np.linspace(0, 1, len(middle)), spoken.formants[middle, 1]
            )
        )
    track = np.mean(second, 0)
    rise = track[15:40]
    assert track.argmax() > track[:30].argmin()
    assert rise.min() == pytest.approx(1300, rel=0.06)
    assert rise.max() > 1550


def test_women_have_shorter_vocal_tracts_and_higher_voices():
    men = [draw_speaker(Draws(seed), False) for seed in range(200)]
    women = [draw_speaker(Draws(seed), True) for seed in range(200)]
    ratio = np.mean([w.scale for w in women]) / np.mean([m.scale for m in men])
    assert ratio == pytest.approx(1.16, rel=1e-6)
    assert np.mean([w.pitch for w in women]) > 1.5 * np.mean([m.pitch for m in men])
    # The taller a speaker, the longer the vocal tract.
    assert np.corrcoef([m.height for m in men], [m.scale for m in men])[0, 1] < -0.7


def test_no_two_utterances_are_the_same():
    speaker = draw_speaker(Draws(0), True)
    lengths = {len(speak("acht", speaker, Draws(0, number)).pitch) for number in range(20)}
    assert len(lengths) > 5
