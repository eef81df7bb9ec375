"""Counting one product after the other, and the terms of a meter as plain numbers."""

import pytest
import torch

from srnn.meters import SynOpMeter


@pytest.fixture(autouse=True)
def seeded():
    """Every test sees the same numbers, whichever ran before."""
    torch.manual_seed(0)


def products(rows, weight):
    """(ACs, MACs, dense, words) of matrix products, one after the other: rows, [out, in].

    Every product that counts reads its weight.
    """
    ac = mac = dense = words = 0
    for row in rows.reshape(-1, rows.shape[-1]).double().tolist():
        for column, x in zip(weight.T.double().tolist(), row, strict=True):
            fan_out = sum(w != 0 for w in column)
            dense += len(column)
            times = 1 if x % 1 else int(abs(x))
            words += times * fan_out
            if x % 1:
                mac += fan_out
            else:
                ac += times * fan_out
    return ac, mac, dense, words


def terms(layer):
    """name -> (ACs, MACs, dense, words) of a metered layer, over time."""
    return {
        name: tuple(int(count.sum()) for count in (term.ac, term.mac, term.dense, term.words))
        for name, term in layer.terms.items()
    }


def skipping(layer):
    """name -> (ACs, MACs, words) of a metered layer, over time."""
    return {name: (*term[:2], term[3]) for name, term in terms(layer).items()}


def metered(net, *args, timewise=False, **kwargs):
    """The meter after one call of the network."""
    with torch.no_grad(), SynOpMeter(net, timewise=timewise) as meter:
        net(*args, **kwargs)
    return meter


@pytest.fixture(scope="session")
def counting():
    """The four functions above, as attributes."""
    functions = (products, terms, skipping, metered)
    return type("Counting", (), {f.__name__: staticmethod(f) for f in functions})
