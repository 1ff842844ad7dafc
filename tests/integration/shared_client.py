"""A client's side of shared memory: maps a region and works in it.

As a program: opens a session with a region at the server ADDRESS, prints the region's path, and
runs Forwards in it until it is killed.
"""

import mmap
import os
import sys

import client_helpers as helpers
import numpy as np

pb = helpers.pb


class Region:
    """A region's file in this process's memory."""

    def __init__(self, client, session_id, byte_size):
        answer = client.call("CreateSharedMemory", pb.CreateSharedMemoryRequest(
            session_id=session_id, byte_size=byte_size))
        self.region_id = answer.region_id
        self.path = answer.path
        self.byte_size = answer.byte_size
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), byte_size)

    def array(self, dtype=np.float32, offset=0, count=None):
        if count is None:
            count = (self.byte_size - offset) // np.dtype(dtype).itemsize
        return np.frombuffer(self.memory, dtype, count, offset)

    def ref(self, offset=0):
        return pb.SharedMemoryRef(region_id=self.region_id, offset=offset)


def shared_tensor(shape, ref, dtype=helpers.FLOAT32):
    return pb.Tensor(dtype=dtype, shape=shape, shared_memory=ref)


def main():
    address, = sys.argv[1:]
    with helpers.Client(address) as client:
        session = f"shared-{os.getpid()}"
        client.create_session(session, [helpers.dropout_layer("drop")])
        region = Region(client, session, 1 << 20)
        print(region.path, flush=True)
        step = 0
        while True:
            client.call("Forward", pb.ForwardRequest(
                session_id=session, layer_id="drop", step=step,
                input=shared_tensor([1 << 18], region.ref()), output=region.ref()))
            step += 1


if __name__ == "__main__":
    main()
