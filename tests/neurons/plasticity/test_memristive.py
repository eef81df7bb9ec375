"""MemristiveSTP: ideal devices are Hebbian synapses; each imperfection does what it says."""

import copy
import math

import pytest
import torch

from srnn.neurons.plasticity import HebbianSTP, MemristiveSTP
from srnn.neurons.plasticity.device import FLOOR

UNLIMITED = (-math.inf, math.inf)


def devices(**options):
    """Devices on which the short-term part is as large as the long-term one, in float64."""
    options = {"window": UNLIMITED} | options
    stp = MemristiveSTP(3, 2, **options).double()
    torch.nn.init.uniform_(stp.Gamma, -0.5, 0.5)
    return stp


def one_step(stp, z, h, F=None):
    """F after one step from F."""
    params = stp.params()
    state = stp.initial_state(len(z), z)
    state = state if F is None else state._replace(F=F)
    return stp.update(z, h, stp.transmit(z, state, params)[1], params).F


@pytest.fixture
def activity():
    """Presynaptic and postsynaptic activity, as of two inputs and three neurons."""
    return torch.randn(4, 5).double(), torch.randn(4, 3).double()


@pytest.mark.parametrize("gamma_per", ["synapse", "scalar"])
@pytest.mark.parametrize("recurrent", ["old", "new"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ideal_devices_are_hebbian_synapses_to_the_last_bit(run, gamma_per, recurrent, dtype):
    options = {"gamma_per": gamma_per, "recurrent": recurrent}
    device = devices(bias_voltage=0.1, **options).to(dtype)
    plain = HebbianSTP(3, 2, normalisation="none", lambda_per="scalar", **options).to(dtype)
    plain.load_state_dict(
        {name: getattr(device, name).detach() for name in ("W", "bias", "Gamma")}
        | {"Lambda": device.params().decay.detach()}
    )
    x = torch.randn(9, 4, 2, dtype=dtype)
    gradients = []
    for stp in (device, plain):
        h, _, states = run(stp, x)
        h.sum().backward()
        gradients.append([h, states[-1].F, stp.W.grad, stp.Gamma.grad, stp.bias.grad])
    assert states[-1].F.abs().max() > 0.01
    assert device.retention.theta.grad.abs() > 1e-3
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("voltage", "tau"), [(-0.6, 1e-3), (0.6, 60.0), (0.0, math.sqrt(1e-3 * 60)), (0.3, 3.8337)]
)
def test_the_bias_voltage_sets_the_decay(voltage, tau):
    stp = MemristiveSTP(3, bias_voltage=voltage, dt=0.02)
    # An end of the range is taken 0.01 % of it inside.
    assert stp.retention.tau.item() == pytest.approx(tau, rel=2e-3)
    assert stp.bias_voltage.item() == pytest.approx(voltage, abs=2e-4)
    decay = stp.params().decay
    assert decay.item() == pytest.approx(math.exp(-0.02 / stp.retention.tau.item()), rel=1e-6)
    decay.backward()
    assert stp.retention.theta.grad > 0


def test_conductances_stay_in_their_window(run):
    stp = devices(window=(0.5 * FLOOR, 1.5 * FLOOR))
    torch.nn.init.uniform_(stp.W, -2, 2)
    torch.nn.init.uniform_(stp.Gamma, -5, 5)
    _, _, states = run(stp, torch.randn(10, 4, 2).double())
    for state in states:
        G = stp.conductance(state, stp.params()) / FLOOR
        assert G.min() >= 0.5 - 1e-12
        assert G.max() <= 1.5 + 1e-12
    assert (G.max() - G.min()) > 0.9


def test_a_weight_outside_the_window_can_come_back(activity):
    stp = devices(window=(0.0, 2 * FLOOR))
    torch.nn.init.constant_(stp.W, 3.0)
    params = stp.params()
    assert torch.equal(params.W, torch.ones_like(params.W))
    current, _ = stp.transmit(activity[0], stp.initial_state(4, activity[0]), params)
    current.sum().backward()
    torch.testing.assert_close(stp.W.grad, activity[0].sum(0).expand(3, 5))


def test_only_large_changes_are_programmed_and_all_are_learned_from(activity):
    z, h = activity
    stp = devices(threshold=0.2)
    F = one_step(stp, z, h)
    dF = stp.Gamma * (h[:, :, None] * z[:, None, :])
    large = dF.abs() > 0.2
    assert 0.2 < large.float().mean() < 0.8
    assert torch.equal(F, torch.where(large, dF, 0.0))
    (gradient,) = torch.autograd.grad(F.sum(), stp.Gamma)
    torch.testing.assert_close(gradient, torch.einsum("bi,bj->ij", h, z))


def test_below_the_threshold_a_device_only_decays(activity):
    z, h = activity
    stp = devices(threshold=1e9)
    F = torch.randn(4, 3, 5).double()
    assert torch.equal(one_step(stp, z, h, F), stp.params().decay * F)


def test_the_write_noise_is_multiplicative_seeded_and_not_learned_from():
    z, h = torch.ones(500, 5).double(), torch.ones(500, 3).double()
    noisy = [
        devices(write_noise=0.1, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    for stp in noisy:
        stp.load_state_dict(noisy[0].state_dict())
    torch.manual_seed(5)
    first, again, other = (one_step(stp, z, h) for stp in noisy)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    eps = (first / noisy[0].Gamma - 1) / 0.1
    # 7500 draws of N(0, 1): five standard errors
    assert abs(eps.mean()) < 5 / math.sqrt(7500)
    assert abs(eps.std() - 1) < 5 / math.sqrt(2 * 7500)
    (gradient,) = torch.autograd.grad(first.sum(), noisy[0].Gamma)
    assert torch.equal(gradient, torch.full_like(gradient, 500.0))
    assert torch.equal(torch.randn(1), torch.randn(1, generator=torch.Generator().manual_seed(5)))


def test_without_a_generator_the_seed_of_the_run_decides(activity):
    stp = devices(write_noise=0.1)
    torch.manual_seed(3)
    first, second = one_step(stp, *activity), one_step(stp, *activity)
    torch.manual_seed(3)
    assert torch.equal(one_step(stp, *activity), first)
    assert not torch.equal(first, second)


def test_a_pulse_lands_on_a_level_and_decay_leaves_it(activity):
    z, h = activity
    stp = devices(levels=5, window=(0.0, 2 * FLOOR), threshold=0.2, scale=FLOOR)
    params = stp.params()
    levels = torch.tensor([-1, -0.5, 0, 0.5, 1]).double()

    def off_level(G):
        return (G[..., None] - levels).abs().min(-1).values

    assert off_level(params.W).max() < 1e-12
    assert (params.W - stp.W).abs().max() <= 0.25 + 1e-12
    F = torch.full((4, 3, 5), 0.11).double()
    after = one_step(stp, z, h, F)
    pulsed = (stp.Gamma * (h[:, :, None] * z[:, None, :])).abs() > 0.2
    assert off_level(params.W + after)[pulsed].max() < 1e-12
    free = (params.W + params.decay * F).clamp(-1, 1) - params.W
    torch.testing.assert_close(after[~pulsed], free[~pulsed])
    meant = (params.W + params.decay * F + stp.Gamma * (h[:, :, None] * z[:, None, :])).clamp(-1, 1)
    assert (params.W + after - meant)[pulsed].abs().max() <= 0.25 + 1e-12


def test_every_device_is_another_one_and_stays_itself():
    stp = MemristiveSTP(40, 60, device_spread=0.1, gamma_per="scalar")
    decay, Gamma = stp.params().decay, stp.params().Gamma
    for factor in (
        torch.log(-stp.retention.dt / torch.log(decay) / stp.retention.tau),
        torch.log(Gamma / stp.Gamma),
    ):
        assert abs(factor.mean()) < 5 * 0.1 / math.sqrt(4000)
        assert abs(factor.std() / 0.1 - 1) < 5 / math.sqrt(2 * 4000)
    other = MemristiveSTP(40, 60, device_spread=0.1, gamma_per="scalar")
    assert not torch.equal(other.params().decay, decay)
    other.load_state_dict(stp.state_dict())
    assert torch.equal(other.params().decay, decay)


def test_a_chip_can_be_drawn_again():
    chips = [
        MemristiveSTP(3, device_spread=0.2, generator=torch.Generator().manual_seed(seed))
        for seed in (7, 7, 8)
    ]
    assert torch.equal(chips[0].tau_factor, chips[1].tau_factor)
    assert not torch.equal(chips[0].tau_factor, chips[2].tau_factor)
    copy.deepcopy(chips[0])


def test_a_normalised_input_is_what_reads_and_programs(activity):
    z, h = activity
    stp = devices(normalisation="input")
    plain = devices()
    plain.load_state_dict(stp.state_dict())
    unit = z / z.norm(dim=1, keepdim=True)
    state = stp.initial_state(4, z)
    torch.testing.assert_close(
        stp.transmit(z, state, stp.params())[0], plain.transmit(unit, state, plain.params())[0]
    )
    torch.testing.assert_close(one_step(stp, z, h), one_step(plain, unit, h))


def test_the_activity_counts_what_happened(activity):
    z, h = activity
    z[0, 0] = 0.0
    stp = devices(threshold=0.2, dt=0.01)
    state = stp.initial_state(4, z)._replace(F=torch.randn(4, 3, 5).double())
    params = stp.params()
    did = stp.activity(z, h, state, params)
    conductance = pulses = read = 0.0
    for b in range(4):
        for i in range(3):
            for j in range(5):
                G = FLOOR * (1 + stp.W[i, j] + state.F[b, i, j]).item()
                conductance += G
                read += abs(G) * z[b, j].item() ** 2
                pulses += abs((stp.Gamma[i, j] * h[b, i] * z[b, j]).item()) > 0.2
    assert did.siemens_seconds == pytest.approx(0.01 * conductance)
    assert did.read == pytest.approx(read)
    assert did.pulses == pulses > 0
    assert did.conversions == 19 + 12  # the active lines, and the neurons


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bias_voltage": 0.7}, r"voltage_range \(-0.6, 0.6\), got 0.7"),
        ({"retention_range": (2.0, 1.0)}, "bounds of a time constant must be 0 < low < high"),
        ({"retention_range": (0.0, 1.0)}, "bounds of a time constant must be 0 < low < high"),
        ({"dt": 0.0}, "time step dt must be positive"),
        ({"floor": 0.0}, "floor must be positive and finite, got 0"),
        ({"scale": -1e-9}, "scale must be positive and finite, got -1e-09"),
        ({"window": (2e-8, 3e-8)}, r"window \(2e-08, 3e-08\) must hold the floor, 1.19444e-08 S"),
        ({"threshold": -0.1}, "threshold must be a finite number >= 0, got -0.1"),
        ({"write_noise": math.nan}, "write_noise must be a finite number >= 0, got nan"),
        ({"device_spread": math.inf}, "device_spread must be a finite number >= 0, got inf"),
        ({"levels": 1}, "levels must be a whole number >= 2, got 1"),
        ({"levels": 2.5}, r"levels must be a whole number >= 2, got 2\.5"),
        ({"levels": 4, "window": UNLIMITED}, "levels need a finite window, got 4 over"),
        ({"normalisation": "before"}, "normalisation must be one of none, input, got 'before'"),
        ({"recurrent": "none"}, "recurrent must be one of old, new"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        MemristiveSTP(2, **options)
