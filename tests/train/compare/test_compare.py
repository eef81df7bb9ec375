"""A whole comparison of tiny networks: what its tables say, and going on where it stopped."""

import csv
import itertools
import json
import math
import re
import shutil
import signal
from statistics import mean, stdev

import pytest
import yaml
from torch import no_grad

from srnn.datasets import SequenceLoader, load
from srnn.meters import (
    DEFAULT_PROFILE,
    DENSE,
    FOLDED,
    PROFILES,
    JouleMeter,
    NoJoulesError,
    energy,
    measure,
)
from srnn.train.build import build_network
from srnn.train.compare import command
from srnn.train.config import Experiment
from srnn.train.weights import load_weights


def runs_of(folder, label):
    """The folders of a network's runs, by its name in the table: from the report."""
    (line,) = re.findall(rf"^- {re.escape(label)}: (.*)$", (folder / "report.md").read_text(), re.M)
    return [folder / "recall" / path.split("/")[-1] for path in re.findall(r"`([^`]+)`", line)]


def restored(run):
    """A run's network, put together from its files."""
    experiment = Experiment(**yaml.safe_load((run / "config.yaml").read_text()))
    splits = load("recall", **experiment.data)
    network = build_network(experiment, splits.info)
    load_weights(network, run / "checkpoints" / "best.ckpt")
    return network.eval(), splits.test


def trials(folder):
    """What was tried, without how long it took."""
    with open(folder / "trials.csv", newline="") as file:
        tried = list(csv.DictReader(file))
    for trial in tried:
        del trial["seconds"]
    return tried


def test_the_table_holds_what_the_meters_count_on_the_test_samples(finished, rows):
    table, energies = rows(finished / "table.csv"), rows(finished / "energy.csv")
    assert list(table) == ["SRNN 8", "SRNN 4", "SRNN 8, penalty 1", "RNN 8", "RNN 4"]
    for label, row in table.items():
        counted, accuracies, spikes = [], [], []
        for run in runs_of(finished, label):
            network, test = restored(run)
            (inputs, targets), *more = SequenceLoader(test, len(test))
            assert not more
            counted.append(measure(network, [inputs]))
            with no_grad():
                logits, record = network(inputs)
            accuracies.append(float((logits.argmax(-1) == targets).float().mean()))
            spikes.append(sum(float(counts.sum()) for counts in record.counts) / len(test))
        assert len(counted) == int(row["seeds"]) == 2
        assert float(row["ACs"]) == pytest.approx(mean(m.per_sample().ac for m in counted))
        assert float(row["MACs"]) == pytest.approx(mean(m.per_sample().mac for m in counted))
        dense = mean(m.per_sample().dense for m in counted)
        assert float(row["dense operations"]) == pytest.approx(dense)
        assert float(row["test accuracy, %"]) == pytest.approx(100 * mean(accuracies))
        assert float(row["±"]) == pytest.approx(100 * stdev(accuracies), abs=1e-4)
        parameters = sum(p.numel() for p in network.parameters())
        assert int(row["parameters"]) == parameters
        assert float(row["spikes"] or 0) == pytest.approx(mean(spikes))
        assert bool(row["spikes"]) == label.startswith("SRNN")
        for profile in PROFILES.values():
            estimate = mean(energy(m, profile).total for m in counted) / 1e3
            assert float(energies[label][profile.name]) == pytest.approx(estimate)
            all_products = mean(energy(m, profile, DENSE).total for m in counted) / 1e3
            assert float(energies[label][f"{profile.name}, dense"]) == pytest.approx(all_products)


def test_without_the_input_layer_are_products_with_ones_less(finished, rows):
    """Inputs of recall are binary: each one is an AC for every neuron of the first layer."""
    table, inner = rows(finished / "table.csv"), rows(finished / "without_input.csv")
    (_, test) = restored(runs_of(finished, "RNN 8")[0])
    inputs, _ = test.__getitems__(range(len(test)))
    ones, places = float(inputs.sum()) / len(test), inputs[:, 0].numel()
    assert inputs.unique().tolist() == [0, 1]
    own = float(inner["SRNN 8"]["nJ 45nm-fp32-sram"])
    for label, row in table.items():
        width = int(label.split()[1].strip(","))
        expected = float(row["ACs"]) - ones * width
        assert float(inner[label]["ACs"]) == pytest.approx(expected)
        assert inner[label]["MACs"] == row["MACs"]
        dense = float(row["dense operations"]) - places * width
        assert float(inner[label]["dense operations"]) == pytest.approx(dense)
        energies = float(inner[label]["nJ 45nm-fp32-sram"]), float(row["nJ 45nm-fp32-sram"])
        assert energies[1] - energies[0] == pytest.approx(ones * width * (0.9 + 5) / 1e3)
        assert float(inner[label]["times"]) == pytest.approx(energies[0] / own)


