"""The commands of srnn, srnn-train and others: from errors to a sentence and an exit code.

| exit code | meaning                                                        |
|-----------|----------------------------------------------------------------|
| 0         | done                                                           |
| 1         | the run failed: NaN, full disk                                 |
| 2         | wrong flags, settings or data                                  |
| 130       | stopped by the user; the run can be resumed                    |

What takes seconds to import is imported only after the flags have been read, so that ``--help`` and
a mistyped flag are answered at once.
"""

import errno
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from .allocator import keep_freed_memory
from .errors import ConfigError, NotFiniteError, Stopped

_FILE_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG),
)

# What to do after the user stopped a command, and after a file could not be written.
_ADVICE = {
    "srnn-train": (
        "; --resume auto goes on from the last checkpoint, if there is one",
        ": make room or choose another --run-dir, then go on with --resume auto",
    ),
    "srnn-eval": ("", ""),
    "srnn-watch": ("", ": make room and repeat the command"),
    "srnn-compare": (
        "; the same command goes on from there",
        ": make room or choose another --run-dir, then repeat the command",
    ),
}


def train(arguments: Sequence[str] | None = None) -> int:
    """Run ``srnn-train``."""

    def command(given: Sequence[str]) -> None:
        from .cli import parse

        experiment, folder = parse(given)

        from .console import Console, first_process
        from .experiment import run
        from .seeds import run_seeds

        console = Console(quiet=not first_process())
        with console.following("srnn.datasets"):
            if experiment.seeds > 1:
                run_seeds(experiment, console)
            else:
                run(experiment, folder, console)

    return _answer("srnn-train", command, arguments)


def evaluate(arguments: Sequence[str] | None = None) -> int:
    """Run ``srnn-eval``."""

    def command(given: Sequence[str]) -> None:
        from .cli import parse_eval

        folder, data_dir, games = parse_eval(given)

        from .console import Console
        from .rescore import evaluate_run

        console = Console()
        with console.following("srnn.datasets"):
            evaluate_run(folder, data_dir, games, console)

    return _answer("srnn-eval", command, arguments)


def watch(arguments: Sequence[str] | None = None) -> int:
    """Run ``srnn-watch``."""

    def command(given: Sequence[str]) -> None:
        from .cli import parse_watch

        folder, game, steps = parse_watch(given)

        from .console import Console
        from .film import watch_run

        watch_run(folder, game, steps, Console())

    return _answer("srnn-watch", command, arguments)


def compare(arguments: Sequence[str] | None = None) -> int:
    """Run ``srnn-compare``."""

    def command(given: Sequence[str]) -> None:
        from .compare.options import parse_compare

        request = parse_compare(given)

        from .compare.command import compare as carry_out
        from .console import Console

        console = Console()
        with console.following("srnn.datasets"):
            carry_out(request, console)

    return _answer("srnn-compare", command, arguments)


def _answer(
    name: str, command: Callable[[Sequence[str]], None], arguments: Sequence[str] | None
) -> int:
    """Run a command; if something goes wrong, say what in one sentence."""
    for package in ("jsonargparse", "lightning", "torchmetrics", "matplotlib", "rich"):
        if find_spec(package) is None:
            return _fail(name, f'{package} is missing: pip install "srnn[train]" brings it.', 2)
    keep_freed_memory()
    # Outside of the training proper, which has its own way to stop.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    after_stop, after_failed_write = _ADVICE[name]
    try:
        command(sys.argv[1:] if arguments is None else arguments)
    except ConfigError as error:
        return _fail(name, error, 2)
    except NotFiniteError as error:
        return _fail(name, error, 1)
    except Stopped as stopped:
        from .console import first_process

        return _fail(name, stopped, 130) if first_process() else 130
    except KeyboardInterrupt:
        return _fail(name, f"stopped at once{after_stop}.", 130)
    except OSError as error:
        if error.errno not in _FILE_ERRORS:
            raise
        what = f"{error.filename or 'A file'} could not be written ({error.strerror})"
        return _fail(name, f"{what}{after_failed_write}.", 1)
    except Exception as error:
        from srnn.datasets import DataError
        from srnn.neurons.plasticity import ActivityError

        if not isinstance(error, DataError | ActivityError):
            raise
        return _fail(name, error, 2)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _fail(name: str, sentence: object, code: int) -> int:
    print(f"{name}: {' '.join(str(sentence).split())}", file=sys.stderr)
    return code
