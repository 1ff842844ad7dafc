"""The blocking client: a client opens sessions, a session holds layers.

    with Client("127.0.0.1:50051") as client, client.create_session(seed=1) as session:
        hidden = session.create_layer("hidden", p=0.5)
        y = hidden.forward(x, step=0).output

Errors of calls are DropoutErrors (errors.py). Calls that are safe to repeat are repeated
when the server went away. Everything here may be used from several threads at once.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Type, cast

import numpy as np

from . import _calls
from ._calls import Place, Ttl
from ._transport import Settings, Tls, Transport
from .errors import DropoutError
from .layers import Dropout, Generator, LayerConfig, Mode, Scaling, Schedule, Variant
from .results import BackwardResult, ForwardResult, Mask, ServerInfo, SessionInfo
from .retry import RetryPolicy
from .shared_memory import Regions, SharedMemory


class Client:
    """A connection to a server. A context manager: leaving it closes the connection."""

    def __init__(self, address: str, *, tls: Optional[Tls] = None, token: Optional[str] = None,
                 retry: RetryPolicy = RetryPolicy(), max_receive_bytes: int = -1) -> None:
        """Does not wait for the connection: the first call does.

        address: HOST:PORT or unix:/path. tls: None is plain text. token: sent as
        "authorization: Bearer". max_receive_bytes: the largest answer; -1: any.
        """
        self._transport = Transport(Settings(address, tls, token, retry, max_receive_bytes))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection. Sessions stay until they expire."""
        self._transport.close()

    def create_session(self, session_id: Optional[str] = None, *, seed: Optional[int] = None,
                       layers: Iterable[LayerConfig] = (), mode: Mode = Mode.UNSPECIFIED,
                       ttl: Ttl = None) -> "Session":
        """A new session, which leaving its `with` deletes.

        session_id: None picks one. With an id, a session that exists with the same contents is
        returned, so that workers can share it. seed: None lets the server draw one.
        ttl: seconds or a timedelta from the last call to the session's end.
        """
        info = self._transport.send(_calls.create_session(
            _calls.new_session_id() if session_id is None else session_id, seed, layers, mode,
            ttl))
        return Session(self._transport, info, delete_at_exit=True)

    def session(self, session_id: str) -> "Session":
        """A session that exists, as another worker's. Leaving its `with` does not delete it."""
        info = self._transport.send(_calls.get_session(session_id))
        return Session(self._transport, info, delete_at_exit=False)

    def sessions(self, page_size: int = 0) -> Iterator[SessionInfo]:
        """All sessions that can be read, sorted by their ids, page after page."""
        for page in self._pages(page_size):
            yield from page.sessions

    def corrupt_session_ids(self, page_size: int = 0) -> Iterator[str]:
        """The ids of sessions that are there and cannot be read; `session` says why."""
        for page in self._pages(page_size):
            yield from page.corrupt_session_ids

    def _pages(self, page_size: int) -> Iterator[_calls.SessionPage]:
        token = ""
        while True:
            page = self._transport.send(_calls.list_sessions(page_size, token))
            yield page
            token = page.next_page_token
            if not token:
                return

    def import_session(self, snapshot: bytes, session_id: Optional[str] = None) -> "Session":
        """A session from what `Session.export` gave, of this server or another. None: an id is picked.
        Leaving its `with` does not delete it."""
        info = self._transport.send(_calls.import_session(
            snapshot, _calls.new_session_id() if session_id is None else session_id))
        return Session(self._transport, info, delete_at_exit=False)

    def delete_session(self, session_id: str) -> None:
        self._transport.send(_calls.delete_session(session_id))

    def server_info(self) -> ServerInfo:
        return self._transport.send(_calls.server_info())


