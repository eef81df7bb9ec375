"""The contract, check by check, on our classes and on snnTorch's, whose faults are declared.

A fault is expected strictly: the day that snnTorch repairs one, its test fails here and says so.
"""

import pytest

from . import checks_copies, checks_reset, checks_step, checks_torch, checks_training  # noqa: F401
from .subject import CHECKS, checks_of
from .subjects import FAULTS_OF_CLASSES, FAULTS_OF_FUNCTIONS, OURS, UPSTREAM

# snnTorch's training loops warn of their deprecation.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def parameters(subjects, faults):
    cases = []
    for subject in subjects:
        for name in checks_of(subject):
            marks = []
            if name in faults:
                thread, sentence = faults[name]
                marks = [pytest.mark.xfail(strict=True, reason=f"snntorch {thread}: {sentence}")]
            cases.append(pytest.param(subject, name, marks=marks, id=f"{subject.name}-{name}"))
    return cases


@pytest.mark.parametrize(("subject", "name"), parameters(OURS, FAULTS_OF_FUNCTIONS))
def test_our_classes_keep_the_contract(subject, name):
    CHECKS[name].run(subject)


@pytest.mark.parametrize(
    ("subject", "name"), parameters(UPSTREAM, FAULTS_OF_FUNCTIONS | FAULTS_OF_CLASSES)
)
def test_the_classes_of_snntorch_keep_it_but_for_their_faults(subject, name):
    CHECKS[name].run(subject)


def test_every_declared_fault_has_a_check():
    assert set(FAULTS_OF_CLASSES) | set(FAULTS_OF_FUNCTIONS) <= set(CHECKS)
