"""The asyncio client: the same methods, and calls beside each other."""

import asyncio
import inspect
import unittest

import numpy as np

import support
from dropout_client import aio, client
from dropout_client import AsyncClient, StepNotFoundError


class MirrorTest(unittest.TestCase):

    def test_both_clients_have_the_same_methods(self):
        for name in ("Client", "Session", "Layer"):
            blocking, asynchronous = getattr(client, name), getattr(aio, f"Async{name}")
            methods = self.methods(blocking)
            self.assertEqual(methods, self.methods(asynchronous))
            for method in methods:
                self.assertEqual(self.parameters(blocking, method),
                                 self.parameters(asynchronous, method), f"{name}.{method}")

    def methods(self, cls):
        return {name for name in vars(cls) if not name.startswith("_")}

    def parameters(self, cls, name):
        method = getattr(cls, name)
        if isinstance(method, property):
            return None
        return [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]


class ServerTest(unittest.IsolatedAsyncioTestCase):

    async def test_calls_beside_each_other(self):
        with support.harness.Server() as server:
            async with AsyncClient(server.address) as client_, \
                    await client_.create_session(seed=1) as session:
                hidden = await session.create_layer("hidden", p=0.5)
                x = np.ones((16, 8), np.float32)
                whole = (await hidden.forward(x, step=0)).output
                parts = await asyncio.gather(*(
                    hidden.forward(x[i:i + 4], step=0, sample_offset=i) for i in range(0, 16, 4)))
                np.testing.assert_array_equal(np.concatenate([part.output for part in parts]),
                                              whole)
                with self.assertRaises(StepNotFoundError):
                    await hidden.backward(x, step=1)
                gradient = await hidden.backward(x[12:], step=0, sample_offset=12)
                np.testing.assert_array_equal(gradient.input_gradient, whole[12:])
                found = [info.session_id async for info in client_.sessions()]
                self.assertEqual(found, [session.session_id])
            async with AsyncClient(server.address) as client_:
                self.assertEqual([info async for info in client_.sessions()], [])


if __name__ == "__main__":
    unittest.main()
