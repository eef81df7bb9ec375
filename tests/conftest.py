"""What every test needs: nothing left over from the one before."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _fresh_start():
    """Seed torch, and let go of the layers that snnTorch's class-level list would keep for good."""
    import snntorch

    torch.manual_seed(0)
    yield
    snntorch.SpikingNeuron.instances.clear()
