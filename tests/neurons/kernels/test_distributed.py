"""The kernels under DistributedDataParallel: two processes give the gradient of one."""

import os
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from srnn import SRNN

KERNELS = ("auto", "torch")


def gradients(net, inputs):
    logits, record = net(inputs)
    (logits.pow(2).mean(0).sum() + record.counts[0].mean(0).sum()).backward()
    return [p.grad for p in net.parameters()]


def network():
    torch.manual_seed(3)
    return SRNN(7, [9, 6], 5, input_gain=3.0).double()


def inputs():
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(20, 4, 7, generator=generator) < 0.4).double()


def work(rank, folder):
    torch.set_num_threads(1)
    # They meet in a file: another program could take a port in the meantime.
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    for kernel in KERNELS:
        os.environ["SRNN_KERNEL"] = kernel
        # Small buckets, so that gradients are sent while others are still being computed.
        net = DistributedDataParallel(network(), bucket_cap_mb=0.0005)
        found = gradients(net, inputs()[:, 2 * rank : 2 * rank + 2])
        torch.save(found, f"{folder}/{kernel}-{rank}.pt")
    # Torch's thread of the group needs Python's lock to let go of the last reduction, and whoever
    # frees the group joins that thread while holding the lock: wait, without it, until it is done.
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What both processes found with each kernel."""
    folder = tmp_path_factory.mktemp("two processes")
    # On this machine alone, whatever its name resolves to.
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
    # As programs of their own: what multiprocessing starts would have to find this module.
    command = [sys.executable, __file__]
    started = [
        subprocess.Popen([*command, str(rank), str(folder)], env=environment) for rank in range(2)
    ]
    try:
        assert [process.wait(timeout=300) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
            process.wait()
    return folder


@pytest.mark.parametrize("kernel", KERNELS)
def test_two_processes_have_the_gradient_of_one(kernel, folder, monkeypatch):
    monkeypatch.setenv("SRNN_KERNEL", kernel)
    expected = gradients(network(), inputs())
    for rank in range(2):
        found = torch.load(folder / f"{kernel}-{rank}.pt", weights_only=True)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


if __name__ == "__main__":
    work(int(sys.argv[1]), sys.argv[2])
