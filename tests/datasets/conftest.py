import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    root = os.environ.get("SRNN_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("needs the published files: set SRNN_DATA to a folder that has them")
    return Path(root)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests' own servers on 127.0.0.1 reachable where a proxy is configured."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def one_sentence():
    """Check that a message is one line that ends in a full stop."""

    def check(error: pytest.ExceptionInfo[Exception]) -> str:
        message = str(error.value)
        assert "\n" not in message
        assert message.endswith((".", "?"))
        return message

    return check
