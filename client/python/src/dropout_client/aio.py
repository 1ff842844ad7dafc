"""The asyncio client: as client.py, with coroutines.

    async with AsyncClient("127.0.0.1:50051") as client:
        async with await client.create_session(seed=1) as session:
            hidden = await session.create_layer("hidden", p=0.5)
            y = (await hidden.forward(x, step=0)).output

For one event loop; any number of its tasks may call at once.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, AsyncIterator, Dict, Iterable, List, Optional, Sequence, Type, cast

import numpy as np

from . import _calls
from ._calls import Place, Ttl
from ._transport import AsyncTransport, Settings, Tls
from .errors import DropoutError
from .layers import Dropout, Generator, LayerConfig, Mode, Scaling, Schedule, Variant
from .results import BackwardResult, ForwardResult, Mask, ServerInfo, SessionInfo
from .retry import RetryPolicy
from .shared_memory import Regions, SharedMemory


class AsyncClient:
    """A connection to a server. A context manager: leaving it closes the connection."""

    def __init__(self, address: str, *, tls: Optional[Tls] = None, token: Optional[str] = None,
                 retry: RetryPolicy = RetryPolicy(), max_receive_bytes: int = -1) -> None:
        """Does not wait for the connection: the first call does.

        address: HOST:PORT or unix:/path. tls: None is plain text. token: sent as
        "authorization: Bearer". max_receive_bytes: the largest answer; -1: any.
        """
        self._transport = AsyncTransport(Settings(address, tls, token, retry, max_receive_bytes))

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                       trace: Optional[TracebackType]) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection. Sessions stay until they expire."""
        await self._transport.close()

    async def create_session(self, session_id: Optional[str] = None, *, seed: Optional[int] = None,
                             layers: Iterable[LayerConfig] = (), mode: Mode = Mode.UNSPECIFIED,
                             ttl: Ttl = None) -> "AsyncSession":
        """A new session, which leaving its `with` deletes.

        session_id: None picks one. With an id, a session that exists with the same contents is
        returned, so that workers can share it. seed: None lets the server draw one.
        ttl: seconds or a timedelta from the last call to the session's end.
        """
        info = await self._transport.send(_calls.create_session(
            _calls.new_session_id() if session_id is None else session_id, seed, layers, mode,
            ttl))
        return AsyncSession(self._transport, info, delete_at_exit=True)

    async def session(self, session_id: str) -> "AsyncSession":
        """A session that exists, as another worker's. Leaving its `with` does not delete it."""
        info = await self._transport.send(_calls.get_session(session_id))
        return AsyncSession(self._transport, info, delete_at_exit=False)

    async def sessions(self, page_size: int = 0) -> AsyncIterator[SessionInfo]:
        """All sessions that can be read, sorted by their ids, page after page."""
        async for page in self._pages(page_size):
            for info in page.sessions:
                yield info

    async def corrupt_session_ids(self, page_size: int = 0) -> AsyncIterator[str]:
        """The ids of sessions that are there and cannot be read; `session` says why."""
        async for page in self._pages(page_size):
            for session_id in page.corrupt_session_ids:
                yield session_id

    async def _pages(self, page_size: int) -> AsyncIterator[_calls.SessionPage]:
        token = ""
        while True:
            page = await self._transport.send(_calls.list_sessions(page_size, token))
            yield page
            token = page.next_page_token
            if not token:
                return

    async def import_session(self, snapshot: bytes, session_id: Optional[str] = None) -> "AsyncSession":
        """A session from what `AsyncSession.export` gave, of this server or another. None: an id is picked.
        Leaving its `with` does not delete it."""
        info = await self._transport.send(_calls.import_session(
            snapshot, _calls.new_session_id() if session_id is None else session_id))
        return AsyncSession(self._transport, info, delete_at_exit=False)

    async def delete_session(self, session_id: str) -> None:
        await self._transport.send(_calls.delete_session(session_id))

    async def server_info(self) -> ServerInfo:
        return await self._transport.send(_calls.server_info())


