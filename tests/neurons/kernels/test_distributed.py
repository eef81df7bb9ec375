"""The kernels under DistributedDataParallel: two processes give the gradient of one."""

import socket
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from srnn import SRNN


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


def work(rank, port, folder):
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    # Small buckets, so that gradients are sent while others are still being computed.
    net = DistributedDataParallel(network(), bucket_cap_mb=0.0005)
    found = gradients(net, inputs()[:, 2 * rank : 2 * rank + 2])
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("kernel", ["auto", "torch"])
def test_two_processes_have_the_gradient_of_one(kernel, tmp_path, monkeypatch):
    monkeypatch.setenv("SRNN_KERNEL", kernel)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # As programs of their own: what multiprocessing starts would have to find this module.
    started = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(port), str(tmp_path)])
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    expected = gradients(network(), inputs())
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


if __name__ == "__main__":
    work(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
