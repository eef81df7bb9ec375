"""The negative controls: a broken class fails the checks that its fault concerns, and no others."""

import pytest
import snntorch as snn

from . import checks_copies, checks_reset, checks_step, checks_torch, checks_training  # noqa: F401
from .broken import BROKEN
from .subject import CHECKS, checks_of
from .subjects import FAULTS_OF_FUNCTIONS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def failed(subject, names):
    """The checks that a subject fails."""
    found = set()
    for name in names:
        snn.SpikingNeuron.instances.clear()
        try:
            CHECKS[name].run(subject)
        except (Exception, pytest.fail.Exception):  # what pytest.raises raises is no Exception
            found.add(name)
    return found


@pytest.mark.parametrize(("subject", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_class_fails_where_it_must(subject, expected):
    names = set(checks_of(subject)) - set(FAULTS_OF_FUNCTIONS)
    wanted = expected(names)
    # Compiling takes seconds: only where it is expected to fail.
    names -= {name for name in names if name.startswith("c15")} - wanted
    assert failed(subject, names) == wanted
