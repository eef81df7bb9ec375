"""Who imports whom, what an import costs, and that every module imports under every install."""

import ast
import doctest
import importlib
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import srnn

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "srnn.neurons": ROOT / "neurons",
    "srnn.datasets": ROOT / "datasets",
    "srnn.train": ROOT / "train",
    "srnn": ROOT / "srnn",
}
KERNEL = ROOT / "neurons" / "kernels" / "_cpu.so"
PACKING = ROOT / "datasets" / "_packing.so"
TRAIN_ONLY = {
    "lightning",
    "torchrl",
    "tensordict",
    "wandb",
    "matplotlib",
    "rich",
    "jsonargparse",
    "torchmetrics",
}
# A table prints itself where rich is installed, and imports it then.
LATE = {("srnn.meters.table", "rich")}
# A package may import these packages of the project, and itself.
MAY_IMPORT = {
    "srnn.neurons": set(),
    "srnn.datasets": set(),
    "srnn": {"srnn.neurons"},
    "srnn.train": {"srnn", "srnn.neurons", "srnn.datasets"},
}


def package_of(module):
    """The one of the four packages that a module belongs to, or None."""
    return next((p for p in PACKAGES if module == p or module.startswith(f"{p}.")), None)


def imports_of(name, path):
    """Absolute names of all that a source file imports, wherever in the file."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - (node.level - 1)]
            module = ".".join([*(base if node.level else []), *([node.module] * bool(node.module))])
            # `from srnn import neurons` names a package too.
            yield from (f"{module}.{alias.name}" for alias in node.names)


def sources():
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            yield package, ".".join(p for p in parts if p != "__init__"), path


SOURCES = [pytest.param(*source, id=source[1]) for source in sources()]


def run(code, *flags, **environment):
    """Run code in a fresh interpreter; return what it prints."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", code],
        cwd=environment.pop("cwd", ROOT),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_srnn_costs_nothing():
    assert run("import sys, srnn; print('torch' in sys.modules, 'numpy' in sys.modules)") == (
        "False False"
    )


def test_importing_the_neurons_brings_in_no_heavy_library():
    heavy = ["lightning", "wandb", "matplotlib", "torchrl", "scipy", "h5py", "rich"]
    code = f"import sys, srnn.neurons; print([n for n in {heavy} if n in sys.modules])"
    assert run(code) == "[]"


@pytest.mark.skipif(find_spec("torchrl") is None, reason="needs torchrl")
def test_games_leave_alone_how_processes_start():
    """torchrl has all loaders of a program start their workers by "spawn"."""
    code = """
import multiprocessing
import srnn.train.ppo
print(multiprocessing.get_start_method(allow_none=True))
"""
    assert run(code) == "None"


def test_the_public_names_load_on_first_use():
    assert dir(srnn) == sorted(srnn.__all__)
    for name in srnn.__all__:
        assert getattr(srnn, name).__module__.startswith("srnn.")
    with pytest.raises(AttributeError, match="'srnn' has no attribute 'SNRR'"):
        srnn.SNRR  # noqa: B018


def test_every_module_imports_from_the_root_of_the_repository():
    code = "import importlib, sys; [importlib.import_module(n) for n in sys.argv[1:]]"
    names = [name for _, name, _ in sources() if importable(name)]
    assert len(names) > 15
    run(f"import sys; sys.argv[1:] = {names!r}; {code}")


def importable(name):
    """Whether the extras that a module needs are here."""
    if name == "srnn.datasets.maze_env":
        return find_spec("gymnasium") is not None
    return package_of(name) != "srnn.train" or all(
        find_spec(extra) for extra in ("lightning", "jsonargparse", "rich", "torchmetrics")
    )


@pytest.mark.parametrize(("package", "name", "path"), SOURCES)
def test_imports_run_one_way(package, name, path):
    allowed = MAY_IMPORT[package] | {package}
    for imported in imports_of(name, path):
        top = imported.split(".")[0]
        assert top not in {"neurons", "datasets", "train"}, f"{name} imports {imported}"
        if package != "srnn.train" and (name, top) not in LATE:
            assert top not in TRAIN_ONLY, f"{name} imports {imported}"
        if top == "srnn":
            assert package_of(imported) in allowed, f"{name} imports {imported}"


