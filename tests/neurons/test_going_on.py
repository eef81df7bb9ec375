"""A membrane handed on: the sequence goes on, or begins where snnTorch's users begin one."""

import pytest
import torch
from torch import nn

from srnn.neurons import ALIF, RALIF, RLIF
from srnn.neurons.plasticity import TsodyksMarkramSTP


@pytest.mark.parametrize("kind", [ALIF, RALIF])
@pytest.mark.parametrize("reset_mechanism", ["subtract", "zero", "none"])
def test_a_detached_membrane_goes_on_even_where_it_is_all_zeros(kind, reset_mechanism):
    current = torch.zeros(9, 2, 3)
    current[[0, 6]] = 2.0

    def adaptations(detach):
        layer = kind(beta=0.0, linear_features=3, reset_mechanism=reset_mechanism, tau_adapt=9.0)
        for parameter in getattr(layer, "recurrent", nn.Identity()).parameters():
            nn.init.zeros_(parameter)
        state, trace = [torch.zeros(2, 3)] * (2 if kind is RALIF else 1), []
        for x in current:
            spikes, membrane = layer(x, *state)
            state = [spikes, membrane] if kind is RALIF else [membrane]
            state = [part.detach() for part in state] if detach else state
            trace.append((layer.adaptation.detach(), membrane.detach()))
        return [torch.stack(part) for part in zip(*trace, strict=True)]

    (kept, membrane), (detached, _) = adaptations(False), adaptations(True)
    assert not membrane[4].any()
    assert kept[5].all()
    assert torch.equal(detached, kept)


def test_plastic_synapses_go_on_with_a_detached_membrane_of_zeros():
    layer = RLIF(plasticity=TsodyksMarkramSTP(4), beta=0.0, reset_mechanism="zero")
    for parameter in (layer.plasticity.W, layer.plasticity.bias):
        nn.init.zeros_(parameter)
    spk, mem = layer(torch.zeros(3, 4), torch.ones(3, 4), None)
    assert not mem.any()
    layer(torch.zeros(3, 4), spk.detach(), mem.detach())
    assert (layer.synapse_x < 1).all()
    layer(torch.zeros(3, 4), spk.detach(), mem.clone())
    assert (layer.synapse_x == 1).all()
