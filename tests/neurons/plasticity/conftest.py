"""What the tests of the synapse plugins share: a loop over time, and published numbers."""

import math

import pytest
import torch

from srnn.neurons.plasticity import PlasticState, plastic_step, restart


def sines(shape, a, amplitude, offset=0.0):
    """The deterministic numbers of the golden vector, row by row, in float64."""
    k = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64)
    return (amplitude * torch.sin(a * k) + offset).reshape(shape)


@pytest.fixture
def golden():
    """Parameters, input and what the published modules made of them (H = 2, I = 3, T = 4)."""
    return {
        "x": sines((4, 1, 3), 1.3, 1.0),
        "W": sines((2, 5), 0.7, 0.6),
        "Lambda": sines((2, 5), 0.9, 0.4, 0.5),
        "Gamma": sines((2, 5), 1.7, 0.3),
        "bias": sines((2,), 2.1, 0.2),
        "h": [
            [0.4780496, -0.6321018],
            [0.5763285, -0.4720545],
            [-0.2754648, 0.2462413],
            [0.7415393, -0.7238210],
        ],
        "energy": [1.6808112, 2.0721416, 1.7088997, 1.4531227],
        "F": [
            [0.0242205, -0.1055872, -0.1374993, -0.0337182, 0.0465374],
            [0.0581554, 0.1690809, -0.0685945, 0.0155563, 0.0318141],
        ],
    }


@pytest.fixture
def run():
    """The reference loop, with an activation in the place of neurons; it keeps what it saw."""

    def loop(stp, x, activation=torch.tanh, reset=None, params=None):
        """Return the activity of every step, z of every step, and the synapses before and after."""
        params = stp.params() if params is None else params
        h = x.new_zeros(x.shape[1], stp.neurons)
        initial = state = PlasticState(h, (), stp.initial_state(x.shape[1], x))
        outputs, inputs, states = [], [], [state.synapses]
        for t, x_t in enumerate(x):
            if reset is not None:
                state = restart(state, initial, reset[t])
            inputs.append(stp.presynaptic(x_t, state.h))
            h, state = plastic_step(
                x_t, state, stp, params, lambda current, *_: (activation(current), ())
            )
            outputs.append(h)
            states.append(state.synapses)
        return torch.stack(outputs), torch.stack(inputs), states

    return loop
