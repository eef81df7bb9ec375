import itertools
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.datasets import DataError, Info, SequenceDataset, SequenceLoader

INFO = Info(
    name="numbers",
    title="Numbers",
    channels=2,
    steps=3,
    classes=("a number",),
    streaming=False,
    split="",
    encoding="",
    licence="",
    citation="",
    source="",
)


class Numbers(SequenceDataset):
    """Sequence i is full of i, and i is its target."""

    def __init__(self, size):
        super().__init__(INFO)
        self.size = size

    def __len__(self):
        return self.size

    def __getitems__(self, indices):
        targets = torch.as_tensor(indices)
        return targets.float()[None, :, None].expand(3, -1, 2).contiguous(), targets


def batches(loader, epochs=1):
    """The numbers of every batch of some epochs."""
    return [targets.tolist() for _ in range(epochs) for _, targets in loader]


def flat(lists):
    return list(itertools.chain.from_iterable(lists))


def position_of(state):
    return state["epoch"], state["batch"]


def test_batches_are_time_first():
    inputs, targets = next(iter(SequenceLoader(Numbers(10), 4)))
    assert inputs.shape == (3, 4, 2)
    assert targets.tolist() == [0, 1, 2, 3]
    assert torch.equal(inputs[1, :, 0], targets.float())


def test_file_order_without_shuffling():
    assert batches(SequenceLoader(Numbers(5), 2), 2) == [[0, 1], [2, 3], [4]] * 2
    assert batches(SequenceLoader(Numbers(5), 2, drop_last=True)) == [[0, 1], [2, 3]]


