"""The compiled kernel against the step functions under autograd, in float64 to 1e-10."""

import functools
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.neurons.kernels import cpu_backend, library
from srnn.neurons.kernels.problem import Bits

from .cpu_problems import KINDS, check, flat, make, random_cotangents, run_cpu, run_reference
from .problems import RESETS

pytestmark = pytest.mark.skipif(library.reason() is not None, reason=str(library.reason()))


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("reset", list(RESETS))
@pytest.mark.parametrize("source", ["current", "inputs"])
def test_all_dynamics(source, reset, recurrent, adaptive, detach):
    rules = {"reset": reset, "recurrent": recurrent, "adaptive": adaptive, "detach": detach}
    spikes = check(make(source=source, **rules))
    assert 0.05 < spikes.mean() < 0.6  # or the test would say nothing


@pytest.mark.parametrize("spike", list(KINDS))
def test_all_surrogates(spike):
    check(make(spike=spike, source="events"))


@pytest.mark.parametrize("source", ["current", "inputs", "values", "events", "both"])
@pytest.mark.parametrize("channels", [1, 3, 70])
@pytest.mark.parametrize("density", [0.05, 0.9])
def test_all_inputs(source, channels, density):
    check(make(source=source, channels=channels, density=density))


@pytest.mark.parametrize("level", library.LEVELS)
@pytest.mark.parametrize("neurons", [1, 17, 64, 100, 130, 288])
def test_all_levels_and_widths(level, neurons):
    if library.LEVELS.index(level) > library.level_of(None):
        pytest.skip(f"this machine has no {level}")
    check(make(steps=12, batch=35, neurons=neurons, source="inputs", channels=40), level=level)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.integers(0, 40),
    batch=st.integers(0, 40),
    neurons=st.integers(1, 70),
    channels=st.integers(1, 70),
    density=st.floats(0, 1),
    source=st.sampled_from(["current", "inputs", "values", "events", "both"]),
    reset=st.sampled_from(list(RESETS)),
    drive=st.sampled_from([0.0, 1.0, 30.0]),
    flags=st.tuples(*[st.booleans()] * 7),
    seed=st.integers(0, 9),
)
def test_random_problems(flags, **shape):
    names = ("recurrent", "adaptive", "bias", "masks", "carried", "detach", "infinite")
    options = dict(zip(names, flags, strict=True))
    # The reference subtracts an infinite threshold times no spike, which is no number.
    if shape["reset"] == "subtract":
        options["infinite"] = False
    check(make(**shape, **options))


def test_a_neuron_without_threshold_integrates_whatever_the_reset():
    problem = make(infinite=True, carried=False, masks=False)
    spikes, _, _, trace = run_cpu(problem)[0]
    assert not spikes[..., ::2].any()
    assert trace.isfinite().all()
    without = problem._replace(rules=problem.rules._replace(reset="none"))
    feed_forward = problem._replace(recurrent=None, recurrent_bias=None)
    other = without._replace(recurrent=None, recurrent_bias=None)
    torch.testing.assert_close(
        run_cpu(feed_forward)[0][3][..., ::2], run_reference(other)[0][3][..., ::2].detach()
    )
    cotangents = random_cotangents(run_cpu(problem)[0])
    assert all(g.isfinite().all() for g in run_cpu(problem, cotangents)[1].values())