def test_ratios_are_those_of_the_tables(finished, rows):
    energies, ratios = rows(finished / "energy.csv"), rows(finished / "ratios.csv")
    table = rows(finished / "table.csv")
    name = "RNN 8, equal parameters"
    for column, values in energies["RNN 8"].items():
        if column == "network":
            continue
        own = float(energies["SRNN 8"][column.removesuffix(", dense")])
        kind = column if column.endswith(", dense") else f"{column}, event-driven"
        assert float(ratios[f"{kind}, times"][name]) == pytest.approx(float(values) / own)
    least, most = (
        float(ratios[f"{DEFAULT_PROFILE.name}, event-driven, times, {which}"][name])
        for which in ("least of all seeds", "most")
    )
    assert least <= float(ratios[f"{DEFAULT_PROFILE.name}, event-driven, times"][name]) <= most
    accuracies = [float(table[label]["test accuracy, %"]) for label in ("RNN 8", "SRNN 8")]
    points = float(ratios["test accuracy, points more"][name])
    assert points == pytest.approx(accuracies[0] - accuracies[1])


def test_ratios_by_the_published_convention_are_what_the_meters_count(finished, rows):
    ratios = rows(finished / "ratios.csv")
    profile = PROFILES["45nm-fp32"]
    estimates, sizes = {}, {}
    for label in ("SRNN 8", "RNN 8"):
        each = []
        for run in runs_of(finished, label):
            network, test = restored(run)
            measurement = measure(network, SequenceLoader(test, len(test)))
            each.append(energy(measurement, profile, FOLDED).total)
        estimates[label] = mean(each)
        sizes[label] = sum(p.numel() for p in network.parameters())
    name = "RNN 8, equal parameters"
    times = float(ratios["45nm-fp32, published convention, times"][name])
    assert times == pytest.approx(estimates["RNN 8"] / estimates["SRNN 8"])
    size = float(ratios["parameters, times"][name])
    assert size == pytest.approx(sizes["RNN 8"] / sizes["SRNN 8"])


def test_the_headline_says_what_the_tables_do(finished, rows):
    table, energies = rows(finished / "table.csv"), rows(finished / "energy.csv")
    own = float(energies["SRNN 8"][DEFAULT_PROFILE.name])
    (said,) = re.findall(r"^SRNN 8: .*$", (finished / "report.md").read_text(), re.M)
    first, *others = re.split(r"(?<=\.) (?=At|No)", said)
    accuracy, spread = float(table["SRNN 8"]["test accuracy, %"]), float(table["SRNN 8"]["±"])
    assert first == (
        f"SRNN 8: {accuracy:.1f} ± {spread:.1f} % test accuracy, an estimated {own:,.0f} nJ a "
        "sample (45nm-fp32-sram)."
    )
    equal = next(sentence for sentence in others if "equal parameters" in sentence)
    times, dense = (
        float(energies["RNN 8"][DEFAULT_PROFILE.name + end]) / own for end in ("", ", dense")
    )
    assert equal.startswith("At equal parameters, RNN 8: ")
    assert f"%, {times:.3g} times that estimate, " in equal
    assert equal.endswith(f"over seeds, ({dense:.3g} counted dense).")


def test_budgets_are_equal_and_validation_chooses(finished):
    tried_all = trials(finished)
    by_model = {m: [t for t in tried_all if t["model"] == m] for m in ("SRNN", "RNN")}
    assert [len(tried) for tried in by_model.values()] == [2, 2]
    factors = set()
    for model, tried in by_model.items():
        assert {int(trial["epochs"]) for trial in tried} == {2}
        factors.add(round(float(tried[1]["lr"]) / float(tried[0]["lr"]), 2))
        for trial in tried:
            run = finished / "recall" / trial["run"]
            lines = (run / "metrics.csv").read_text().splitlines()
            header, last = lines[0].split(","), lines[-1].split(",")
            assert last[header.index("epoch")] == "2"
            assert last[header.index("batch")] == "12"
            summary = json.loads((run / "summary.json").read_text())
            assert 100 * summary["validation"] == pytest.approx(
                float(trial["validation accuracy, %"])
            )
        best = max(tried, key=lambda trial: float(trial["validation accuracy, %"]))
        (label,) = {f"{model} {trial['hidden']}" for trial in tried}
        assert runs_of(finished, label)[0].name == best["run"]
        for trial in tried:  # the test set was not read for those that lost
            summary = json.loads((finished / "recall" / trial["run"] / "summary.json").read_text())
            assert (summary["test"] is None) == (trial is not best)
    assert len(factors) == 1


def test_the_report(finished):
    text = (finished / "report.md").read_text()
    for link in re.findall(r"!\[[^]]+\]\(([^)]+)\)", text):
        assert (finished / link).read_bytes().startswith(b"\x89PNG")
    for said in (
        "docs/energy.md",
        "estimates",
        "Every model had 2 trials of 2 epochs",
        "### RNN 8",
    ):
        assert said in text


