"""TF Serving's PredictionService over gRPC."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import grpc
import grpc.aio
import numpy as np

from models.serving_protocol import (
    ANSWER_BYTES_MAX,
    INPUT,
    OUTPUTS,
    AnswerWrong,
    Outputs,
    RequestRefused,
    ServerAway,
    ServerUnfit,
    ServingAddress,
)
from stream_app.errors import SettingsError

OPTIONS = (
    ("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
    ("grpc.max_send_message_length", -1),  # the server has its own limit, and says so
    ("grpc.enable_retries", 0),  # two that retry would multiply
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 5_000),  # by default a server may be back for two minutes, unnoticed
)
AWAY = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,  # a connection that is cut off in the middle of an answer
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DATA_LOSS,
)
REFUSED = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE)
TOO_LARGE = "larger than max"  # how gRPC words a message over a limit, with the status of a server short of room
STRING, FLOAT, INT32, INT64 = 7, 1, 3, 9  # DataType of tensorflow/core/framework/types.proto


class GrpcTransport:
    """A connection that is made with the first request, and again whenever it was lost."""

    def __init__(self, address: ServingAddress) -> None:
        self._address = address
        self._predict_pb2, self._service = load_stubs()
        self._channel: grpc.aio.Channel | None = None
        self._stub: Any = None

    async def predict(self, photos: Sequence[bytes], timeout_seconds: float) -> Outputs:
        """The outputs of the default signature; raises what models.serving_protocol lists."""
        request = self._request(photos)
        try:
            answer = await self._connected().Predict(request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from error
        if answer is None:  # what gRPC makes of bytes that it cannot read
            raise AnswerWrong("an answer that is no PredictResponse")
        return {name: _array(name, answer.outputs[name]) for name in OUTPUTS if name in answer.outputs}

    async def close(self) -> None:
        """Close the connection."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    def _connected(self) -> Any:
        if self._channel is None:  # here and not in __init__: a channel belongs to the loop it was made in
            address = self._address.host_and_port
            if self._address.secure:
                self._channel = grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(), options=OPTIONS)
            else:
                self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
            self._stub = self._service.PredictionServiceStub(self._channel)
        return self._stub

    def _request(self, photos: Sequence[bytes]) -> Any:
        request = self._predict_pb2.PredictRequest()
        request.model_spec.name = self._address.model
        request.model_spec.signature_name = "serving_default"
        request.output_filter.extend(OUTPUTS)
        tensor = request.inputs[INPUT]
        tensor.dtype = STRING
        tensor.tensor_shape.dim.add().size = len(photos)
        tensor.string_val.extend(photos)
        return request


def _failure(error: grpc.aio.AioRpcError) -> Exception:
    code, text = error.code(), f"{error.code().name}: {error.details()}"[:300]
    if code in REFUSED or (code == grpc.StatusCode.RESOURCE_EXHAUSTED and TOO_LARGE in text):
        return RequestRefused(text)
    return ServerAway(text) if code in AWAY else ServerUnfit(text)


def _array(name: str, tensor: Any) -> Any:
    """A TensorProto as an array, or as a list of bytes; a server may fill either of two of its fields."""
    shape = [each.size for each in tensor.tensor_shape.dim]
    if tensor.dtype == STRING:
        return list(tensor.string_val)
    fields = {FLOAT: ("float_val", np.float32), INT32: ("int_val", np.int32), INT64: ("int64_val", np.int64)}
    if tensor.dtype not in fields:
        raise AnswerWrong(f"{name} of data type {tensor.dtype}")
    field, kind = fields[tensor.dtype]
    try:
        content = tensor.tensor_content
        values = np.frombuffer(content, kind) if content else np.array(getattr(tensor, field), kind)
        return values.reshape(shape)
    except ValueError as error:
        raise AnswerWrong(f"{name} whose values do not fill its shape {shape}") from error


def load_stubs() -> tuple[ModuleType, ModuleType]:
    """`predict_pb2` and `prediction_service_pb2_grpc` of tensorflow-serving-api; raises SettingsError without it."""
    try:
        with _tensorflow_left_out():
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
    except ImportError as error:
        raise SettingsError(
            "A remote encoder over gRPC needs the package tensorflow-serving-api",
            received=str(error),
            remedy="pip install --no-deps tensorflow-serving-api, or use rest:// instead.",
        ) from error
    return predict_pb2, prediction_service_pb2_grpc


@contextmanager
def _tensorflow_left_out() -> Iterator[None]:
    """Let the stubs import the messages below `tensorflow.core` alone, which are plain protobuf.

    They would bring in the whole of TensorFlow: 550 MB and three seconds in a process that computes nothing. An empty
    package stands in its place meanwhile, and is gone afterwards with all below it, so that TensorFlow itself can be
    imported later as ever.
    """
    spec = importlib.util.find_spec("tensorflow") if "tensorflow" not in sys.modules else None
    if spec is None or not spec.submodule_search_locations:  # imported already, or not to be had
        yield
        return
    stand_in = ModuleType("tensorflow")
    stand_in.__path__ = list(spec.submodule_search_locations)
    sys.modules["tensorflow"] = stand_in
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "tensorflow"]:
            del sys.modules[name]