class AsyncSession:
    """A session on the server. A context manager: leaving it deletes a session that this client
    created."""

    def __init__(self, transport: AsyncTransport, info: SessionInfo, delete_at_exit: bool) -> None:
        self._transport, self._delete_at_exit = transport, delete_at_exit
        self._regions = Regions()
        self.session_id = info.session_id
        self.seed = info.seed

    async def __aenter__(self) -> "AsyncSession":
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                       trace: Optional[TracebackType]) -> None:
        if not self._delete_at_exit:
            return
        try:
            await self.delete()
        except DropoutError:
            if kind is None:  # Else the first error says more.
                raise

    def __repr__(self) -> str:
        return f"AsyncSession({self.session_id!r}, seed={self.seed})"

    async def info(self) -> SessionInfo:
        """The session as it is now."""
        return await self._transport.send(_calls.get_session(self.session_id))

    async def export(self) -> bytes:
        """The session with its layers, parameters and steps, for `import_session`."""
        return await self._transport.send(_calls.export_session(self.session_id))

    async def fork(self, session_id: Optional[str] = None) -> "AsyncSession":
        """A copy that has the same masks so far and goes its own way from there. None: an id is
        picked. Leaving its `with` does not delete it."""
        info = await self._transport.send(_calls.fork_session(
            self.session_id, _calls.new_session_id() if session_id is None else session_id))
        return AsyncSession(self._transport, info, delete_at_exit=False)

    async def delete(self) -> None:
        await self._transport.send(_calls.delete_session(self.session_id))

    # --- Layers ---------------------------------------------------------------------------

    async def create_layer(self, layer_id: str, p: Optional[float] = None,
                           variant: Variant = Dropout(), *, mode: Mode = Mode.UNSPECIFIED,
                           generator: Generator = Generator.UNSPECIFIED,
                           scaling: Scaling = Scaling.UNSPECIFIED,
                           schedule: Optional[Schedule] = None) -> "AsyncLayer":
        """A new layer, or the one that exists with the same contents. ValueError with neither p
        nor a schedule: such a layer would drop nothing."""
        return await self.add_layer(LayerConfig(
            layer_id, cast(float, p), variant, mode, generator, scaling, schedule))

    async def add_layer(self, config: LayerConfig) -> "AsyncLayer":
        """As create_layer."""
        await self._transport.send(_calls.create_layer(self.session_id, config))
        return self.layer(config.layer_id)

    def layer(self, layer_id: str) -> "AsyncLayer":
        """A layer that exists; nothing is asked of the server."""
        return AsyncLayer(self._transport, self, layer_id)

    async def update_layer(self, config: LayerConfig) -> LayerConfig:
        """Replaces the whole layer with this id; returns it with its new revision."""
        return await self._transport.send(_calls.update_layer(self.session_id, config))

    async def delete_layer(self, layer_id: str) -> None:
        await self._transport.send(_calls.delete_layer(self.session_id, layer_id))

    # --- Modes and steps ------------------------------------------------------------------

    async def set_mode(self, mode: Mode, layer_ids: Sequence[str] = ()) -> List[str]:
        """No ids: all layers, and later ones too. Returns the ids of the layers that were set."""
        return await self._transport.send(_calls.set_mode(self.session_id, mode, layer_ids))

    async def train(self) -> None:
        await self.set_mode(Mode.TRAIN)

    async def eval(self) -> None:
        await self.set_mode(Mode.EVAL)

    async def release_steps(self, through_step: int, layer_id: str = "") -> int:
        """Forgets steps up to and including this one, of all layers if none is named. Returns
        how many records there were."""
        return await self._transport.send(
            _calls.release_steps(self.session_id, layer_id, through_step))

    # --- Shared memory --------------------------------------------------------------------

    async def create_shared_memory(self, byte_size: int) -> SharedMemory:
        """A region that this host's server shares. Arrays in it cross without a copy: as the
        input of a layer, and as `out`."""
        region = SharedMemory(await self._transport.send(
            _calls.create_shared_memory(self.session_id, byte_size)))
        self._regions.add(region)
        return region

    async def delete_shared_memory(self, region: SharedMemory) -> None:
        self._regions.remove(region)
        await self._transport.send(_calls.delete_shared_memory(self.session_id, region.region_id))


