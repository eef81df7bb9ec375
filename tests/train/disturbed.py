"""Runs a command, and has something happen to it at a chosen moment. Started by conftest.start.

COMMAND is its function in srnn.train.main, ARGUMENTS are the flags and OUT the file that takes the
output. MOMENT names a function or method, one of its calls, and whether it happens before or after
that. HAPPENING is a list of signals that the process sends itself and, but for SIGKILL, its
workers, as a terminal or a scheduler would, or the size in bytes that files may have from then on.
"""

import multiprocessing
import os
import pkgutil
import resource
import signal
import sys
from functools import wraps

from srnn.train import main

for number, suffix in ((1, ".out"), (2, ".err")):
    file = os.open(OUT + suffix, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)  # noqa: F821
    os.dup2(file, number)


def happen():
    if isinstance(HAPPENING, int):  # noqa: F821
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (HAPPENING, hard))  # noqa: F821
    else:
        for number in HAPPENING:  # noqa: F821
            workers = [] if number == signal.SIGKILL else multiprocessing.active_children()
            for process in (*(worker.pid for worker in workers), os.getpid()):
                os.kill(process, number)


def disturb(name, call, when):
    owner = pkgutil.resolve_name(name.rpartition(".")[0])
    attribute = name.rpartition(".")[2]
    original = getattr(owner, attribute)
    calls = 0

    @wraps(original)
    def disturbed(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            happen()
        result = original(*args, **kwargs)
        if calls == call and when == "after":
            happen()
        return result

    setattr(owner, attribute, disturbed)


if MOMENT is not None:  # noqa: F821
    disturb(*MOMENT)  # noqa: F821
sys.exit(getattr(main, COMMAND)(ARGUMENTS))  # noqa: F821
