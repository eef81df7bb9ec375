"""Our entries in snnTorch's list of all layers: found while a layer lives, harmless afterwards."""

import collections
import copy
import gc
import subprocess
import sys
import threading
import weakref

import pytest
import snntorch as snn
import torch

from srnn.neurons import ALIF, LIF, RALIF, RLIF

LAYERS = {kind: lambda kind=kind: kind(beta=0.9, linear_features=3) for kind in (LIF, RLIF, RALIF)}
each = pytest.mark.parametrize("kind", LAYERS)


def registry():
    return snn.SpikingNeuron.instances


def walk():
    """What snnTorch's resets and training loops do to all layers."""
    for kind in (snn.Leaky, snn.RLeaky, snn.Synaptic, snn.RSynaptic, snn.Alpha, snn.Lapicque):
        kind.reset_hidden()
        kind.detach_hidden()


@each
def test_an_entry_passes_for_its_layer(kind):
    layer = LAYERS[kind]()
    (entry,) = registry()
    assert entry is not layer
    assert isinstance(entry, kind)
    assert not isinstance(entry, snn.Synaptic)
    assert entry.mem is layer.mem
    assert layer in registry()
    assert LAYERS[kind]() not in registry()[:1]


@each
def test_the_entry_of_a_dead_layer_is_nothing(kind):
    layer = LAYERS[kind]()
    observer = weakref.ref(layer)
    (entry,) = registry()
    del layer
    assert observer() is None  # at once: nothing refers to it, no cycle holds it
    assert not isinstance(entry, snn.SpikingNeuron)
    assert entry != LAYERS[kind]()
    # As a walk finds it whose question came before the death:
    entry.mem = torch.ones(2)
    assert entry.mem.numel() == entry.spk.numel() == 0
    spk, mem = entry.init_rleaky()
    assert spk.numel() == mem.numel() == 0
    walk()


def test_a_place_is_given_to_the_next_layer_and_no_other_moves():
    layers = [LIF(beta=0.9) for _ in range(4)] + [snn.Leaky(beta=0.9)]
    entries = list(registry())
    del layers[1:3]
    new = [ALIF(beta=0.9), ALIF(beta=0.9), ALIF(beta=0.9)]
    assert [entry is old for entry, old in zip(registry(), entries, strict=False)] == [
        True,
        False,
        False,
        True,
        True,
    ]
    assert len(registry()) == 6
    assert all(layer in registry() for layer in layers + new)
    walk()


def test_a_list_that_was_emptied_or_replaced_is_no_trouble():
    first = LIF(beta=0.9)
    registry().clear()
    second = LIF(beta=0.9)
    assert registry() == [second]
    del first
    snn.SpikingNeuron.init()  # a new list
    del second
    third, fourth = LIF(beta=0.9), LIF(beta=0.9)
    assert registry() == [third, fourth]


def test_another_kind_of_registry_is_left_alone(monkeypatch):
    """The next release of snnTorch may have one, or none."""
    theirs = collections.deque()
    monkeypatch.setattr(snn.SpikingNeuron, "instances", theirs)
    layer = RALIF(beta=0.9, linear_features=3)
    assert list(theirs) == [layer]
    copy.deepcopy(layer)(torch.ones(1, 3))
    with pytest.raises(TypeError):
        RLIF(beta=0.9)


def test_copies_have_entries_of_their_own():
    layer = ALIF(beta=0.9, init_hidden=True)
    layer(torch.ones(1, 3) * 3)
    twins = [copy.deepcopy(layer), copy.copy(layer)]
    assert len(registry()) == 3
    assert all(twin in registry() for twin in twins)
    walk()
    for each_layer in (layer, *twins):
        assert not each_layer.mem.any()


def test_a_layer_that_could_not_be_made_is_not_there():
    other = RLIF(beta=0.9, linear_features=3)
    for keywords in ({}, {"linear_features": 3, "kernel_size": 3}):
        with pytest.raises(TypeError):
            RLIF(beta=0.9, **keywords)
    with pytest.raises(ValueError, match="adaptation_strength") as error:
        RALIF(beta=0.9, linear_features=3, adaptation_strength=-1.0)
    walk()  # the traceback keeps the last one alive
    assert error.value is not None
    assert other in registry()


def test_layers_may_be_made_and_dropped_in_many_threads():
    kept, errors = [], []

    def work():
        try:
            for i in range(30):
                layer = RLIF(beta=0.9, linear_features=2)
                if i % 10 == 0:
                    kept.append(layer)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert not errors
    assert len(kept) == 12
    assert all(layer in registry() for layer in kept)
    assert sum(isinstance(entry, RLIF) for entry in registry()) == 12
    walk()


def test_layers_may_die_in_one_thread_while_another_walks():
    layers = [RLIF(beta=0.9, linear_features=2) for _ in range(200)]
    errors = []

    def drop():
        while layers:
            layers.pop()

    thread = threading.Thread(target=drop)
    thread.start()
    try:
        while thread.is_alive():
            walk()
    except Exception as error:
        errors.append(error)
    thread.join()
    assert not errors


def test_the_end_of_the_interpreter_is_silent():
    code = """
import gc
from srnn.neurons import ALIF, RLIF
gc.disable()
kept = [ALIF(beta=0.9), RLIF(beta=0.9, linear_features=2)]
kept[0].itself = [kept[0]]   # a cycle that only the last collection finds
class Late:
    def __del__(self):
        ALIF(beta=0.9)
late = Late()
late.itself = late
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
