"""Makes the conformance suite's calls through the Python client's own API."""

import asyncio
import base64
import inspect

from google.protobuf import json_format

import runner
from dropout_client import AsyncClient, Client, DataType, DropoutError, Mode, Tensor
from dropout_client._stubs.dropout.v1 import session_pb2, step_pb2
from dropout_client.layers import layer_from_message, layer_to_message


# --- Requests: from JSON to the client's values -------------------------------------------


def message(cls, request):
    return json_format.ParseDict(request, cls())


def optional(request, name):
    return getattr(request, name) if request.HasField(name) else None


def place(request):
    return {"step": optional(request, "step"), "sample_offset": request.sample_offset,
            "sequence_id": optional(request, "sequence_id")}


def tensor(value):
    return Tensor(value.dtype, tuple(value.shape), value.data)


# --- Answers: from the client's values to JSON --------------------------------------------


def text(data):
    return base64.b64encode(bytes(data)).decode()


def tensor_json(value):
    if not isinstance(value, Tensor):
        names = {2: DataType.FLOAT16, 4: DataType.FLOAT32, 8: DataType.FLOAT64}
        value = Tensor(names[value.dtype.itemsize], value.shape, value.tobytes())
    return {"dtype": "DATA_TYPE_" + DataType(value.dtype).name, "shape": list(value.shape),
            "data": text(value.data)}


def mask_json(mask):
    values = ({"bits": text(mask.bits)} if mask.multipliers is None
              else {"multipliers": tensor_json(mask.multipliers)})
    return {"shape": list(mask.shape), "scale": mask.scale,
            "sample_scales": list(mask.sample_scales), **values}


def layer_json(layer):
    fields = json_format.MessageToDict(layer_to_message(layer), preserving_proto_field_name=True)
    return {"p": 0.0, **fields, "revision": str(layer.revision)}


def session_json(session):
    return {"session_id": session.session_id, "seed": str(session.seed),
            "mode": "MODE_" + session.mode.name,
            "layers": [layer_json(layer) for layer in session.layers]}


def parameters_json(parameters):
    return [{"name": name, "value": tensor_json(value)} for name, value in parameters.items()]


# --- Calls --------------------------------------------------------------------------------


class Driver:
    """A driver of runner.py. `wait` turns what a method of the client returns into its value."""

    def __init__(self, client, wait=lambda value: value):
        self.client, self.wait = client, wait
        self.session = None

    def call(self, rpc, request):
        try:
            return getattr(self, rpc)(request)
        except DropoutError as error:
            raise runner.CallError(error.code.name, error.reason) from error

    def _layer(self, request):
        return self.session.layer(request.layer_id)

    def CreateSession(self, request):
        request = message(session_pb2.CreateSessionRequest, request)
        session = self.wait(self.client.create_session(
            request.session_id, seed=optional(request, "seed"),
            layers=[layer_from_message(layer) for layer in request.layers],
            mode=Mode(request.mode),
            ttl=request.ttl.ToTimedelta() if request.HasField("ttl") else None))
        self.session = session
        return session_json(self.wait(session.info()))

    def GetSession(self, request):
        return session_json(self.wait(self.session.info()))

    def DeleteSession(self, request):
        self.wait(self.client.delete_session(request["session_id"]))
        return {}

    def CreateLayer(self, request):
        layer = layer_from_message(message(session_pb2.CreateLayerRequest, request).layer)
        self.wait(self.session.add_layer(layer))
        layers = self.wait(self.session.info()).layers
        return layer_json(next(one for one in layers if one.layer_id == layer.layer_id))

    def UpdateLayer(self, request):
        layer = layer_from_message(message(session_pb2.UpdateLayerRequest, request).layer)
        return layer_json(self.wait(self.session.update_layer(layer)))

    def DeleteLayer(self, request):
        self.wait(self.session.layer(request["layer_id"]).delete())
        return {}

    def SetMode(self, request):
        request = message(session_pb2.SetModeRequest, request)
        ids = self.wait(self.session.set_mode(Mode(request.mode), list(request.layer_ids)))
        return {"layer_ids": ids, "mode": "MODE_" + Mode(request.mode).name}

    def Forward(self, request):
        request = message(step_pb2.ForwardRequest, request)
        answer = self.wait(self._layer(request).forward(
            tensor(request.input), **place(request), return_mask=request.return_mask))
        return {"output": tensor_json(answer.output), "mode": "MODE_" + answer.mode.name,
                "p": answer.p,
                **({} if answer.mask is None else {"mask": mask_json(answer.mask)})}

    def Backward(self, request):
        request = message(step_pb2.BackwardRequest, request)
        answer = self.wait(self._layer(request).backward(
            tensor(request.output_gradient), **place(request), release=request.release,
            weight_squared_norm=optional(request, "weight_squared_norm")))
        return {"input_gradient": tensor_json(answer.input_gradient),
                "parameter_gradients": parameters_json(answer.parameter_gradients)}

    def GetMask(self, request):
        request = message(step_pb2.GetMaskRequest, request)
        return mask_json(self.wait(
            self._layer(request).mask(shape=list(request.shape) or None, **place(request))))

    def ReleaseSteps(self, request):
        request = message(step_pb2.ReleaseStepsRequest, request)
        count = self.wait(self.session.release_steps(
            optional(request, "through_step"), request.layer_id))
        return {"released_count": str(count)}

    def SetParameters(self, request):
        request = message(step_pb2.SetParametersRequest, request)
        self.wait(self._layer(request).set_parameters(
            **{one.name: tensor(one.value) for one in request.parameters}))
        return {}

    def GetParameters(self, request):
        request = message(step_pb2.GetParametersRequest, request)
        return {"parameters": parameters_json(self.wait(self._layer(request).parameters()))}


def blocking(address):
    """The driver of the blocking client, and what ends it."""
    client = Client(address)
    return Driver(client), client.close


def asynchronous(address):
    """The driver of the asyncio client, one call at a time, and what ends it."""
    loop = asyncio.new_event_loop()

    async def connect():
        return AsyncClient(address)

    def wait(value):
        return loop.run_until_complete(value) if inspect.isawaitable(value) else value

    client = loop.run_until_complete(connect())

    def close():
        loop.run_until_complete(client.close())
        loop.close()

    return Driver(client, wait), close
