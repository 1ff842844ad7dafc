"""Shared memory, through a real server and real files."""

import os
import pathlib
import signal
import tempfile
import threading
import unittest

import client_helpers as helpers
import grpc
import harness
import numpy as np
from shared_client import Region, shared_tensor

pb = helpers.pb
COUNT = 100_000


def maps_of(pid):
    return pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")


class SharedMemoryTest(unittest.TestCase):

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.server = self.start()
        self.client = self.enterContext(helpers.Client(self.server.address))
        self.client.create_session("s", [helpers.dropout_layer("drop", p=0.4)], seed=3)
        self.x = np.arange(COUNT, dtype=np.float32)

    def start(self, *flags):
        return self.enterContext(harness.Server(
            "--shared_memory", f"--shared_memory_dir={self.folder}", *flags))

    def region(self, byte_size=8 * COUNT, session_id="s"):
        return Region(self.client, session_id, byte_size)

    def forward(self, step, source, output=None, **fields):
        return self.client.call("Forward", pb.ForwardRequest(
            session_id="s", layer_id="drop", step=step, input=source, output=output, **fields))

    def expected(self, step, x=None):
        return helpers.to_array(
            self.client.forward("s", "drop", self.x if x is None else x, step).output)

    @property
    def own(self):
        """The server's own folder."""
        return os.path.join(self.folder, f"dropoutd-{os.geteuid()}")

    def files(self):
        return os.listdir(self.own)

    def assert_refused(self, code, reason, call):
        with self.assertRaises(grpc.RpcError) as raised:
            call()
        self.assertEqual(raised.exception.code(), getattr(grpc.StatusCode, code))
        self.assertEqual(helpers.reason_of(raised.exception), reason)
        self.assertNotIn(self.folder, raised.exception.details())

    def test_in_place_and_into_another_place(self):
        region = self.region()
        memory = region.array()
        memory[:COUNT] = self.x
        answer = self.forward(1, shared_tensor([COUNT], region.ref()), region.ref(4 * COUNT))
        self.assertEqual(answer.output.shared_memory, region.ref(4 * COUNT))
        self.assertEqual((answer.output.data, list(answer.output.shape)), (b"", [COUNT]))
        self.assertEqual(answer.p, 0.4)
        np.testing.assert_array_equal(memory[:COUNT], self.x)
        np.testing.assert_array_equal(memory[COUNT:], self.expected(1))
        self.forward(2, shared_tensor([COUNT], region.ref()), region.ref())
        np.testing.assert_array_equal(memory[:COUNT], self.expected(2))

    def test_every_mix_of_shared_and_inline(self):
        region = self.region()
        region.array()[:COUNT] = self.x
        inline = self.forward(1, shared_tensor([COUNT], region.ref()))
        np.testing.assert_array_equal(helpers.to_array(inline.output), self.expected(1))
        self.forward(1, helpers.to_tensor(self.x), region.ref(4))
        np.testing.assert_array_equal(region.array(offset=4, count=COUNT), self.expected(1))
        # A place that no float would be aligned at.
        self.forward(1, helpers.to_tensor(self.x), region.ref(3))
        np.testing.assert_array_equal(
            np.frombuffer(bytes(region.memory[3:3 + 4 * COUNT]), np.float32), self.expected(1))
        self.client.call("Backward", pb.BackwardRequest(
            session_id="s", layer_id="drop", step=1, output=region.ref(),
            output_gradient=helpers.to_tensor(self.x)))
        np.testing.assert_array_equal(region.array(count=COUNT), self.expected(1))

    def test_between_two_regions_and_through_a_stream(self):
        source, target = self.region(), self.region()
        source.array()[:COUNT] = self.x
        request = pb.ForwardRequest(session_id="s", layer_id="drop", step=1, output=target.ref(),
                                    input=shared_tensor([COUNT], source.ref()))
        answers = list(self.client.service.Exchange(
            iter([pb.ExchangeRequest(forward=request)]), timeout=helpers.CALL_SECONDS))
        self.assertEqual(len(answers), 1)
        self.assertEqual(answers[0].forward.output.shared_memory, target.ref())
        np.testing.assert_array_equal(target.array(count=COUNT), self.expected(1))

    def test_places_outside_of_the_region_and_overlaps_are_refused(self):
        region = self.region()
        tensor = shared_tensor([COUNT], region.ref())
        for offset in (-1, 4 * COUNT + 1, 8 * COUNT, 8 * COUNT + 1, 2 ** 63 - 1, -2 ** 63):
            self.assert_refused("INVALID_ARGUMENT", "INVALID_TENSOR", lambda at=offset: self.forward(
                1, shared_tensor([COUNT], region.ref(at)), region.ref()))
            self.assert_refused("INVALID_ARGUMENT", "INVALID_TENSOR", lambda at=offset: self.forward(
                1, tensor, region.ref(at)))
        for offset in (1, 4, 4 * COUNT - 4):
            self.assert_refused("INVALID_ARGUMENT", "INVALID_TENSOR", lambda at=offset: self.forward(
                1, tensor, region.ref(at)))
        self.assert_refused("INVALID_ARGUMENT", "INVALID_TENSOR", lambda: self.forward(
            1, shared_tensor([2 ** 40], region.ref())))

    def test_a_region_is_its_sessions_alone(self):
        region = self.region()
        self.client.create_session("other", [helpers.dropout_layer("drop")])
        self.assert_refused("NOT_FOUND", "REGION_NOT_FOUND", lambda: self.client.call(
            "Forward", pb.ForwardRequest(session_id="other", layer_id="drop", step=1,
                                         input=shared_tensor([4], region.ref()))))
        self.assert_refused("NOT_FOUND", "REGION_NOT_FOUND", lambda: self.client.call(
            "DeleteSharedMemory", pb.DeleteSharedMemoryRequest(
                session_id="other", region_id=region.region_id)))

    def test_the_file_goes_with_its_region_and_with_its_session(self):
        region, other = self.region(), self.region()
        self.assertEqual(sorted(self.files()),
                         sorted(os.path.basename(r.path) for r in (region, other)))
        self.assertEqual(os.stat(region.path).st_mode & 0o7777, 0o600)
        self.assertEqual(os.path.dirname(region.path), self.own)
        self.assertEqual(os.stat(self.own).st_mode & 0o777, 0o700)
        self.client.call("DeleteSharedMemory", pb.DeleteSharedMemoryRequest(
            session_id="s", region_id=region.region_id))
        self.assertEqual(self.files(), [os.path.basename(other.path)])
        self.assert_refused("NOT_FOUND", "REGION_NOT_FOUND", lambda: self.forward(
            1, shared_tensor([4], region.ref())))
        self.client.delete_session("s")
        self.assertEqual(self.files(), [])
        self.assertNotIn(self.folder, maps_of(self.server.pid))

    def test_the_file_goes_when_its_session_expires(self):
        self.client.create_session("brief", [], ttl={"seconds": 1})
        Region(self.client, "brief", 4096)
        # The server looks every second.
        deadline = threading.Event()
        for _ in range(300):
            if not self.files():
                break
            deadline.wait(0.1)
        self.assertEqual(self.files(), [])

    def test_quotas(self):
        for byte_size in (0, -1, -2 ** 63):
            self.assert_refused("INVALID_ARGUMENT", "INVALID_REQUEST",
                                lambda size=byte_size: self.region(size))
        self.assert_refused("RESOURCE_EXHAUSTED", "QUOTA_SHARED_MEMORY",
                            lambda: self.region(2 ** 62))
        small = self.start("--max_shared_memory_bytes=1MiB")
        with helpers.Client(small.address) as client:
            client.create_session("s", [])
            region = Region(client, "s", 1 << 20)
            self.assert_refused("RESOURCE_EXHAUSTED", "QUOTA_SHARED_MEMORY",
                                lambda: Region(client, "s", 1))
            client.call("DeleteSharedMemory", pb.DeleteSharedMemoryRequest(
                session_id="s", region_id=region.region_id))
            for _ in range(64):
                Region(client, "s", 1)
            self.assert_refused("RESOURCE_EXHAUSTED", "QUOTA_SHARED_MEMORY",
                                lambda: Region(client, "s", 1))

    def test_a_file_that_is_cut_is_an_error_and_the_server_lives(self):
        for use in ("input", "output", "both"):
            region = self.region()
            os.truncate(region.path, 4096)
            source = shared_tensor([COUNT], region.ref())
            if use == "output":
                source = helpers.to_tensor(self.x)
            output = None if use == "input" else region.ref(0 if use == "both" else 4096)
            self.assert_refused("FAILED_PRECONDITION", "REGION_BROKEN",
                                lambda s=source, o=output: self.forward(7, s, o))
            self.assert_refused("FAILED_PRECONDITION", "REGION_BROKEN",
                                lambda r=region: self.forward(7, shared_tensor([4], r.ref())))
            # A call that fails changes nothing.
            self.assert_refused("NOT_FOUND", "STEP_NOT_FOUND",
                                lambda: self.client.get_mask("s", "drop", 7))
            self.client.call("DeleteSharedMemory", pb.DeleteSharedMemoryRequest(
                session_id="s", region_id=region.region_id))
        self.assertEqual(len(self.expected(8)), COUNT)

    def test_files_are_cut_while_they_are_worked_in(self):
        outcomes = set()
        for _ in range(30):
            region = self.region(16 << 20)
            count = 4 << 20
            ready = threading.Barrier(2)

            def cut(path=region.path, gate=ready):
                gate.wait()
                os.truncate(path, 0)

            thread = threading.Thread(target=cut)
            thread.start()
            ready.wait()
            for step in range(3):
                try:
                    self.forward(step, shared_tensor([count], region.ref()), region.ref())
                    outcomes.add("OK")
                except grpc.RpcError as error:
                    outcomes.add(helpers.reason_of(error))
            thread.join()
            self.client.call("DeleteSharedMemory", pb.DeleteSharedMemoryRequest(
                session_id="s", region_id=region.region_id))
        self.assertLessEqual(outcomes, {"OK", "REGION_BROKEN"})
        self.assertIn("REGION_BROKEN", outcomes)
        self.assertEqual(len(self.expected(1)), COUNT)
        self.assertNotIn(self.folder, maps_of(self.server.pid))

    def test_a_removed_file_goes_on_being_shared(self):
        region = self.region()
        os.unlink(region.path)
        region.array()[:COUNT] = self.x
        self.forward(1, shared_tensor([COUNT], region.ref()), region.ref())
        np.testing.assert_array_equal(region.array(count=COUNT), self.expected(1))

    def test_what_a_killed_server_left_goes_at_the_next_start(self):
        self.region()
        other = self.start()
        with helpers.Client(other.address) as client:
            client.create_session("s", [])
            Region(client, "s", 4096)
            self.assertEqual(len(self.files()), 2)
            self.server.signal(signal.SIGKILL)
            self.server.wait()
            self.assertEqual(len(self.files()), 2)
            self.start()
            self.assertEqual(len(self.files()), 1)
        self.assertEqual(other.terminate(), 0)
        self.assertEqual(self.files(), [])

    def test_nothing_but_left_regions_is_ever_removed(self):
        name = "0123456789abcdef" * 2
        outside = [os.path.join(self.folder, n) for n in (
            "dropoutd-backup.db", "dropoutd-archive.tar", "dropoutd-" + name, name, "dropoutd-")]
        inside = [os.path.join(self.own, n) for n in (
            name[1:], name + "0", name.upper(), "dropoutd-" + name, name + ".tmp", "backup.db")]
        files = [*outside, *inside]
        os.makedirs(self.own, 0o700, exist_ok=True)
        for path in files:
            pathlib.Path(path).write_text("mine", encoding="utf-8")
        os.mkdir(os.path.join(self.folder, "dropoutd-folder"))
        os.mkdir(os.path.join(self.own, "1" * 32))
        os.symlink(outside[0], os.path.join(self.folder, "dropoutd-link"))
        os.symlink(outside[0], os.path.join(self.own, "2" * 32))
        before = self.listing()
        self.region()  # Left by a server that is killed.
        self.server.signal(signal.SIGKILL)
        self.server.wait()
        self.assertNotEqual(self.listing(), before)

        # Its own database is there too, and in use.
        database = os.path.join(self.folder, "dropoutd-state.db")
        server = self.start(f"--store=sqlite:{database}")
        state = {f"dropoutd-state.db{end}" for end in ("", "-wal", "-shm", ".lock", ".reserve")}
        self.assertEqual(self.listing() - state, before)
        with helpers.Client(server.address) as client:
            client.create_session("kept", [])
            self.assertTrue(state <= self.listing(), self.listing())
            Region(client, "kept", 4096)
            other = self.start()  # Another server of this user starts meanwhile.
            self.assertEqual(len(self.listing() - state - before), 1)
            self.assertEqual(other.terminate(), 0)
            self.assertEqual(server.terminate(), 0)
        self.assertEqual(self.listing() - state, before)
        for path in files:
            self.assertEqual(pathlib.Path(path).read_text(encoding="utf-8"), "mine", path)
        server = self.start(f"--store=sqlite:{database}")
        with helpers.Client(server.address) as client:
            self.assertEqual(client.get_session("kept").session_id, "kept")

    def listing(self):
        """Names of all that is in the folders."""
        return {os.path.relpath(os.path.join(folder, name), self.folder)
                for folder, folders, files in os.walk(self.folder) for name in folders + files}

    def test_a_folder_that_is_not_the_servers_alone_ends_the_start(self):
        with tempfile.TemporaryDirectory() as folder:
            own = os.path.join(folder, f"dropoutd-{os.geteuid()}")
            os.mkdir(own, 0o700)
            os.chmod(own, 0o755)
            self.assert_no_start(folder, own, "0700")
            os.rmdir(own)
            os.symlink(self.own, own)
            self.assert_no_start(folder, own, "is not a folder")

    def assert_no_start(self, folder, *texts):
        done = harness.run_server("--listen=127.0.0.1:0", "--shared_memory",
                                  f"--shared_memory_dir={folder}")
        self.assertEqual(done.returncode, 1, done.stderr)
        for text in texts:
            self.assertIn(text, done.stderr)

    def test_it_is_off_unless_asked_for(self):
        plain = self.enterContext(harness.Server())
        with helpers.Client(plain.address) as client:
            client.create_session("s", [helpers.dropout_layer("drop")])
            self.assert_refused("UNIMPLEMENTED", "RPC_UNSUPPORTED", lambda: Region(client, "s", 1))
            self.assertIn("CreateSharedMemory", client.info().unsupported_rpcs)
        self.assertNotIn("CreateSharedMemory", self.client.info().unsupported_rpcs)

    def test_a_folder_that_cannot_be_used_ends_the_start(self):
        self.assert_no_start(f"{self.folder}/none", f"{self.folder}/none")


if __name__ == "__main__":
    unittest.main()
