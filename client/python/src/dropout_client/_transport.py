"""Channels, and the loops that send calls until they are answered."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any, Awaitable, Callable, List, Optional, Tuple, TypeVar, Union, cast

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from ._calls import Call
from ._wire import MalformedMessageError
from .errors import InternalError, from_rpc_error
from .retry import Attempts, RetryPolicy

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Tls:
    """Transport security. Each is the contents of a PEM file."""

    ca: Optional[bytes] = None  # Whom to trust; None: the certificates that gRPC trusts.
    certificate: Optional[bytes] = None  # The client's own, where the server asks for one,
    key: Optional[bytes] = None  # with its key.
    server_name: Optional[str] = None  # Where the certificate is for another name than the address.

    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)


def _options(tls: Optional[Tls], max_receive_bytes: int) -> list:
    options: List[Tuple[str, Union[int, str]]] = [
        # gRPC's own default, 4 MiB, is smaller than what a server with default flags sends.
        ("grpc.max_receive_message_length", max_receive_bytes),
        ("grpc.max_send_message_length", -1),
        # A server that is back is found within about a second.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # Despite its name, the time that gRPC gives one attempt to connect.
        ("grpc.min_reconnect_backoff_ms", 5000),
    ]
    if tls is not None and tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to reach a server, and how long to try."""

    address: str
    tls: Optional[Tls]
    token: Optional[str]
    retry: RetryPolicy
    max_receive_bytes: int

    def __post_init__(self) -> None:
        if not self.address:
            raise ValueError("address is empty")

    def channel(self, module: Any) -> Any:
        """A channel of the module grpc or grpc.aio. The first call connects it."""
        options = _options(self.tls, self.max_receive_bytes)
        if self.tls is None:
            return module.insecure_channel(self.address, options)
        return module.secure_channel(self.address, self.tls.credentials(), options)

    def metadata(self, call: Call) -> tuple:
        metadata = call.metadata()
        if self.token is not None:
            metadata += (("authorization", f"Bearer {self.token}"),)
        return metadata


def _parsed(call: Call[T], encoded: bytes) -> T:
    try:
        return call.parse(encoded)
    except (MalformedMessageError, DecodeError) as error:
        raise InternalError(f"{call.rpc}: the answer cannot be read: {error}") from error


class Transport:
    """A channel and its calls, blocking. Thread-safe."""

    def __init__(self, settings: Settings,
                 sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings, self._sleep = settings, sleep
        self._channel = settings.channel(grpc)

    def close(self) -> None:
        self._channel.close()

    def send(self, call: Call[T], timeout: Optional[float] = None) -> T:
        """The call's answer. timeout: in seconds, of this call. Raises DropoutError."""
        method = self._channel.unary_unary(call.method)
        metadata = self._settings.metadata(call)
        attempts = Attempts(self._settings.retry, call.idempotency, timeout)
        while True:
            try:
                encoded = method(call.request, timeout=attempts.time_left(), metadata=metadata,
                                 wait_for_ready=attempts.wait_for_ready)
            except grpc.RpcError as error:
                pause = attempts.after(from_rpc_error(error))
                if pause is None:
                    return cast(T, None)
                self._sleep(pause)
            else:
                return _parsed(call, encoded)


class AsyncTransport:
    """A channel and its calls, for asyncio. For one event loop."""

    def __init__(self, settings: Settings,
                 sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._settings, self._sleep = settings, sleep
        self._channel = settings.channel(grpc.aio)

    async def close(self) -> None:
        await self._channel.close()

    async def send(self, call: Call[T], timeout: Optional[float] = None) -> T:
        """As Transport.send."""
        method = self._channel.unary_unary(call.method)
        metadata = self._settings.metadata(call)
        attempts = Attempts(self._settings.retry, call.idempotency, timeout)
        while True:
            try:
                encoded = await method(
                    call.request, timeout=attempts.time_left(), metadata=metadata,
                    wait_for_ready=attempts.wait_for_ready)
            except grpc.aio.AioRpcError as error:
                pause = attempts.after(from_rpc_error(error))
                if pause is None:
                    return cast(T, None)
                await self._sleep(pause)
            else:
                return _parsed(call, encoded)
