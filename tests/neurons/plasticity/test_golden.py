"""The golden vector of the published modules: by the plugin, step by step, and in a sequence."""

import pytest
import torch

from srnn.neurons.plasticity import HebbianSTP, conductance_proxy
from srnn.stpn import STPNLayer

either = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def fill(stp, golden):
    with torch.no_grad():
        for name in ("W", "Lambda", "Gamma", "bias"):
            getattr(stp, name).copy_(golden[name])


def close(got, expected):
    torch.testing.assert_close(got.double(), torch.tensor(expected).double(), rtol=0, atol=1e-6)


@either
def test_the_plugin_step_by_step(golden, run, dtype):
    stp = HebbianSTP(2, 3).to(dtype)
    fill(stp, golden)
    h, z, states = run(stp, golden["x"].to(dtype))
    close(h[:, 0], golden["h"])
    close(states[-1].F[0], golden["F"])
    # With the state before the update, and in the published unit.
    proxies = [
        conductance_proxy(stp.efficacy(state, stp.params()), z_t)
        for state, z_t in zip(states[:-1], z, strict=True)
    ]
    close(torch.stack(proxies)[:, 0], golden["energy"])


@either
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_the_layer_in_a_sequence_and_in_pieces(golden, dtype, cut):
    layer = STPNLayer(3, 2).to(dtype)
    fill(layer.plasticity, golden)
    x = golden["x"].to(dtype)
    first, middle = layer(x[:cut])
    rest, end = layer(x[cut:], middle)
    close(torch.cat([first, rest])[:, 0], golden["h"])
    close(end.synapses.F[0], golden["F"])