def test_the_rule_of_one_way_would_notice():
    """The control: relative, absolute and late imports are all seen."""
    seen = ast.parse("def late():\n from .. import train\n from ..datasets.ecg import ecg")
    path = ROOT / "neurons" / "lif.py"
    assert "srnn.neurons._wiring.FeedForward" in set(imports_of("srnn.neurons.lif", path))
    original = ast.parse
    try:
        ast.parse = lambda _: seen
        found = set(imports_of("srnn.neurons.lif", path))
    finally:
        ast.parse = original
    assert found == {"srnn.train", "srnn.datasets.ecg.ecg"}
    assert package_of("srnn.train") == "srnn.train"


@pytest.mark.parametrize(
    "name", [n for package, n, _ in sources() if package in ("srnn.neurons", "srnn")]
)
def test_the_examples_in_the_docstrings_hold(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, raise_on_error=False).failed == 0


def test_there_are_examples_to_hold():
    import srnn.neurons.time_constant as module

    assert doctest.testmod(module).attempted > 0


USE = """
import logging, torch, srnn
logging.basicConfig(stream=sys.stdout, format="%(message)s")
assert pathlib.Path(srnn.__file__).resolve().is_relative_to(target)
print(srnn.kernel_info()[0].kernel)
logits, _ = srnn.SRNN(4, [8], 2)(torch.ones(5, 2, 4))
print(bool(logits.isfinite().all()))
"""
PACKS = """
from srnn.datasets import packing
print(packing.library() is not None)
"""


def test_a_plain_install_has_every_module_and_the_fast_path(tmp_path):
    """Not editable: from another folder, with every path to this repository left out."""
    target = install(tmp_path)
    names = [name for _, name, _ in sources() if importable(name)]
    code = f"""
for name in {names!r}:
    file = importlib.import_module(name).__file__
    assert pathlib.Path(file).resolve().is_relative_to(target), (name, file)
print("all", len({names!r}))
"""
    assert run_installed(code, target) == f"all {len(names)}"
    assert (target / "srnn" / "py.typed").is_file()
    assert not {"neurons", "datasets", "train", "tests"} & {p.name for p in target.iterdir()}
    if KERNEL.is_file():  # there is a compiler, or was one; what it made is taken over
        assert run_installed(USE, target, SRNN_KERNEL="auto") == "cpu\nTrue"
        assert run_installed(PACKS, target) == "True"


def test_an_install_without_a_compiler_runs_the_other_kernel_and_says_so(tmp_path):
    hidden = {"CC": "no-such-compiler", "CXX": "no-such-compiler"}
    target = install(tmp_path, but=(KERNEL.name, PACKING.name), **hidden)
    said = run_installed(USE, target, SRNN_KERNEL="auto")
    reason = "The slower kernel 'torch' runs, since the compiled kernel is not installed"
    assert re.fullmatch(rf"{reason}[^\n]*\ntorch\nTrue", said), said
    assert run_installed(PACKS, target) == "False"


def install(tmp_path, but=(), **environment):
    """Install a copy of the sources, less some files, and without a build environment."""
    pytest.importorskip("setuptools", minversion="77")
    target, source = tmp_path / "site", tmp_path / "source"
    source.mkdir()  # a build leaves folders behind where it runs
    for folder in PACKAGES.values():
        ignored = shutil.ignore_patterns("__pycache__", *but)
        shutil.copytree(folder, source / folder.name, ignore=ignored)
    for name in ("pyproject.toml", "setup.cfg", "setup.py", "LICENSE", "README.md"):
        shutil.copy2(ROOT / name, source / name)  # as old as it is: the library may be newer
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--target", target, source]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


def run_installed(code, target, **environment):
    """Run code against what was installed, from another folder."""
    # The editable install works by a finder that Python's start-up puts in sys.meta_path.
    start = f"""
import importlib, pathlib, sys
is_editable = lambda finder: getattr(finder, "__module__", "").startswith("__editable")
sys.meta_path = [finder for finder in sys.meta_path if not is_editable(finder)]
target = pathlib.Path({str(target)!r}).resolve()
"""
    return run(start + code, cwd=target.parent, PYTHONPATH=str(target), **environment)
