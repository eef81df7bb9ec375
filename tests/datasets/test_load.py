import inspect
import subprocess
import sys

import pytest

from srnn.datasets import DATASETS, DataError, Info, SequenceDataset, Splits, load


def test_an_unknown_dataset_is_answered_with_the_nearest(one_sentence):
    with pytest.raises(DataError, match="did you mean 'psmnist'") as error:
        load("ps-mnist")
    message = one_sentence(error)
    assert all(name in message for name in DATASETS)


def test_an_unknown_option_is_answered_with_the_options(tmp_path, one_sentence):
    with pytest.raises(
        DataError, match="no option 'windows'; it has encoding, permutation_seed"
    ) as e:
        load("psmnist", tmp_path, windows=4)
    one_sentence(e)
    with pytest.raises(DataError, match="'recall' has no option 'validation'"):
        load("recall", validation=0.1)


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        load("ecg", tmp_path / "typo")


@pytest.mark.parametrize("name", DATASETS)
def test_every_option_has_a_default_a_type_and_a_line_of_documentation(name):
    build = DATASETS[name]
    for option, parameter in inspect.signature(build).parameters.items():
        if option != "root":
            assert parameter.default is not parameter.empty
            assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.annotation is not parameter.empty
        assert f"    {option}: " in inspect.getdoc(build)


def test_importing_is_light():
    heavy = "{'scipy', 'lightning', 'tonic', 'snntorch', 'matplotlib'}"
    code = f"import sys, srnn.datasets; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_the_test_split_is_made_when_it_is_asked_for():
    class Empty(SequenceDataset):
        def __len__(self):
            return 0

        def __getitems__(self, indices):
            raise AssertionError

    info = Info("", "", 1, 1, (), False, "", "", "", "", "")
    reads = []

    def read_test():
        reads.append(1)
        return Empty(info)

    splits = Splits(info, Empty(info), Empty(info), read_test)
    assert reads == []
    assert splits.test is splits.test
    assert reads == [1]
    with pytest.raises(IndexError):
        splits.test[0]
