"""Modules for PyTorch whose masks come from a server.

    with Client("127.0.0.1:50051") as client, client.create_session(seed=1) as session:
        model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(),
                              RemoteDropout(0.5, session=session), nn.Linear(128, 10))

They follow train() and eval(), count their own steps and take part in autograd. RemoteLayer says
how, and how workers share a session.
"""

from ._layer import RemoteLayer, default_session
from ._modules import (RemoteAlphaDropout, RemoteDropBlock, RemoteDropout,
                       RemoteFeatureAlphaDropout, RemoteGaussianDropout, RemoteSpatialDropout)

__all__ = ["RemoteAlphaDropout", "RemoteDropBlock", "RemoteDropout", "RemoteFeatureAlphaDropout",
           "RemoteGaussianDropout", "RemoteLayer", "RemoteSpatialDropout", "default_session"]
