"""What from_nir does not accept: other versions, damaged metadata, changed graphs, other files."""

import json

import nir
import numpy as np
import pytest

from srnn import SRNN, Delay, from_nir, to_nir
from srnn.neurons import RLIF


def write(strict):
    """A graph of a small network; in strict mode, of one that NIR can express."""
    options = {"neuron": RLIF, "reset_mechanism": "zero", "reset_delay": False}
    network = SRNN(5, [6], 3, readout="stream", **(options if strict else {}))
    return to_nir(network, strict)


@pytest.mark.parametrize(("version", "shown"), [(2, "2"), (None, "None"), (np.ones(2), r"\[1")])
def test_another_version_is_refused(version, shown):
    graph = write(strict=False)
    graph.metadata["srnn"]["version"] = version
    with pytest.raises(ValueError, match=f"in version {shown}.*, and this srnn reads version 1: "):
        from_nir(graph)


def _set(key, value):
    return lambda metadata: metadata.update({key: value})


def _describe(change):
    def apply(metadata):
        description = json.loads(metadata["description"])
        change(description)
        metadata["description"] = json.dumps(description)

    return apply


@pytest.mark.parametrize(
    "damage",
    [
        lambda metadata: metadata.pop("description"),
        lambda metadata: metadata.pop("dt"),
        _set("description", "{"),
        _set("description", "[]"),
        lambda metadata: metadata["state"].pop("layers.0.projection.weight"),
        lambda metadata: metadata["state"].update(more=np.zeros(1)),
        _set("state", 3),
        _describe(lambda d: d["network"].update({"class": "os.system"})),
        _describe(lambda d: d["network"]["layers"][0]["neuron"]["surrogate"].update(a="b")),
        _describe(lambda d: d["network"]["layers"][0]["neuron"]["keywords"].update(what=1)),
        _describe(lambda d: d["network"]["layers"][0]["projection"].update(in_features=3)),
        lambda metadata: metadata["state"]["layers.0.neuron.reset_mechanism_val"].fill(7),
        lambda metadata: metadata["state"]["layers.0.neuron.reset_mechanism_val"].fill(-1),
    ],
)
def test_damaged_metadata_are_refused(damage):
    graph = write(strict=False)
    damage(graph.metadata["srnn"])
    with pytest.raises(ValueError, match=r"^The metadata of srnn in this graph are damaged"):
        from_nir(graph)
    graph.metadata["srnn"] = "text"
    with pytest.raises(ValueError, match="no dictionary"):
        from_nir(graph)


@pytest.mark.parametrize(
    ("part", "size"),
    [
        ("projection", {"in_features": 10**8}),
        ("between", {"neurons": 10**8}),
        ("neuron.keywords", {"linear_features": 10**8}),
        ("neuron.time_constants.tau_mem", {"size": [10**8]}),
    ],
)
def test_no_memory_is_taken_for_a_size_that_no_array_has(part, size):
    graph = to_nir(SRNN(5, [6], 3, between=lambda n: Delay(n, 1)), strict=False)

    def grow(description):
        place = description["network"]["layers"][0]
        for key in part.split("."):
            place = place[key]
        assert place.keys() >= size.keys()
        place.update(size)

    _describe(grow)(graph.metadata["srnn"])
    with pytest.raises(ValueError, match=r"has the shape .* and is described as .*000"):
        from_nir(graph)


@pytest.mark.parametrize("part", ["weight", "bias", "text", "tau", "edge", "node"])
def test_a_graph_changed_by_others_is_not_half_read(part):
    graph = write(strict=True)
    name = {"tau": "layer1.neuron", "edge": "layer1.recurrent"}.get(part, "layer1.projection")
    if part == "edge":
        graph.edges.remove(("layer1.recurrent", "layer1.neuron"))
    elif part == "node":
        graph.nodes[name] = nir.Linear(graph.nodes[name].weight)
    elif part == "bias":
        graph.nodes[name].bias[0] += 0.01
    elif part == "text":
        graph.nodes[name].bias = np.array(["a"] * 6)
    else:
        getattr(graph.nodes[name], part).flat[0] *= 1.01
    with pytest.raises(ValueError, match=f"{name}.*is not what srnn wrote"):
        from_nir(graph)
    del graph.metadata["srnn"]
    if part not in ("edge", "text"):
        assert isinstance(from_nir(graph), SRNN)


def test_files_that_are_no_graphs(tmp_path):
    with pytest.raises(FileNotFoundError):
        from_nir(tmp_path / "nothing.nir")
    (tmp_path / "text.nir").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.nir holds no NIR graph"):
        from_nir(tmp_path / "text.nir")
    nir.write(tmp_path / "node.nir", nir.Linear(np.ones((2, 2))))
    with pytest.raises(ValueError, match=r"holds no NIR graph|holds a single Linear"):
        from_nir(tmp_path / "node.nir")
    with pytest.raises(ValueError, match="dt must be positive"):
        from_nir(tmp_path / "node.nir", dt=-1)
