"""Counting one product after the other, and the terms of a meter as plain numbers."""

import pytest
import torch

from srnn.meters import SynOpMeter


@pytest.fixture(autouse=True)
def seeded():
    """Every test sees the same numbers, whichever ran before."""
    torch.manual_seed(0)


def products(rows, weight):
    """(ACs, MACs, dense) of matrix products, one after the other: rows of inputs, [out, in]."""
    ac = mac = dense = 0
    for row in rows.reshape(-1, rows.shape[-1]).double().tolist():
        for column, x in zip(weight.T.double().tolist(), row, strict=True):
            fan_out = sum(w != 0 for w in column)
            dense += len(column)
            if x % 1:
                mac += fan_out
            else:
                ac += int(abs(x)) * fan_out
    return ac, mac, dense


def terms(layer):
    """name -> (ACs, MACs, dense) of a metered layer, over time."""
    return {n: tuple(int(c.sum()) for c in (t.ac, t.mac, t.dense)) for n, t in layer.terms.items()}


def metered(net, *args, timewise=False, **kwargs):
    """The meter after one call of the network."""
    with torch.no_grad(), SynOpMeter(net, timewise=timewise) as meter:
        net(*args, **kwargs)
    return meter


@pytest.fixture(scope="session")
def counting():
    """The three functions above, as attributes."""
    return type("Counting", (), {f.__name__: staticmethod(f) for f in (products, terms, metered)})