class AsyncLayer:
    """A layer of a session.

    Where a method takes these: step is the training step; sample_offset the index in the whole
    batch of the tensor's first row; sequence_id the key of layers whose mask a sequence shares;
    timeout the seconds this call may take. Tensors are NumPy arrays of float16, bfloat16
    (ml_dtypes), float32 or float64, or Tensors, and answers are of the same kind. An answer's
    array is a read-only view of the message; with `out`, an array of the answer's type and
    shape, it is written there.
    """

    def __init__(self, transport: AsyncTransport, session: AsyncSession, layer_id: str) -> None:
        self._transport, self._session = transport, session
        self.layer_id = layer_id

    def __repr__(self) -> str:
        return f"AsyncLayer({self.layer_id!r} of {self._session!r})"

    @property
    def session(self) -> AsyncSession:
        return self._session

    def _place(self, step: Optional[int], sample_offset: int,
               sequence_id: Optional[int]) -> Place:
        return Place(self._session.session_id, self.layer_id, step, sample_offset, sequence_id)

    async def forward(self, x: Any, step: Optional[int] = None, *, sample_offset: int = 0,
                      sequence_id: Optional[int] = None, return_mask: bool = False,
                      out: Optional[np.ndarray] = None,
                      timeout: Optional[float] = None) -> ForwardResult:
        """Masks x in train, where a step is required, and remembers the mask under the step;
        passes x through in eval."""
        return await self._transport.send(_calls.forward(
            self._place(step, sample_offset, sequence_id), x, return_mask, out,
            self._session._regions), timeout)

    async def backward(self, gradient: Any, step: Optional[int] = None, *, sample_offset: int = 0,
                       sequence_id: Optional[int] = None, release: bool = False,
                       weight_squared_norm: Optional[float] = None,
                       out: Optional[np.ndarray] = None,
                       timeout: Optional[float] = None) -> BackwardResult:
        """Applies the step's mask to the gradient with respect to the output. release: forgets
        the step afterwards; such a call is not repeated."""
        return await self._transport.send(_calls.backward(
            self._place(step, sample_offset, sequence_id), gradient, release, weight_squared_norm,
            out, self._session._regions), timeout)

    async def mask(self, step: Optional[int] = None, shape: Optional[Sequence[int]] = None, *,
                   sample_offset: int = 0, sequence_id: Optional[int] = None,
                   timeout: Optional[float] = None) -> Mask:
        """The mask that Forward and Backward apply. Without a shape: that of the step's
        Forward."""
        return await self._transport.send(
            _calls.get_mask(self._place(step, sample_offset, sequence_id), shape), timeout)

    async def release_steps(self, through_step: int) -> int:
        return await self._session.release_steps(through_step, self.layer_id)

    async def train(self) -> None:
        await self._session.set_mode(Mode.TRAIN, [self.layer_id])

    async def eval(self) -> None:
        await self._session.set_mode(Mode.EVAL, [self.layer_id])

    async def set_parameters(self, **values: Any) -> None:
        """Sets what the server holds for the layer: drop_connect's weight and bias, concrete's
        logit_p."""
        await self._transport.send(_calls.set_parameters(
            self._session.session_id, self.layer_id, values))

    async def parameters(self) -> Dict[str, Any]:
        """What the server holds for the layer, by name."""
        return await self._transport.send(
            _calls.get_parameters(self._session.session_id, self.layer_id))

    async def delete(self) -> None:
        await self._session.delete_layer(self.layer_id)