def test_every_epoch_has_an_order_of_its_own():
    loader = SequenceLoader(Numbers(40), 8, shuffle=True)
    epochs = [flat(batches(loader)) for _ in range(3)]
    assert all(sorted(epoch) == list(range(40)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert flat(batches(SequenceLoader(Numbers(40), 8, shuffle=True, seed=1))) not in epochs


def test_the_global_random_state_is_neither_read_nor_changed():
    orders = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        before = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
        orders.append(batches(SequenceLoader(Numbers(20), 3, shuffle=True, num_workers=1), 2))
        after = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
        assert torch.equal(before[0], after[0])
        assert before[1:] == after[1:]
    assert orders[0] == orders[1]


loaders = st.fixed_dictionaries(
    {
        "batch_size": st.integers(1, 7),
        "shuffle": st.booleans(),
        "seed": st.integers(0, 3),
        "drop_last": st.booleans(),
    }
)


@settings(deadline=None)
@given(loaders, st.integers(7, 23), st.integers(1, 3))
def test_continuing_anywhere_gives_what_no_interruption_gives(options, size, world_size):
    if size // world_size < options["batch_size"]:
        return
    options |= {"rank": world_size - 1, "world_size": world_size}
    epochs = 3
    whole = batches(SequenceLoader(Numbers(size), **options), epochs)
    length = len(SequenceLoader(Numbers(size), **options))
    assert len(whole) == epochs * length

    for position in range(epochs * length):
        stopped = SequenceLoader(Numbers(size), **options)
        batches(stopped, position // length)
        for _ in zip(range(position % length), stopped, strict=False):
            pass
        # zip took no batch that it did not hand out, since the range ends first.
        state = stopped.state_dict()
        assert position_of(state) == (position // length, position % length)

        continued = SequenceLoader(Numbers(size), **options)
        continued.load_state_dict(state)
        assert len(continued) == length
        rest = batches(continued, epochs - position // length)
        assert rest == whole[position:]


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_state_after_the_last_batch_begins_the_next_epoch(shuffle):
    # Lightning asks for as many batches as the length says and never sees the end of the iteration.
    def fetch_like_lightning(loader, epochs):
        taken = []
        for _ in range(epochs):
            iterator = iter(loader)
            taken += [next(iterator)[1].tolist() for _ in range(len(loader))]
        return taken

    loader = SequenceLoader(Numbers(11), 3, shuffle=shuffle)
    whole = batches(SequenceLoader(Numbers(11), 3, shuffle=shuffle), 3)
    assert fetch_like_lightning(loader, 2) == whole[:8]
    state = loader.state_dict()
    assert position_of(state) == (1, 4)
    assert fetch_like_lightning(loader, 1) == whole[8:]

    continued = SequenceLoader(Numbers(11), 3, shuffle=shuffle)
    continued.load_state_dict(state)
    assert batches(continued) == whole[8:]


def test_an_iterator_that_is_never_used_costs_nothing():
    loader = SequenceLoader(Numbers(11), 3, shuffle=True)
    whole = batches(SequenceLoader(Numbers(11), 3, shuffle=True), 2)
    unused = iter(loader)
    loader.load_state_dict({"epoch": 0, "batch": 2})
    iter(loader)
    assert batches(loader, 2) == whole[2:]
    del unused


def test_leaving_an_epoch_midway_begins_the_next_one():
    # As any DataLoader would: a loop that always breaks off must not see the same batches for ever.
    loader = SequenceLoader(Numbers(11), 3, shuffle=True)
    whole = batches(SequenceLoader(Numbers(11), 3, shuffle=True), 2)
    assert next(iter(loader))[1].tolist() == whole[0]
    assert batches(loader) == whole[4:]


def test_set_epoch_begins_an_epoch_and_keeps_a_position_in_it():
    whole = batches(SequenceLoader(Numbers(11), 3, shuffle=True), 3)
    loader = SequenceLoader(Numbers(11), 3, shuffle=True)
    loader.sampler.set_epoch(2)
    assert batches(loader) == whole[8:]
    loader.load_state_dict({"epoch": 1, "batch": 3})
    loader.sampler.set_epoch(1)
    assert batches(loader, 2) == whole[7:]
    for epoch in (0, 1, 2):  # the usual loop of a DistributedSampler
        loader.sampler.set_epoch(epoch)
        assert batches(loader) == whole[4 * epoch : 4 * epoch + 4]


def test_workers_change_nothing_and_prefetching_is_not_counted():
    whole = batches(SequenceLoader(Numbers(23), 3, shuffle=True), 2)
    loader = SequenceLoader(Numbers(23), 3, shuffle=True, num_workers=2)
    iterator = iter(loader)
    begin = [next(iterator)[1].tolist() for _ in range(3)]
    state = loader.state_dict()
    del iterator
    assert position_of(state) == (0, 3)
    continued = SequenceLoader(Numbers(23), 3, shuffle=True, num_workers=2)
    continued.load_state_dict(state)
    assert begin + batches(continued, 2) == whole


@given(st.integers(1, 40), st.integers(1, 6), st.booleans())
def test_shards_cover_all_sequences(size, world_size, shuffle):
    shards = [
        flat(
            batches(
                SequenceLoader(Numbers(size), 4, shuffle=shuffle, rank=r, world_size=world_size)
            )
        )
        for r in range(world_size)
    ]
    assert set(flat(shards)) == set(range(size))
    if shuffle:  # equally many in all processes; fewer than a round is repeated
        assert {len(shard) for shard in shards} == {-(-size // world_size)}
        assert len(flat(shards)) - size < world_size
    else:  # every sequence once
        assert len(flat(shards)) == size


def test_shards_without_a_remainder_are_disjoint():
    shards = [
        flat(batches(SequenceLoader(Numbers(12), 5, shuffle=True, rank=rank, world_size=3)))
        for rank in range(3)
    ]
    assert sorted(flat(shards)) == list(range(12))


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("size", [10, 12])
def test_the_length_is_the_number_of_batches(size, drop_last):
    loader = SequenceLoader(Numbers(size), 4, drop_last=drop_last)
    assert len(loader) == len(batches(loader))
    loader.load_state_dict({"epoch": 0, "batch": 1})
    assert len(loader) == len(batches(loader)) + 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, not 0"),
        ({"batch_size": 2.0}, "batch_size must be a whole number"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 2**64}, r"seed must lie below 2\*\*64, not at 18446744073709551616"),
        ({"world_size": 0}, "world_size must be"),
        ({"rank": 2, "world_size": 2}, "rank must lie below world_size=2"),
        ({"num_workers": -1}, "num_workers must be"),
        ({"batch_size": 11, "drop_last": True}, "leaves no batch of 11 in 10 sequences"),
    ],
)
def test_numbers_without_meaning_are_refused(options, message, one_sentence):
    with pytest.raises(DataError, match=message) as error:
        SequenceLoader(Numbers(10), **({"batch_size": 2} | options))
    one_sentence(error)


def test_an_empty_dataset_is_refused(one_sentence):
    with pytest.raises(DataError, match="'numbers' is empty") as error:
        SequenceLoader(Numbers(0), 2)
    one_sentence(error)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"epoch": 0, "batch": 6}, "at batch 6 of an epoch that has 5"),
        ({"epoch": -1, "batch": 0}, "epoch of a loader's state"),
        ({"epoch": 0}, "batch of a loader's state"),
    ],
)
def test_a_state_of_another_loader_is_refused(state, message, one_sentence):
    with pytest.raises(DataError, match=message) as error:
        SequenceLoader(Numbers(10), 2).load_state_dict(state)
    one_sentence(error)


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (11, {}, "with size=10, and this one has size=11"),
        (10, {"batch_size": 3}, "with batch_size=2, and this one has batch_size=3"),
        (10, {"shuffle": False}, "with shuffle=True, and this one has shuffle=False"),
        (10, {"seed": 1}, "with seed=0, and this one has seed=1"),
        (10, {"world_size": 2}, "with world_size=1, and this one has world_size=2"),
        (10, {"drop_last": True}, "with drop_last=False, and this one has drop_last=True"),
    ],
)
def test_a_position_that_was_counted_in_another_way_is_refused(
    size, options, message, one_sentence
):
    here = {"batch_size": 2, "shuffle": True}
    state = SequenceLoader(Numbers(10), **here).state_dict()
    other = SequenceLoader(Numbers(size), **here | options)
    whole = batches(SequenceLoader(Numbers(size), **here | options))
    with pytest.raises(DataError, match=message) as error:
        other.load_state_dict(state)
    one_sentence(error)
    assert batches(other) == whole


