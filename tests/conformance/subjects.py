"""The classes that keep the contract, snnTorch's own, and the faults that those are known for."""

import snntorch as snn

from srnn.neurons import ALIF, LIF, RALIF, RLIF

from .subject import Subject

WAYS = {
    "beta": {"beta": 0.85, "threshold": 0.6},
    "tau": {"tau_mem": "uniform(2, 20)", "threshold": 0.15},
}
ADAPTIVE = {"tau_adapt": "uniform(3, 30)", "adaptation_strength": 0.8}
SIZE = {"linear_features": 3}


def subject(kind, way):
    """A class of ours with its membrane's decay given in one of the two ways."""
    adaptive = issubclass(kind, ALIF | RALIF)
    return Subject(
        f"{kind.__name__}({way})",
        kind,
        WAYS[way] | SIZE | (ADAPTIVE if adaptive else {}),
        plain={"adaptation_strength": 0.0} if adaptive else {},
    )


OURS = [subject(kind, way) for kind in (LIF, RLIF, ALIF, RALIF) for way in WAYS]
OURS += [
    Subject(
        "RALIF(one-to-one)",
        RALIF,
        WAYS["beta"] | {"all_to_all": False, "V": 0.4, "adaptation_strength": 0.8},
    ),
    Subject(
        "RALIF(convolution)",
        RALIF,
        WAYS["tau"] | {"conv2d_channels": 3, "kernel_size": 3} | ADAPTIVE,
        shape=(2, 3, 5, 4),
    ),
]
UPSTREAM = [
    Subject("Leaky", snn.Leaky, WAYS["beta"], plain={}),
    Subject("RLeaky", snn.RLeaky, WAYS["beta"] | SIZE, plain={}),
]

NONE = "no thread found"
FAULTS_OF_FUNCTIONS = {
    "c08_utils_reset_reaches_nested_layers": ("#414", "it looks at direct children only"),
    "c08_utils_reset_spares_other_networks": ("#438", "it resets every neuron of the process"),
    "c12_tbptt_on_varying_data": (NONE, "UnboundLocalError: K_flag is read before it is set"),
    "c12_tbptt_beside_another_class": (
        NONE,
        "its table of neurons has Booleans for keys, so that one class alone is detached",
    ),
}
"""What snnTorch 1.0.0's functions do wrong with any class; thread of its repository, and why."""

FAULTS_OF_CLASSES = {
    "c02_a_failed_construction_leaves_nothing_behind": (
        NONE,
        "a layer enters the registry before its arguments are checked: every reset fails then",
    ),
    "c10_no_tensor_stands_beside_the_buffers": (NONE, "the last reset is a plain attribute"),
    "c10_fixed_recurrent_weights_are_converted_and_loaded": (
        NONE,
        "a V that is not learned is a plain attribute of the recurrent map",
    ),
    "c10_a_replica_runs_on_its_own_tensors": (
        "#161",
        "a bound method is stored: replicas run the original's",
    ),
    "c11_copies_with_a_live_graph": (NONE, "states that are not leaves refuse to be copied"),
    "c11_pickles_with_its_default_surrogate": ("#420", "surrogates are closures"),
    "c11_a_whole_network_is_saved_and_loaded": ("#420", "surrogates are closures"),
    "c11_utils_reset_reaches_a_copy": ("#449", "copies are not in the registry"),
    "c16_the_recurrent_map_is_called_once_a_step": (NONE, "twice where spikes reset to zero"),
    "c16_float64_from_end_to_end": (NONE, "surrogates answer in float32"),
    "c16_bfloat16_from_end_to_end": (NONE, "surrogates answer in float32"),
    "c16_autocast_is_not_undone": (NONE, "surrogates answer in float32"),
    "c18_the_reset_mechanism_can_be_changed": ("#426", "the first one's function stays bound"),
    "c18_the_reset_mechanism_is_loaded": ("#426", "the first one's function stays bound"),
    "c18_a_dropped_layer_is_freed": ("#328", "the registry keeps it"),
    "c18_the_registry_does_not_grow": ("#328", "the registry keeps every layer"),
}
"""What Leaky and RLeaky of snnTorch 1.0.0 do wrong themselves."""