class Session:
    """A session on the server. A context manager: leaving it deletes a session that this client
    created."""

    def __init__(self, transport: Transport, info: SessionInfo, delete_at_exit: bool) -> None:
        self._transport, self._delete_at_exit = transport, delete_at_exit
        self._regions = Regions()
        self.session_id = info.session_id
        self.seed = info.seed

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        if not self._delete_at_exit:
            return
        try:
            self.delete()
        except DropoutError:
            if kind is None:  # Else the first error says more.
                raise

    def __repr__(self) -> str:
        return f"Session({self.session_id!r}, seed={self.seed})"

    def info(self) -> SessionInfo:
        """The session as it is now."""
        return self._transport.send(_calls.get_session(self.session_id))

    def export(self) -> bytes:
        """The session with its layers, parameters and steps, for `import_session`."""
        return self._transport.send(_calls.export_session(self.session_id))

    def fork(self, session_id: Optional[str] = None) -> "Session":
        """A copy that has the same masks so far and goes its own way from there. None: an id is
        picked. Leaving its `with` does not delete it."""
        info = self._transport.send(_calls.fork_session(
            self.session_id, _calls.new_session_id() if session_id is None else session_id))
        return Session(self._transport, info, delete_at_exit=False)

    def delete(self) -> None:
        self._transport.send(_calls.delete_session(self.session_id))

    # --- Layers ---------------------------------------------------------------------------

    def create_layer(self, layer_id: str, p: Optional[float] = None,
                     variant: Variant = Dropout(), *, mode: Mode = Mode.UNSPECIFIED,
                     generator: Generator = Generator.UNSPECIFIED,
                     scaling: Scaling = Scaling.UNSPECIFIED,
                     schedule: Optional[Schedule] = None) -> "Layer":
        """A new layer, or the one that exists with the same contents. ValueError with neither p
        nor a schedule: such a layer would drop nothing."""
        return self.add_layer(LayerConfig(
            layer_id, cast(float, p), variant, mode, generator, scaling, schedule))

    def add_layer(self, config: LayerConfig) -> "Layer":
        """As create_layer."""
        self._transport.send(_calls.create_layer(self.session_id, config))
        return self.layer(config.layer_id)

    def layer(self, layer_id: str) -> "Layer":
        """A layer that exists; nothing is asked of the server."""
        return Layer(self._transport, self, layer_id)

    def update_layer(self, config: LayerConfig) -> LayerConfig:
        """Replaces the whole layer with this id; returns it with its new revision."""
        return self._transport.send(_calls.update_layer(self.session_id, config))

    def delete_layer(self, layer_id: str) -> None:
        self._transport.send(_calls.delete_layer(self.session_id, layer_id))

    # --- Modes and steps ------------------------------------------------------------------

    def set_mode(self, mode: Mode, layer_ids: Sequence[str] = ()) -> List[str]:
        """No ids: all layers, and later ones too. Returns the ids of the layers that were set."""
        return self._transport.send(_calls.set_mode(self.session_id, mode, layer_ids))

    def train(self) -> None:
        self.set_mode(Mode.TRAIN)

    def eval(self) -> None:
        self.set_mode(Mode.EVAL)

    def release_steps(self, through_step: int, layer_id: str = "") -> int:
        """Forgets steps up to and including this one, of all layers if none is named. Returns
        how many records there were."""
        return self._transport.send(_calls.release_steps(self.session_id, layer_id, through_step))

    # --- Shared memory --------------------------------------------------------------------

    def create_shared_memory(self, byte_size: int) -> SharedMemory:
        """A region that this host's server shares. Arrays in it cross without a copy: as the
        input of a layer, and as `out`."""
        region = SharedMemory(self._transport.send(
            _calls.create_shared_memory(self.session_id, byte_size)))
        self._regions.add(region)
        return region

    def delete_shared_memory(self, region: SharedMemory) -> None:
        self._regions.remove(region)
        self._transport.send(_calls.delete_shared_memory(self.session_id, region.region_id))


class Layer:
    """A layer of a session.

    Where a method takes these: step is the training step; sample_offset the index in the whole
    batch of the tensor's first row; sequence_id the key of layers whose mask a sequence shares;
    timeout the seconds this call may take. Tensors are NumPy arrays of float16, bfloat16
    (ml_dtypes), float32 or float64, or Tensors, and answers are of the same kind. An answer's
    array is a read-only view of the message; with `out`, an array of the answer's type and
    shape, it is written there.
    """

    def __init__(self, transport: Transport, session: Session, layer_id: str) -> None:
        self._transport, self._session = transport, session
        self.layer_id = layer_id

    def __repr__(self) -> str:
        return f"Layer({self.layer_id!r} of {self._session!r})"

    @property
    def session(self) -> Session:
        return self._session

    def _place(self, step: Optional[int], sample_offset: int,
               sequence_id: Optional[int]) -> Place:
        return Place(self._session.session_id, self.layer_id, step, sample_offset, sequence_id)

    def forward(self, x: Any, step: Optional[int] = None, *, sample_offset: int = 0,
                sequence_id: Optional[int] = None, return_mask: bool = False,
                out: Optional[np.ndarray] = None,
                timeout: Optional[float] = None) -> ForwardResult:
        """Masks x in train, where a step is required, and remembers the mask under the step;
        passes x through in eval."""
        return self._transport.send(_calls.forward(
            self._place(step, sample_offset, sequence_id), x, return_mask, out,
            self._session._regions), timeout)

    def backward(self, gradient: Any, step: Optional[int] = None, *, sample_offset: int = 0,
                 sequence_id: Optional[int] = None, release: bool = False,
                 weight_squared_norm: Optional[float] = None,
                 out: Optional[np.ndarray] = None,
                 timeout: Optional[float] = None) -> BackwardResult:
        """Applies the step's mask to the gradient with respect to the output. release: forgets
        the step afterwards; such a call is not repeated."""
        return self._transport.send(_calls.backward(
            self._place(step, sample_offset, sequence_id), gradient, release, weight_squared_norm,
            out, self._session._regions), timeout)

    def mask(self, step: Optional[int] = None, shape: Optional[Sequence[int]] = None, *,
             sample_offset: int = 0, sequence_id: Optional[int] = None,
             timeout: Optional[float] = None) -> Mask:
        """The mask that Forward and Backward apply. Without a shape: that of the step's
        Forward."""
        return self._transport.send(
            _calls.get_mask(self._place(step, sample_offset, sequence_id), shape), timeout)

    def release_steps(self, through_step: int) -> int:
        return self._session.release_steps(through_step, self.layer_id)

    def train(self) -> None:
        self._session.set_mode(Mode.TRAIN, [self.layer_id])

    def eval(self) -> None:
        self._session.set_mode(Mode.EVAL, [self.layer_id])

    def set_parameters(self, **values: Any) -> None:
        """Sets what the server holds for the layer: drop_connect's weight and bias, concrete's
        logit_p."""
        self._transport.send(_calls.set_parameters(
            self._session.session_id, self.layer_id, values))

    def parameters(self) -> Dict[str, Any]:
        """What the server holds for the layer, by name."""
        return self._transport.send(
            _calls.get_parameters(self._session.session_id, self.layer_id))

    def delete(self) -> None:
        self._session.delete_layer(self.layer_id)