@pytest.mark.parametrize(
    "moment",
    [
        ("srnn.train.checkpoints.Checkpoints.on_train_epoch_end", 4, "after"),  # a trial's last
        ("srnn.train.checkpoints.Checkpoints.on_train_batch_end", 53, "after"),
        ("srnn.train.tasks.Naming.evaluate", 1, "before"),
    ],
    ids=["trial", "training", "testing"],
)
def test_killed_and_repeated(moment, finished, quickly, tiny_comparison, disturbed, tmp_path):
    code, _ = disturbed(tiny_comparison, moment, [signal.SIGKILL], command="compare")
    assert code == -signal.SIGKILL
    folder = tmp_path / "recall" / "compare-tiny"
    done = {path: path.stat().st_mtime_ns for path in folder.rglob("summary.json")}
    tested = {p for p in done if json.loads(p.read_text())["test"] is not None}
    assert quickly(tmp_path, "--name", "tiny") == 0
    assert all(path.stat().st_mtime_ns == done[path] for path in tested)
    for name in ("table.csv", "ratios.csv", "energy.csv", "without_input.csv"):
        assert (folder / name).read_bytes() == (finished / name).read_bytes()


def test_killed_while_measuring(finished, quickly, tmp_path):
    """All runs are there, and no table yet: nothing is trained again."""
    folder = tmp_path / "recall" / "compare-tiny"
    shutil.copytree(finished / "recall", folder / "recall")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.ckpt")}
    assert quickly(tmp_path, "--name", "tiny") == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.ckpt")} == before
    assert (folder / "table.csv").read_bytes() == (finished / "table.csv").read_bytes()
    assert trials(folder) == trials(finished)


def test_stopped(disturbed, tiny_comparison):
    moment = ("srnn.train.checkpoints.Checkpoints.on_train_batch_end", 8, "after")
    code, error = disturbed(tiny_comparison, moment, [signal.SIGINT], command="compare")
    assert code == 130
    assert re.fullmatch(
        r"srnn-compare: srnn-8-\w+-seed0 stopped and saved after batch 3 of epoch 2; the same "
        r"command goes on\n",
        error,
    )


def test_runs_are_taken_from_their_folders(finished, quickly, rows, tmp_path, monkeypatch):
    joules = itertools.count(0, 5)  # five from one reading to the next
    counter = JouleMeter("a pretended counter", lambda: [float(next(joules))], [math.inf])
    monkeypatch.setattr(command, "joule_meter", lambda _: counter)
    labels = ("SRNN 8", "RNN 4", "RNN 8")
    folders = [run for label in labels for run in runs_of(finished, label)]
    profile = tmp_path / "mine.yaml"
    profile.write_text("name: mine\nac: 1\nmac: 10\n")
    flags = ("--run-dir", tmp_path, "--threads", 1, "--profile", profile, "--measure-energy")
    assert quickly(tmp_path, *flags, "--runs", *folders, tiny=[]) == 0
    table = rows(tmp_path / "recall" / "compare" / "table.csv")
    before = rows(finished / "table.csv")
    assert list(table) == list(labels)
    for label in labels:
        assert {k: table[label][k] for k in before[label]} == before[label]
        assert float(table[label]["mJ measured"]) == pytest.approx(1e3 * 5 / 32)
    energies = rows(tmp_path / "recall" / "compare" / "energy.csv")
    for label, row in energies.items():
        measurements = [measure_of(run) for run in runs_of(finished, label)]
        assert float(row["mine"]) == pytest.approx(
            mean(ops.ac + 10 * ops.mac for ops in measurements) / 1e3
        )


def measure_of(run):
    network, test = restored(run)
    return measure(network, SequenceLoader(test, len(test))).per_sample()


def no_counter(device):
    raise NoJoulesError("There is no counter here.")


def test_a_profile_has_a_name_of_its_own(quickly, tmp_path, capsys):
    profile = tmp_path / "mine.yaml"
    profile.write_text("name: 45nm-fp32\nac: 1\nmac: 10\n")
    assert quickly(tmp_path, "--profile", profile) == 2
    assert capsys.readouterr().err == (
        f"srnn-compare: --profile: {profile} calls itself 45nm-fp32, which srnn has a profile of "
        "already: give it another name.\n"
    )


def test_of_one_model_two_trainings_have_names_of_their_own(
    finished, quickly, rows, tmp_path, monkeypatch
):
    first, second = runs_of(finished, "RNN 4")
    other = tmp_path / "other"
    shutil.copytree(second, other)
    config = other / "config.yaml"
    config.write_text(re.sub(r"^lr: .*$", "lr: 0.5", config.read_text(), flags=re.M))
    folders = [first, other, *runs_of(finished, "SRNN 8")]
    monkeypatch.setattr(command, "joule_meter", no_counter)
    flags = ("--threads", 1, "--measure-energy")
    assert quickly(tmp_path, "--runs", *folders, *flags, tiny=[]) == 0
    assert "no counter here" in (tmp_path / "recall" / "compare" / "report.md").read_text()
    names = list(rows(tmp_path / "recall" / "compare" / "table.csv"))
    assert names == ["SRNN 8", f"RNN 4 ({first.name})", "RNN 4 (other)"]
