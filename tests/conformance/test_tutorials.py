"""Networks of snnTorch's tutorials on real MNIST, with our neurons in the place of its own."""

import importlib.util
import os
from pathlib import Path

import pytest
import snntorch as snn

from srnn.neurons import ALIF, LIF

DATA = os.environ.get("SRNN_DATA")
here = pytest.mark.skipif(
    not DATA or not (Path(DATA) / "mnist").is_dir(), reason="MNIST is not here: set SRNN_DATA"
)
CLASSES = {"snn.Leaky": snn.Leaky, "LIF": LIF, "ALIF": ALIF}


@pytest.fixture(scope="module")
def tutorials():
    path = Path(__file__).parents[2] / "benchmarks" / "tutorials.py"
    spec = importlib.util.spec_from_file_location("tutorials", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@here
@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "samples", "least", "options"),
    [
        ("FullyConnected", 2560, 0.6, {"steps": 10, "hidden": 200}),
        ("Convolutional", 7680, 0.6, {"steps": 4}),
    ],
)
def test_a_tutorial_learns_as_it_did(tutorials, shape, samples, least, options):
    """A small part of benchmarks/tutorials.py, which trains for a whole epoch."""
    train = tutorials.load(DATA, "train", samples)
    test = tutorials.load(DATA, "t10k", 1000)
    results = tutorials.compare(getattr(tutorials, shape), CLASSES, train, test, **options)
    original, _, _ = results["snn.Leaky"]
    assert original > least
    assert results["LIF"][:2] == results["snn.Leaky"][:2]  # every bit the same
    # This early, points between different dynamics mean little: docs/results.md has a whole epoch.
    assert results["ALIF"][0] > least
