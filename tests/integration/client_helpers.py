"""A thin layer of functions over the generated stubs, and NumPy's side of a comparison."""

import contextlib
import time

import grpc
import harness
import numpy as np

pb = harness.stubs().messages

CALL_SECONDS = 120
CONNECT_SECONDS = 10
REASON_METADATA = "dropout-error-reason"

FLOAT32 = pb.DATA_TYPE_FLOAT32
FLOAT64 = pb.DATA_TYPE_FLOAT64
FLOAT16 = pb.DATA_TYPE_FLOAT16
BFLOAT16 = pb.DATA_TYPE_BFLOAT16

# What elements are stored as. NumPy has no bfloat16: its bits are kept in uint16.
STORAGE = {FLOAT32: np.dtype("<f4"), FLOAT64: np.dtype("<f8"), FLOAT16: np.dtype("<f2"),
           BFLOAT16: np.dtype("<u2")}
DATA_TYPES = {storage: dtype for dtype, storage in STORAGE.items()}

TRAIN, EVAL = pb.MODE_TRAIN, pb.MODE_EVAL


# --- Calls --------------------------------------------------------------------------------


class Client:
    """One channel to a server. Errors are raised as grpc.RpcError; thread-safe."""

    def __init__(self, address, **channel_options):
        self.channel = harness.channel(address, **channel_options)
        self.service = harness.stubs().service.DropoutServiceStub(self.channel)
        # A first attempt to connect may fail on a busy machine, and with it the first call.
        with contextlib.suppress(grpc.FutureTimeoutError):
            grpc.channel_ready_future(self.channel).result(CONNECT_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def call(self, rpc, request, **options):
        return getattr(self.service, rpc)(request, timeout=CALL_SECONDS, **options)

    def call_raw(self, rpc, body):
        """Sends bytes as they are; returns the answer's bytes."""
        method = f"/dropout.v1.DropoutService/{rpc}"
        if rpc == "Exchange":
            return list(self.channel.stream_stream(method)(iter([body]), timeout=CALL_SECONDS))
        return self.channel.unary_unary(method)(body, timeout=CALL_SECONDS)

    def create_session(self, session_id, layers=(), **fields):
        return self.call("CreateSession", pb.CreateSessionRequest(
            session_id=session_id, layers=layers, **fields))

    def get_session(self, session_id):
        return self.call("GetSession", pb.GetSessionRequest(session_id=session_id))

    def list_page(self, page_size=0, page_token=""):
        return self.call("ListSessions", pb.ListSessionsRequest(
            page_size=page_size, page_token=page_token))

    def list_sessions(self, page_size=0, between_pages=lambda: None):
        """All sessions, page after page."""
        sessions, token = [], ""
        while True:
            page = self.list_page(page_size, token)
            sessions.extend(page.sessions)
            token = page.next_page_token
            if not token:
                return sessions
            between_pages()

    def delete_session(self, session_id):
        self.call("DeleteSession", pb.DeleteSessionRequest(session_id=session_id))

    def create_layer(self, session_id, layer):
        return self.call("CreateLayer", pb.CreateLayerRequest(session_id=session_id, layer=layer))

    def update_layer(self, session_id, layer):
        return self.call("UpdateLayer", pb.UpdateLayerRequest(session_id=session_id, layer=layer))

    def delete_layer(self, session_id, layer_id):
        self.call("DeleteLayer", pb.DeleteLayerRequest(session_id=session_id, layer_id=layer_id))

    def set_mode(self, session_id, mode, layer_ids=()):
        return self.call("SetMode", pb.SetModeRequest(
            session_id=session_id, mode=mode, layer_ids=layer_ids))

    def forward(self, session_id, layer_id, x, step=None, dtype=None, **fields):
        """The whole answer to a Forward of the array x."""
        return self.call("Forward", pb.ForwardRequest(
            session_id=session_id, layer_id=layer_id, step=step, input=to_tensor(x, dtype),
            **fields))

    def backward(self, session_id, layer_id, dy, step=None, dtype=None, **fields):
        """The gradient with respect to the input, as an array."""
        answer = self.call("Backward", pb.BackwardRequest(
            session_id=session_id, layer_id=layer_id, step=step,
            output_gradient=to_tensor(dy, dtype), **fields))
        return to_array(answer.input_gradient)

    def get_mask(self, session_id, layer_id, step=None, shape=(), **fields):
        return self.call("GetMask", pb.GetMaskRequest(
            session_id=session_id, layer_id=layer_id, step=step, shape=shape, **fields))

    def release_steps(self, session_id, layer_id, through_step):
        """How many records were forgotten."""
        return self.call("ReleaseSteps", pb.ReleaseStepsRequest(
            session_id=session_id, layer_id=layer_id, through_step=through_step)).released_count

    def info(self):
        return self.call("GetServerInfo", pb.GetServerInfoRequest())


def dropout_layer(layer_id, p=0.5, broadcast_axes=(), **fields):
    return pb.Layer(layer_id=layer_id, p=p, dropout=pb.Dropout(broadcast_axes=broadcast_axes),
                    **fields)


def reason_of(error):
    """The reason in a grpc.RpcError's trailing metadata, or None."""
    return dict(error.trailing_metadata() or ()).get(REASON_METADATA)


# --- Tensors and masks --------------------------------------------------------------------


def to_tensor(x, dtype=None):
    """A Tensor of the array x; uint16 holds the bits of bfloat16."""
    x = np.asarray(x)
    dtype = DATA_TYPES[x.dtype] if dtype is None else dtype
    return pb.Tensor(dtype=dtype, shape=x.shape, data=x.astype(STORAGE[dtype]).tobytes())


def to_array(tensor):
    return np.frombuffer(tensor.data, STORAGE[tensor.dtype]).reshape(tuple(tensor.shape))


def kept_elements(mask):
    """The mask's bits as an array of booleans; checks their number and the unused bits."""
    count = int(np.prod(mask.shape, dtype=object))
    bits = np.unpackbits(np.frombuffer(mask.bits, np.uint8), bitorder="little")
    if len(mask.bits) != (count + 7) // 8 or bits[count:].any():
        raise AssertionError(f"{len(mask.bits)} bytes are not the bits of shape {mask.shape}")
    return bits[:count].astype(bool).reshape(tuple(mask.shape))


# --- What NumPy makes of it ---------------------------------------------------------------


def bfloat16_bits(x):
    """float32 rounded to bfloat16, to nearest even, as uint16. Not for NaN."""
    bits = np.asarray(x, np.float32).view(np.uint32).astype(np.int64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def bfloat16_values(bits):
    """The float32 values of bfloat16 bits."""
    return (np.asarray(bits, np.uint32) << 16).view(np.float32)


def random_elements(random, shape, dtype):
    """Normal deviates as elements of a type."""
    x = random.standard_normal(shape)
    return bfloat16_bits(x) if dtype == BFLOAT16 else x.astype(STORAGE[dtype])


def scaled(x, scale):
    """x * scale, with one rounding of scale to the compute type and one to x's own."""
    if x.dtype == np.uint16:
        return bfloat16_bits(bfloat16_values(x) * np.float32(scale))
    if x.dtype == np.float64:
        return x * scale
    return (x.astype(np.float32) * np.float32(scale)).astype(x.dtype)


def masked(x, kept, scale):
    """Dropout of x by the formula: kept elements scaled, the others +0."""
    return np.where(kept, scaled(x, scale), x.dtype.type(0))


def exported_contents(client, session_id):
    """All that is kept of a session. An export begins with a line, a format and an id of its own (a
    field's head of 2 bytes, and 16), and ends with a checksum."""
    data = client.call("ExportSession", pb.ExportSessionRequest(session_id=session_id)).snapshot
    head = b"dropout session\n\x02\x12\x10"
    if not data.startswith(head):
        raise AssertionError(f"{data[:len(head)]} is not an export's beginning")
    return data[len(head) + 16:-4]


def patiently(call, seconds=120):
    """Calls until it is answered, as client libraries do; raises what it got after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > end:
                raise
