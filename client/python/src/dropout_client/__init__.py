"""The client of dropoutd, a server that holds dropout layers.

    from dropout_client import Client

    with Client("127.0.0.1:50051") as client, client.create_session(seed=1) as session:
        hidden = session.create_layer("hidden", p=0.5)
        y = hidden.forward(x, step=0).output

AsyncClient is the same for asyncio; dropout_client.torch has modules for PyTorch.
"""

from ._transport import Tls
from .aio import AsyncClient, AsyncLayer, AsyncSession
from .client import Client, Layer, Session
from .errors import (AlreadyExistsError, CancelledError, CompressionUnsupportedError, DataLossError,
                     DeadlineExceededError, DrainingError, DropoutError, FailedPreconditionError, InternalError,
                     InvalidArgumentError, InvalidLayerError, InvalidRequestError,
                     InvalidSessionError, InvalidTensorError, LayerExistsError, LayerNotFoundError,
                     ModeError, NotFoundError, ParametersRequiredError, PermissionDeniedError,
                     QuotaBytesInFlightError, QuotaCallRateError, QuotaLayersError,
                     QuotaMaskCacheError, QuotaMessageBytesError, QuotaParameterBytesError,
                     QuotaSessionsError, QuotaSharedMemoryError, QuotaStepsError,
                     QuotaStreamsError, RecomputationError, RegionBrokenError, RegionNotFoundError,
                     ResourceExhaustedError, RpcUnsupportedError, SequenceRequiredError,
                     SessionExistsError, SessionNotFoundError, ShapeMismatchError,
                     StepNotFoundError, StepRequiredError, StoreCorruptError,
                     StoreFormatNewerError, StoreUnavailableError, UnauthenticatedError,
                     UnavailableError, UnsupportedError, VariantUnsupportedError)
from .layers import (Alpha, Concrete, ConnectTarget, CosineSchedule, CurriculumSchedule,
                     DepthMode, DropBlock, DropConnect, Dropout, FeatureAlpha, Gamma, Gaussian,
                     Generator, LayerConfig, LinearSchedule, MaskScope, Mode, Normalization,
                     PiecewiseSchedule, Recurrent, Scaling, Spatial, StochasticDepth, Variational)
from .memory import keep_freed_memory
from .results import BackwardResult, ForwardResult, Mask, ServerInfo, SessionInfo
from .retry import RetryPolicy
from .shared_memory import SharedMemory
from .tensor import DataType, Tensor

__version__ = "0.1.0"

__all__ = ["keep_freed_memory",
           *(name for name in dir() if not name.startswith("_") and name[0].isupper())]
