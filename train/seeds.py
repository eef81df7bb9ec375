"""Several runs of one experiment that differ in their seed, and what they have in common."""

import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

from .build import build_data
from .cli import refuse_changes
from .config import Experiment
from .console import Console, with_caveat
from .errors import Stopped
from .experiment import default_name, run
from .report import SCORE_TITLES, about_scores, format_score, table
from .run_folder import RunFolder, write_atomically
from .sizing import matched


def run_seeds(experiment: Experiment, console: Console) -> dict[str, Any]:
    """Run an experiment once for every seed, and write a table of all.

    The runs are called NAME-seed0, NAME-seed1, ...; with ``--resume auto`` those that have finished
    are taken as they are, and one that was stopped, or that is to have more epochs now, goes on.

    Args:
        experiment: the settings, with the first seed and the number of seeds.
        console: where to speak.

    Returns:
        Mean and sample standard deviation of every test score, by name.
    """
    if experiment.match_params is not None:
        experiment = matched(experiment, build_data(experiment).info)
    name = experiment.name or default_name(experiment)
    folders = Path(experiment.run_dir) / experiment.dataset
    seeds = range(experiment.seed, experiment.seed + experiment.seeds)
    singles = {
        seed: replace(experiment, seed=seed, seeds=1, name=f"{name}-seed{seed}") for seed in seeds
    }
    earlier = {}
    if experiment.resume == "auto":
        every = {seed: RunFolder(folders / f"{name}-seed{seed}") for seed in seeds}
        earlier = {
            s: folder for s, folder in every.items() if folder.resumable() or folder.finished()
        }
    # Before any is trained, and not after hours of those that come first.
    saved = {seed: folder.read_config() for seed, folder in earlier.items()}
    for seed, settings in saved.items():
        refuse_changes(settings, singles[seed])
    results = {}
    for seed, single in singles.items():
        folder = earlier.get(seed)
        if folder and folder.finished() and saved[seed].epochs == single.epochs:
            results[seed] = folder.read_summary()
            continue
        try:
            results[seed] = run(single, folder, console)
        except Stopped as stopped:
            place = str(stopped).split(";")[0]
            raise Stopped(
                f"seed {seed} {place}; go on with the same flags and --name {name} --resume auto"
            ) from None
        console.line()
    return _summarise(results, folders / f"{name}.md", console)


def _summarise(results: dict[int, Any], path: Path, console: Console) -> dict[str, Any]:
    scores = [name for name in SCORE_TITLES if name in next(iter(results.values()))["test"]]
    spread = {}
    for name in scores:
        values = [result["test"][name] for result in results.values()]
        spread[name] = {"mean": statistics.mean(values), "sd": statistics.stdev(values)}
    rows = [
        [seed, *(format_score(name, result["test"][name]) for name in scores)]
        for seed, result in results.items()
    ]
    # Runs that an earlier version finished say nothing of it.
    caveat = next((r["caveat"] for r in results.values() if r.get("caveat")), "")
    reports = ", ".join(f"[seed {seed}]({path.stem}-seed{seed}/report.md)" for seed in results)
    last: list[Any] = ["mean ± sd"]
    for name, both in spread.items():
        mean, sd = (format_score(name, value) for value in (both["mean"], both["sd"]))
        last.append(f"{mean} ± {sd.removesuffix(' %')}")
    beside = {name: "" if name == "loss" else caveat for name in scores}
    titles = [with_caveat(f"test {SCORE_TITLES[name]}", beside[name]) for name in scores]
    columns = ["seed", *titles]
    markdown = table(columns, [*rows, last])
    parts = [f"# {len(results)} seeds", *about_scores(caveat), markdown, reports]
    write_atomically(path, "\n\n".join(parts) + "\n")
    console.table(columns, [*rows, last])
    console.line(f"written to {path}")
    return spread
