"""The experiment: one dataclass whose fields are flags, keys of recipes and documentation."""

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_origin

from .errors import ConfigError


@dataclass
class DataOptions:
    """Data."""

    dataset: str = "recall"
    """What to train on: recall, shd-synth, shd, ssc, smnist, psmnist, ecg, art, maze, pong;
    tonic:NAME for a data set of tonic, such as tonic:NMNIST; atari:NAME, or --game NAME, for any
    other game of Atari; gym:NAME, or --env NAME, for an environment of gymnasium."""
    data_dir: str | None = None
    """Folder of the data sets; otherwise the environment's SRNN_DATA, otherwise the user's cache
    folder."""
    data: dict[str, Any] = field(default_factory=dict)
    """Options of the data set, for example --data.encoding window (see docs/datasets.md)."""
    num_workers: int = 0
    """Processes that prepare batches; 0 prepares them in the training process."""


@dataclass
class NetworkOptions:
    """Network."""

    model: Literal["srnn", "rnn", "gru", "lstm", "stpn", "m-stpn", "fast-weights"] = "srnn"
    """Kind of network: a spiking recurrent one, or a non-spiking baseline with its own settings;
    stpn has short-term plasticity in every synapse, m-stpn on simulated memristors."""
    hidden: list[int] = field(default_factory=lambda: [128, 128])
    """Neurons of each hidden layer: --hidden 128,128."""
    match_params: str | None = None
    """Folder of a run: as many layers as its network has, of the width at which the number of
    learned parameters comes closest to its own; in place of --hidden."""
    readout: Literal["softmax-sum", "mean", "last", "count", "stream"] = "softmax-sum"
    """How the outputs are read; data sets with a label at every step need stream, and only spiking
    networks have spikes to count."""
    encoder: str = "none"
    """What a baseline sees its inputs through, step by step: none; dense(128) for so many rectified
    linear units; conv(16@8s4, 32@4s2) for convolutions with so many channels @ size of the kernel,
    s and the stride."""
    burn_in: int = 0
    """First steps of the inputs that the readout leaves out of its sums."""
    synapses: dict[str, Any] = field(default_factory=dict)
    """Options of plastic synapses, those of --plasticity, or of --model stpn or m-stpn, for example
    --synapses.recurrent new (see docs/training.md)."""


@dataclass
class SpikingOptions:
    """Spiking network (--model srnn)."""

    neuron: Literal["alif", "lif"] = "alif"
    """Family of the hidden neurons: with or without an adaptive threshold."""
    feedforward: bool = False
    """Leave the recurrent connections out."""
    ticks: int = 1
    """Time steps of the network for each step of its inputs, which are there in the first of them;
    the answer is read after the last."""
    plasticity: Literal["none", "hebbian", "tsodyks-markram", "memristive"] = "none"
    """Short-term plasticity of the recurrent synapses."""
    plastic_inputs: bool = False
    """With --plasticity: the synapses of a layer's inputs are plastic too."""
    tau_mem: str = "normal(20, 5)"
    """Initial membrane time constants, in steps: a number, normal(mean, std), uniform(low, high) or
    loguniform(low, high);
    they stay between 1 and 200."""
    tau_adapt: str = "normal(150, 10)"
    """Initial time constants of the adaptation, in steps; they stay between 1 and 2000."""
    tau_readout: str = "normal(20, 5)"
    """Initial time constants of the leaky readout, in steps; they stay between 1 and 200."""
    learn_tau: bool = True
    """Learn the time constants; otherwise they stay as drawn."""
    threshold: float = 0.01
    """Firing threshold of a neuron at rest."""
    adaptation_strength: float = 1.8
    """How far a full trace of past spikes raises the threshold (the papers' beta)."""
    surrogate: str = "multi_gaussian"
    """Surrogate gradient: multi_gaussian, gaussian, slayer, triangle, fast_sigmoid, boxcar or atan,
    with constants if wanted: multi_gaussian(gamma=0.3)."""
    detach_reset: bool = False
    """Keep the reset out of the gradient."""
    input_gain: float = 1.0
    """Multiplies the initial weights of the projections: raise it where the first layer stays
    silent."""
    recurrent_gain: float = 1.0
    """Recurrent weights start as this multiple of an orthogonal matrix."""
    recurrent_lr_factor: float = 1.0
    """Learning rate of the recurrent weights, as a multiple of --lr; with --plastic-inputs they
    learn with all others, whose matrix they share."""
    tau_lr_factor: float = 1.0
    """Learning rate of the time constants, as a multiple of --lr."""
    rate_penalty: float = 0.0
    """Adds to the loss this multiple of how far neurons fire above --rate-target, in spikes a
    neuron and step, on average over all neurons."""
    rate_target: float = 0.0
    """With --rate-penalty: firing rate of a neuron that costs nothing, in spikes a step."""