@pytest.mark.parametrize("source", ["current", "inputs", "events"])
def test_any_number_of_threads_gives_the_same_bits(threads, source):
    problem = make(batch=70, source=source, channels=40, dtype=torch.float32)
    cotangents = random_cotangents(run_cpu(problem)[0])
    assert library._pool() is not None  # else one thread would do it all
    threads(1)
    one = flat(*run_cpu(problem, cotangents))
    for number in (2, 5):
        threads(number)
        many = flat(*run_cpu(problem, cotangents))
        assert all(torch.equal(a, b) for a, b in zip(one, many, strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_float32_spikes_are_the_reference_s_and_gradients_close(seed):
    problem = make(60, 32, 128, source="events", channels=64, dtype=torch.float32, seed=seed)
    check(problem, tolerance=1e-4)


def test_dense_and_sparse_products_agree_to_the_last_bit():
    """All neurons spike, then none: the switch between the products leaves no trace."""
    problem = make(source="current", drive=1.0, masks=False, carried=False, dtype=torch.float32)
    kicks = torch.tensor([30.0, -30.0, 0.0]).repeat(13)[:37, None, None]
    problem = problem._replace(current=problem.current + kicks)
    spikes = run_cpu(problem)[0][0]
    assert spikes.mean((1, 2)).max() > 0.9
    assert (spikes.mean((1, 2)) < 0.3).any()
    check(
        problem._replace(
            **{n: v.double() for n, v in problem._asdict().items() if isinstance(v, torch.Tensor)}
        )
    )


def test_the_spikes_come_back_counted_and_as_bits():
    problem = make(neurons=70, source="events", channels=40)
    solution = cpu_backend.forward(problem, False, False)
    assert solution.trace is None
    assert solution.kept == ()
    assert torch.equal(solution.counts, solution.spikes.sum(0))
    words = solution.fired.words
    dense = (words[..., None] >> torch.arange(64)) & 1
    dense = dense.flatten(1)
    assert not dense[:, 70:].any()
    assert torch.equal(dense[:, :70].to(torch.float64), solution.spikes.flatten(0, 1))


def test_bits_as_input_are_the_dense_input():
    inputs = make(source="inputs", channels=70)
    words = torch.zeros(37 * 19, 2, dtype=torch.int64)
    for channel in range(70):
        one = inputs.inputs.flatten(0, 1)[:, channel].long()
        words[:, channel // 64] |= one << (channel % 64)
    cotangents = random_cotangents(run_cpu(inputs)[0])
    expected = flat(*run_cpu(inputs, cotangents))
    found = flat(*run_cpu(inputs._replace(events=Bits(words)), cotangents))
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_a_sequence_in_two_parts_is_the_whole():
    whole = make(steps=40, source="current", masks=True)
    first = whole._replace(steps=23, current=whole.current[:23], begin=whole.begin[:23])
    spikes, membrane, adaptation, _ = run_cpu(first)[0]
    second = whole._replace(
        steps=17,
        current=whole.current[23:],
        begin=whole.begin[23:],
        spikes=spikes[-1],
        crossed=spikes[-1],
        membrane=membrane,
        adaptation=adaptation,
    )
    parts = run_cpu(second)[0]
    complete = run_cpu(whole)[0]
    assert torch.equal(torch.cat([spikes, parts[0]]), complete[0])
    assert torch.equal(parts[1], complete[1])


def test_views_are_read_as_what_they_show():
    problem = make(source="inputs")
    strided = {
        name: torch.stack([value, value], -1)[..., 0]
        for name, value in problem._asdict().items()
        if isinstance(value, torch.Tensor)
    }
    strided["inputs"] = problem.inputs.transpose(0, 1).contiguous().transpose(0, 1)
    assert not strided["inputs"].is_contiguous()
    check(problem._replace(**strided))


def test_what_is_no_number_does_not_spike():
    problem = make(recurrent=False, masks=False)
    problem.current[3:, 2, 5] = torch.nan
    spikes, membrane, _, _ = run_cpu(problem)[0]
    assert not spikes[3:, 2, 5].any()
    assert membrane.isnan().sum() == 1


def test_only_what_is_needed_is_computed():
    problem = make(source="inputs")
    cotangents = random_cotangents(run_cpu(problem)[0])
    everything = run_cpu(problem, cotangents)[1]
    kept = cpu_backend.forward(problem, False, True).kept
    for name in everything:
        alone = cpu_backend.backward(problem, kept, cotangents, {name})
        assert [n for n, g in alone._asdict().items() if g is not None] == [name]
        assert torch.equal(getattr(alone, name), everything[name])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: e._replace(channels=e.channels + 30), "must lie in 0 .. 29"),
        (lambda e: e._replace(channels=e.channels.long()), "must be int32"),
        (lambda e: e._replace(offsets=e.offsets[:-1]), "= \\[704\\], got"),
        (lambda e: e._replace(offsets=e.offsets.flip(0)), "rise from 0"),
    ],
)
def test_events_that_lead_out_of_memory_are_refused(change, said):
    problem = make(source="events")
    with pytest.raises(ValueError, match=said):
        cpu_backend.forward(problem._replace(events=change(problem.events)), False, False)


def test_half_precision_is_refused():
    problem = make(dtype=torch.float32)
    half = functools.partial(torch.Tensor.to, dtype=torch.float16)
    tensors = {n: half(v) for n, v in problem._asdict().items() if isinstance(v, torch.Tensor)}
    with pytest.raises(TypeError, match="float32 or float64"):
        cpu_backend.forward(problem._replace(**tensors), False, False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (torch.zeros(37 * 19, 2, dtype=torch.int64), "= \\[703, 1\\], got"),
        (torch.full((37 * 19, 1), 1 << 30), "beyond the last of 30 channels"),
        (torch.full((37 * 19, 1), -1), "beyond the last of 30 channels"),
    ],
)
def test_bits_that_lead_out_of_memory_are_refused(words, said):
    problem = make(source="events")._replace(events=Bits(words))
    with pytest.raises(ValueError, match=said):
        cpu_backend.forward(problem, False, False)


def test_a_missing_or_foreign_library_is_named(tmp_path):
    missing, foreign = tmp_path / "none.so", tmp_path / "text.so"
    foreign.write_text("no library")
    assert "not installed: there is no none.so" in library.load(missing)[1]
    assert "cannot be loaded" in library.load(foreign)[1]
    (tmp_path / "cpu").mkdir()
    newer, stale = tmp_path / "cpu" / "newer.cpp", tmp_path / "stale.so"
    newer.write_text("")
    stale.write_text("")
    os.utime(newer, (stale.stat().st_mtime + 9,) * 2)
    assert "older than its sources" in library.load(stale)[1]


def test_numbers_of_another_dtype_are_refused():
    problem = make(dtype=torch.float32)
    wrong = problem._replace(membrane=problem.membrane.double())
    with pytest.raises(TypeError, match=r"expects membrane as torch.float32 .* got torch.float64"):
        cpu_backend.forward(wrong, False, False)


def test_a_level_that_the_machine_lacks_is_refused():
    with pytest.raises(ValueError, match="not 'avx1024'"):
        cpu_backend.forward(make(), False, False, level="avx1024")
