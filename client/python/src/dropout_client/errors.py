"""The server's errors as exceptions: one class a reason, under one class a status code.

``except StepNotFoundError`` catches one reason, ``except NotFoundError`` a code,
``except DropoutError`` all of them. Docs: docs/api.md, "Errors".
"""

from __future__ import annotations

from typing import Dict, Optional, Type

import grpc

REASON_METADATA = "dropout-error-reason"


class DropoutError(Exception):
    """A call failed. Base of every error that this package raises about a call."""

    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN
    reason: str = ""  # "SESSION_NOT_FOUND", ...; "" where the server gave none.

    def __init__(self, message: str, code: Optional[grpc.StatusCode] = None,
                 reason: Optional[str] = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if reason is not None:
            self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason or self.code.name}: {self.message}"

    def __reduce__(self) -> tuple:  # Across processes, as worker pools need.
        return type(self), (self.message, self.code, self.reason)


# --- One class a status code --------------------------------------------------------------


class InvalidArgumentError(DropoutError, ValueError):
    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFoundError(DropoutError, LookupError):
    code = grpc.StatusCode.NOT_FOUND


class FailedPreconditionError(DropoutError):
    code = grpc.StatusCode.FAILED_PRECONDITION


class AlreadyExistsError(DropoutError):
    code = grpc.StatusCode.ALREADY_EXISTS


class ResourceExhaustedError(DropoutError):
    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class UnavailableError(DropoutError, ConnectionError):
    code = grpc.StatusCode.UNAVAILABLE


class CancelledError(DropoutError, ConnectionError):
    """A server that shuts down answered so to a call that it had not begun."""

    code = grpc.StatusCode.CANCELLED


class UnsupportedError(DropoutError, NotImplementedError):
    code = grpc.StatusCode.UNIMPLEMENTED


class DataLossError(DropoutError):
    code = grpc.StatusCode.DATA_LOSS


class InternalError(DropoutError):
    code = grpc.StatusCode.INTERNAL


class DeadlineExceededError(DropoutError, TimeoutError):
    code = grpc.StatusCode.DEADLINE_EXCEEDED


class UnauthenticatedError(DropoutError, PermissionError):
    code = grpc.StatusCode.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class PermissionDeniedError(DropoutError, PermissionError):
    code = grpc.StatusCode.PERMISSION_DENIED


# --- One class a reason -------------------------------------------------------------------


class InvalidLayerError(InvalidArgumentError):
    reason = "INVALID_LAYER"


class InvalidTensorError(InvalidArgumentError):
    reason = "INVALID_TENSOR"


class InvalidSessionError(InvalidArgumentError):
    reason = "INVALID_SESSION"


class InvalidRequestError(InvalidArgumentError):
    reason = "INVALID_REQUEST"


class StepRequiredError(InvalidArgumentError):
    reason = "STEP_REQUIRED"


class SequenceRequiredError(InvalidArgumentError):
    reason = "SEQUENCE_REQUIRED"


class ShapeMismatchError(InvalidArgumentError):
    reason = "SHAPE_MISMATCH"


class ModeError(FailedPreconditionError):
    """A module in train() whose layer the server has in EVAL."""


class RecomputationError(FailedPreconditionError, RuntimeError):
    """A forward inside a backward, of which no first forward is known. torch makes a plain
    RuntimeError with the same text of it where it recomputes without re-entering autograd."""


class ParametersRequiredError(FailedPreconditionError):
    reason = "PARAMETERS_REQUIRED"


class SessionNotFoundError(NotFoundError):
    reason = "SESSION_NOT_FOUND"


class LayerNotFoundError(NotFoundError):
    reason = "LAYER_NOT_FOUND"


class StepNotFoundError(NotFoundError):
    reason = "STEP_NOT_FOUND"


class RegionNotFoundError(NotFoundError):
    reason = "REGION_NOT_FOUND"


class SessionExistsError(AlreadyExistsError):
    reason = "SESSION_EXISTS"


class LayerExistsError(AlreadyExistsError):
    reason = "LAYER_EXISTS"


class QuotaSessionsError(ResourceExhaustedError):
    reason = "QUOTA_SESSIONS"


class QuotaLayersError(ResourceExhaustedError):
    reason = "QUOTA_LAYERS"


class QuotaStepsError(ResourceExhaustedError):
    reason = "QUOTA_STEPS"


class QuotaMaskCacheError(ResourceExhaustedError):
    reason = "QUOTA_MASK_CACHE"


class QuotaParameterBytesError(ResourceExhaustedError):
    reason = "QUOTA_PARAMETER_BYTES"


class QuotaBytesInFlightError(ResourceExhaustedError):
    reason = "QUOTA_BYTES_IN_FLIGHT"


class QuotaMessageBytesError(ResourceExhaustedError):
    reason = "QUOTA_MESSAGE_BYTES"


class QuotaSharedMemoryError(ResourceExhaustedError):
    reason = "QUOTA_SHARED_MEMORY"


class QuotaCallRateError(ResourceExhaustedError):
    reason = "QUOTA_CALL_RATE"


class QuotaStreamsError(ResourceExhaustedError):
    reason = "QUOTA_STREAMS"


class RegionBrokenError(FailedPreconditionError):
    reason = "REGION_BROKEN"


class StoreUnavailableError(UnavailableError):
    reason = "STORE_UNAVAILABLE"


class StoreCorruptError(DataLossError):
    reason = "STORE_CORRUPT"


class StoreFormatNewerError(FailedPreconditionError):
    reason = "STORE_FORMAT_NEWER"


class DrainingError(UnavailableError):
    reason = "DRAINING"


class VariantUnsupportedError(UnsupportedError):
    reason = "VARIANT_UNSUPPORTED"


class RpcUnsupportedError(UnsupportedError):
    reason = "RPC_UNSUPPORTED"


class CompressionUnsupportedError(UnsupportedError):
    reason = "COMPRESSION_UNSUPPORTED"


def _leaves(base: Type[DropoutError]) -> Dict[str, Type[DropoutError]]:
    found = {base.reason: base} if base.reason else {}
    for child in base.__subclasses__():
        found.update(_leaves(child))
    return found


_BY_CODE = {cls.code: cls for cls in DropoutError.__subclasses__()}
_BY_REASON = _leaves(DropoutError)


def make_error(code: grpc.StatusCode, reason: str, message: str) -> DropoutError:
    """The exception for a status; a reason that this version does not know: its code's class."""
    cls = _BY_REASON.get(reason)
    if cls is None or cls.code != code:
        cls = _BY_CODE.get(code, DropoutError)
    return cls(message, code, reason)


def from_rpc_error(error: grpc.RpcError) -> DropoutError:
    """The exception for what gRPC raised; also for grpc.aio's errors."""
    reason = ""
    for key, value in error.trailing_metadata() or ():
        if key == REASON_METADATA:
            reason = value.decode() if isinstance(value, bytes) else value
    return make_error(error.code(), reason, error.details() or "")
