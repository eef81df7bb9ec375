"""Checklist 10, 11 and 18: what is saved, copied, converted and let go of."""

import copy
import gc
import io
import pickle
import weakref

import snntorch as snn
import torch
from snntorch import utils
from torch import nn

from .checks_reset import used
from .subject import check, same, step


@check
def c10_the_state_dict_holds_no_state(subject):
    layer = subject.keeping()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    step(layer, subject.current())
    after = layer.state_dict()
    assert set(before) == set(after)
    for name, value in before.items():
        assert torch.equal(after[name], value), name


@check
def c10_a_state_dict_loads_whatever_the_batch_was(subject):
    layer, twin = used(subject), subject.keeping(seed=7)
    step(twin, subject.current(batch=5))
    twin.load_state_dict(layer.state_dict())
    current = subject.current(batch=4)
    same(step(layer, current), step(twin, current))


def loose_tensors(value, seen=()):
    """Tensors that stand beside a module's buffers and parameters, where nothing converts them."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from loose_tensors(each)
    elif isinstance(value, list | tuple | set):
        for each in value:
            yield from loose_tensors(each)


@check
def c10_no_tensor_stands_beside_the_buffers(subject):
    layer = used(subject)
    for module in layer.modules():
        own = {
            name: value
            for name, value in vars(module).items()
            if name not in ("_buffers", "_parameters", "_modules")
        }
        assert not list(loose_tensors(own))


@check(applies=lambda subject: subject.recurrent)
def c10_fixed_recurrent_weights_are_converted_and_loaded(subject):
    options = {"beta": 0.9, "all_to_all": False, "V": 0.5, "learn_recurrent": False}
    layer = subject.kind(**options).double()
    assert layer.recurrent.V.dtype == torch.float64
    layer.load_state_dict({**layer.state_dict(), "V": torch.tensor(0.25)})
    assert layer.recurrent.V == 0.25


def replicated(net):
    """A replica as nn.DataParallel makes it, where there is a second device."""
    modules = list(net.modules())
    replicas = {module: module._replicate_for_data_parallel() for module in modules}
    for module, replica in replicas.items():
        for name, child in module._modules.items():
            replica._modules[name] = replicas[child]
        for name, parameter in module._parameters.items():
            setattr(replica, name, parameter.clone())
        for name, buffer in module._buffers.items():
            replica._buffers[name] = buffer.clone()
    return replicas[net]


@check
def c10_a_replica_runs_on_its_own_tensors(subject):
    layer, current = subject.keeping(), subject.current()
    step(layer, current[:3])
    before = {name: value.clone() for name, value in layer.named_buffers()}
    replica = replicated(layer)
    outputs = step(replica, current[3:])
    for name, value in layer.named_buffers():
        assert torch.equal(value, before[name]), name
    same(outputs, step(layer, current[3:]))


def goes_on_alike(subject, layer, twin):
    current = subject.current(seed=8)
    same(step(twin, current), step(layer, current))


@check
def c11_copies_after_a_reset(subject):
    layer = used(subject)
    layer.reset_mem()
    goes_on_alike(subject, layer, copy.deepcopy(layer))


@check
def c11_copies_with_a_live_graph(subject):
    layer = used(subject)
    goes_on_alike(subject, layer, copy.deepcopy(layer))


@check
def c11_pickles_with_its_default_surrogate(subject):
    layer = used(subject)
    goes_on_alike(subject, layer, pickle.loads(pickle.dumps(layer)))


@check
def c11_a_whole_network_is_saved_and_loaded(subject):
    layer, file = used(subject), io.BytesIO()
    torch.save(nn.Sequential(layer), file)
    file.seek(0)
    goes_on_alike(subject, layer, torch.load(file, weights_only=False)[0])


@check
def c11_utils_reset_reaches_a_copy(subject):
    net = nn.Sequential(subject.keeping())
    twin = copy.deepcopy(net)
    step(twin, subject.current() + 1)
    utils.reset(twin)
    assert not twin[0].mem.any()


@check
def c18_the_reset_mechanism_can_be_changed(subject):
    current = subject.current(30)
    layer = subject.keeping()
    layer.reset_mechanism = "none"
    same(step(layer, current), step(subject.keeping(reset_mechanism="none"), current))


@check
def c18_the_reset_mechanism_is_loaded(subject):
    current = subject.current(30)
    layer = subject.keeping()
    layer.load_state_dict(subject.build(reset_mechanism="none").state_dict())
    assert layer.reset_mechanism == "none"
    same(step(layer, current), step(subject.keeping(reset_mechanism="none"), current))


@check
def c18_a_dropped_layer_is_freed(subject):
    layer = used(subject)
    observer = weakref.ref(layer)
    del layer
    gc.collect()
    assert observer() is None


@check
def c18_the_registry_does_not_grow(subject):
    snn.SpikingNeuron.instances.clear()
    for _ in range(3):
        for _ in range(10):
            subject.build()
        gc.collect()
    assert len(snn.SpikingNeuron.instances) <= 11
