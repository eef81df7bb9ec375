"""What the synapses of a short-term plasticity network would draw if they were conductances.

    E_t = sum_i sum_j |g_ij| z_j²                       P = V² G

with the presynaptic activity z as voltage and the size of the efficacy g as conductance, both taken
before the synapses are updated. The unit is arbitrary: this is neither a power nor an energy, for
it knows of no volt and no second. It leaves out biases, readouts, the update of the synapses and
every other operation. Compare it among networks that have the same task and the same range of z,
never with joules.

Source: Rodriguez, Guo and Moraitis 2022 (ICML), as in their code.
"""

from torch import Tensor


def conductance_proxy(g: Tensor, z: Tensor) -> Tensor:
    """Return the measure of one step, in its own unit.

    Args:
        g: efficacies, [batch, neurons, lines], or [neurons, lines] of synapses without a state.
        z: presynaptic activity, [batch, lines].

    Returns:
        The sum over all synapses, [batch].
    """
    return (g.abs() @ z.square().unsqueeze(-1)).sum((-2, -1))