def test_the_largest_seed_and_a_state_of_before_settings_were_saved():
    loader = SequenceLoader(Numbers(10), 2, shuffle=True, seed=2**64 - 1)
    whole = batches(SequenceLoader(Numbers(10), 2, shuffle=True, seed=2**64 - 1), 2)
    loader.load_state_dict({"epoch": 1, "batch": 2})
    assert batches(loader) == whole[7:]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("limit", [1.0, 3])
@pytest.mark.parametrize("when", [{"every_n_train_steps": 1}, {"every_n_epochs": 1}])
def test_lightning_continues_exactly_from_every_checkpoint(when, limit, tmp_path):
    lightning = pytest.importorskip("lightning")

    class Recorder(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)
            self.seen = []

        def training_step(self, batch, _):
            self.seen.append(batch[1].tolist())
            return self.layer(batch[0]).mean()

        def validation_step(self, batch, _):
            pass

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.01)

    def fit(checkpoint=None, **options):
        recorder = Recorder()
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=3,
            limit_train_batches=limit,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **options,
        )
        train = SequenceLoader(Numbers(11), 3, shuffle=True)
        valid = SequenceLoader(Numbers(4), 2)
        trainer.fit(recorder, train, valid, ckpt_path=checkpoint, weights_only=True)
        return recorder.seen

    saver = lightning.pytorch.callbacks.ModelCheckpoint(
        tmp_path, filename="{step}", save_top_k=-1, **when
    )
    whole = fit(callbacks=[saver])
    length = 4 if limit == 1.0 else 3
    epochs = batches(SequenceLoader(Numbers(11), 3, shuffle=True), 3)
    assert whole == flat(epochs[4 * epoch : 4 * epoch + length] for epoch in range(3))
    checkpoints = list(tmp_path.glob("step=*.ckpt"))
    assert len(checkpoints) == (3 * length if "every_n_train_steps" in when else 3)
    for checkpoint in checkpoints:
        step = int(checkpoint.stem.removeprefix("step="))
        assert fit(checkpoint, enable_checkpointing=False) == whole[step:], checkpoint.name