@dataclass
class EpisodeOptions:
    """Episodes and games (--dataset maze, pong, atari:NAME, gym:NAME)."""

    discount: float = 0.9
    """Worth of a reward one step later, as a share."""
    value_weight: float = 0.1
    """Weight of the error of the expected rewards in the loss."""


@dataclass
class MazeOptions:
    """Maze (--dataset maze)."""

    certainty_weight: float = 0.03
    """Weight in the loss of the summed squares of the actions' probabilities, which keeps a network
    from being certain too soon."""


@dataclass
class GameOptions:
    """Games (--dataset pong, atari:NAME, gym:NAME); --batch-size of them are played at once."""

    trace: float = 0.95
    """Share of an advantage that the step before has too (lambda of GAE)."""
    policy_clip: float = 0.2
    """How far the probability of an action may move by what is learned from a stretch, as a
    share, above 0 and below 1."""
    entropy_weight: float = 0.01
    """Weight of the entropy of the actions in the loss, which keeps a player curious."""
    passes: int = 3
    """Times that every step is learned from."""
    parts: int = 4
    """Updates of a pass, each on its share of the games."""


@dataclass
class TrainingOptions:
    """Training."""

    epochs: int = 20
    """Passes over the training data."""
    retrain: bool = False
    """Then train a fresh network on the training and validation sequences together, for as many
    epochs as validation chose, and test that one."""
    batch_size: int = 64
    """Sequences in a batch."""
    lr: float = 1e-3
    """Learning rate."""
    schedule: Literal["constant", "linear", "cosine", "step"] = "constant"
    """How the learning rate goes on: constant, falling to zero along a line or a cosine, or in
    steps."""
    lr_step: int = 10
    """With --schedule step: epochs between steps."""
    lr_factor: float = 0.5
    """With --schedule step: factor of each step."""
    optimizer: Literal["adam", "adamw", "adamax"] = "adam"
    """Optimiser."""
    weight_decay: float = 0.0
    """Weight decay of the optimiser; time constants are exempt."""
    clip_norm: float = 1.0
    """Largest norm of the gradient; a longer one is scaled down to it. 0 leaves gradients alone."""
    tbptt: int = 0
    """Truncated backpropagation: update every so many steps and carry the state on. 0 takes whole
    sequences."""
    seed: int = 0
    """Seed of initial weights, time constants and batches."""
    seeds: int = 1
    """Runs to make, with seeds --seed, --seed + 1, ...; the report gives mean and spread."""


@dataclass
class RunOptions:
    """Run."""

    run_dir: str = "runs"
    """Folder that run folders go into."""
    name: str | None = None
    """Name of the run's folder; by default from the network, the seed and the time."""
    resume: str | None = None
    """auto goes on with the run of this name, or the newest unfinished one, if there is one; a
    run's folder goes on with that run."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device to train on."""
    devices: int = 1
    """Devices to train on in parallel, on each node."""
    num_nodes: int = 1
    """Nodes to train on in parallel."""
    precision: Literal["32-true", "64-true", "bf16-mixed"] = "32-true"
    """Floating-point numbers of the training."""
    threads: int = 0
    """CPU threads; 0 takes one where a step of the network is small, else the cores that this
    process may use, shared among its devices and workers."""
    log_every: int = 20
    """Batches between two rows of metrics.csv."""
    checkpoint_every: int = 100
    """Batches between two checkpoints within an epoch; there is always one at its end."""
    wandb: Literal["off", "offline", "online"] = "off"
    """Weights & Biases: not at all, into the run folder, or to the server."""
    wandb_project: str = "srnn"
    """Weights & Biases project."""
    wandb_group: str | None = None
    """Weights & Biases group, within which runs are averaged."""


GROUPS = (
    *(DataOptions, NetworkOptions, SpikingOptions, EpisodeOptions, MazeOptions, GameOptions),
    *(TrainingOptions, RunOptions),
)
"""The groups of flags, in the order of --help."""

SPIKING = {option.name for option in fields(SpikingOptions)}
"""Settings that mean nothing to a baseline."""

