"""What every test needs: nothing left over from the one before, and its share of the cores."""

import os

import pytest
import torch

# With `pytest -n`, processes side by side.
torch.set_num_threads(
    max(1, torch.get_num_threads() // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
)


@pytest.fixture(autouse=True)
def _fresh_start():
    """Seed torch, and let go of the layers that snnTorch's class-level list would keep for good."""
    import snntorch

    torch.manual_seed(0)
    yield
    snntorch.SpikingNeuron.instances.clear()
