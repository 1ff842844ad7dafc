"""A server of this process that answers what a test tells it to, and remembers what it was sent."""

import concurrent.futures
import contextlib

import grpc

from dropout_client._stubs.dropout.v1 import session_pb2


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, code, reason="", message="refused"):
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


class FakeService(grpc.GenericRpcHandler):
    """answers: for each RPC's name the answers of its calls in turn, bytes or Refusals; the last
    one stays. calls: (rpc, request bytes, metadata as a dict, seconds left) of each call."""

    def __init__(self, **answers):
        self.answers = {"CreateSession": [session(b"")], "DeleteSession": [b""], **answers}
        self.calls = []

    def service(self, details):
        rpc = details.method.rpartition("/")[2]

        def handle(request, context):
            self.calls.append((rpc, request, dict(context.invocation_metadata()),
                               context.time_remaining()))
            left = self.answers[rpc]
            answer = left.pop(0) if len(left) > 1 else left[0]
            if callable(answer):
                answer = answer(request, context)
            if isinstance(answer, Refusal):
                if answer.reason:
                    context.set_trailing_metadata((("dropout-error-reason", answer.reason),))
                context.abort(answer.code, answer.message)
            return answer

        return grpc.unary_unary_rpc_method_handler(handle)

    def requests(self, rpc):
        return [call for call in self.calls if call[0] == rpc]

    @contextlib.contextmanager
    def serving(self):
        """Yields the address."""
        pool = concurrent.futures.ThreadPoolExecutor(4)
        server = grpc.server(pool, handlers=(self,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()
            pool.shutdown()


def session(session_id=b"fake"):
    return session_pb2.Session(session_id=session_id.decode() or "fake", seed=1,
                               mode=1).SerializeToString()