GAME_FAMILIES = ("atari", "gym")
"""Families of data sets that are games: what stands before the colon of their names."""

_MEANT_FOR = {
    EpisodeOptions: {"episodes", "games"},
    MazeOptions: {"episodes"},
    GameOptions: {"games"},
}
"""Groups of settings that mean something for some kinds of tasks only."""


def kind_of_task(dataset: str) -> str:
    """How one learns a task: from "labels", from "episodes", or from "games" that go on and on."""
    if dataset == "pong" or dataset.partition(":")[0] in GAME_FAMILIES:
        return "games"
    return "episodes" if dataset == "maze" else "labels"


def useless(dataset: str) -> set[str]:
    """Names of the settings that mean nothing for a task."""
    kind = kind_of_task(dataset)
    groups = [group for group, kinds in _MEANT_FOR.items() if kind not in kinds]
    return {option.name for group in groups for option in fields(group)}


MAY_CHANGE = {
    *("data_dir", "num_workers", "epochs", "run_dir", "name", "resume", "accelerator"),
    *("threads", "log_every", "checkpoint_every", "wandb", "wandb_project"),
    "wandb_group",
}
"""Settings that a resumed run may be given anew; any other would make it a different experiment.

The number of epochs may change only where the learning rate does not depend on it. --retrain may
not: whoever switched it on after the end would have seen the test score without it."""


@dataclass
class Experiment(  # its fields come in the opposite order: data first
    RunOptions,
    TrainingOptions,
    GameOptions,
    MazeOptions,
    EpisodeOptions,
    SpikingOptions,
    NetworkOptions,
    DataOptions,
):
    """Everything that decides a run."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "lr", "epochs", "seeds", "devices", "num_nodes", "threshold"):
            self._require(name, getattr(self, name) > 0, "must be positive")
        for name in ("lr_step", "log_every", "checkpoint_every", "lr_factor"):
            self._require(name, getattr(self, name) > 0, "must be positive")
        for name in ("weight_decay", "clip_norm", "tbptt", "burn_in", "num_workers", "threads"):
            self._require(name, getattr(self, name) >= 0, "must not be negative")
        for name in ("adaptation_strength", "tau_lr_factor", "recurrent_lr_factor", "seed"):
            self._require(name, getattr(self, name) >= 0, "must not be negative")
        for name in ("value_weight", "certainty_weight", "entropy_weight"):
            self._require(name, getattr(self, name) >= 0, "must not be negative")
        for name in ("discount", "trace"):
            self._require(name, 0 <= getattr(self, name) <= 1, "must lie between 0 and 1")
        self._require("policy_clip", 0 < self.policy_clip < 1, "must be above 0 and below 1")
        for name in ("passes", "parts", "ticks"):
            self._require(name, getattr(self, name) > 0, "must be positive")
        for name in ("rate_penalty", "rate_target"):
            self._require(name, getattr(self, name) >= 0, "must not be negative")
        self._require("input_gain", self.input_gain > 0, "must be positive")
        self._require("recurrent_gain", self.recurrent_gain >= 0, "must not be negative")
        self._require("seed", self.seed + self.seeds < 2**32, "must be below 2**32")
        for option in fields(self):
            known = get_args(option.type) if get_origin(option.type) is Literal else ()
            chosen = not known or getattr(self, option.name) in known
            self._require(option.name, chosen, f"must be one of {', '.join(map(str, known))}")
            value = getattr(self, option.name)
            finite = not isinstance(value, float) or math.isfinite(value)
            self._require(option.name, finite, "must be a finite number")
        sizes = bool(self.hidden) and min(self.hidden) > 0
        self._require("hidden", sizes, "needs at least one layer, and at least one neuron in each")
        if self.name is not None:
            plain = self.name not in ("", ".", "..") and "/" not in self.name
            self._require("name", plain, "must be the name of a folder, without slashes")

        if self.seeds > 1:
            named = self.resume is None or (self.resume == "auto" and self.name is not None)
            self._require("resume", named, "with --seeds goes with auto and a --name")
            alone = self.devices * self.num_nodes == 1
            self._require("seeds", alone, "makes one run after another, on one device and node")

    def _require(self, name: str, satisfied: bool, what: str) -> None:
        if not satisfied:
            raise ConfigError(f"{flag(name)} {what}; got {getattr(self, name)!r}.")


def flag(name: str) -> str:
    """Return the flag of a field as it is typed: ``batch_size`` -> ``--batch-size``."""
    return "--" + name.replace("_", "-")
