#!/usr/bin/env python3
"""Data-parallel training with dropout from one session: the same masks for any number of workers.

    $ data_parallel.py [--address HOST:PORT] [--workers 1 2 4] [--steps N]

Each worker is a process with its part of every batch; gradients are averaged by torch.distributed.
Prints how far the weights are from those of the first number of workers.
"""

import argparse
import pathlib
import sys
import tempfile

import torch
from torch import distributed, multiprocessing

import digits
from dropout_client import Client
from dropout_client.torch import RemoteDropout

SEED = 11


def work(rank, workers, address, session_id, steps, folder):
    """One worker; the first one saves the weights."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=workers)
    with Client(address) as client:
        session = client.create_session(session_id=session_id, seed=SEED)
        torch.manual_seed(SEED)
        model = digits.make_model(lambda: RemoteDropout(digits.P, session=session))
        train_x, train_y, _, _ = digits.load(seed=SEED)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        order = torch.Generator().manual_seed(SEED)
        part = slice(rank * digits.BATCH // workers, (rank + 1) * digits.BATCH // workers)
        for _ in range(steps):
            rows = torch.randint(len(train_x), (digits.BATCH,), generator=order)[part]
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(train_x[rows]), train_y[rows]).backward()
            for parameter in model.parameters():
                distributed.all_reduce(parameter.grad)
                parameter.grad /= workers
            optimizer.step()
        if rank == 0:
            torch.save(torch.nn.utils.parameters_to_vector(model.parameters()).detach(),
                       pathlib.Path(folder) / "weights")
        distributed.barrier()
    distributed.destroy_process_group()


def train(address, workers, steps):
    """The weights, as one vector."""
    session_id = f"digits-{workers}-workers"
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(work, (workers, address, session_id, steps, folder), nprocs=workers)
        weights = torch.load(pathlib.Path(folder) / "weights")
    with Client(address) as client:
        client.session(session_id).delete()
    return weights


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", default="127.0.0.1:50051")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args(argv)
    first = None
    for workers in options.workers:
        weights = train(options.address, workers, options.steps)
        first = weights if first is None else first
        difference = (weights - first).abs().max().item()
        print(f"{workers} workers: after {options.steps} steps the weights differ by "
              f"{difference:.1e} at most", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
