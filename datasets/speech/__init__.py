"""Synthetic spoken digits, from sounds to spikes: a stand-in for the Spiking Heidelberg Digits.

    phonemes  ->  voice       ->  cochlea   ->  spikes  ->  files
    targets       utterances      hazards       events      two HDF5 files in the format of SHD

Nothing here is measured speech, and an accuracy on these files says nothing about SHD. What the two
have in common is the format, the classes, the density of events, and the kind of difficulty: words
are told apart by the order of their sounds, and the voices of the test are unknown.
"""

from srnn.datasets.speech.files import cannot_generate, write_files

__all__ = ["VERSION", "cannot_generate", "write_files"]

VERSION = 1
"""Counts up whenever the same seed comes to give other spikes."""
