"""TF Serving's two protocols around a bundle's SavedModel, by servers that misbehave when they are told to.

    python tests/serving_servers.py BUNDLE --grpc-port 8500 --rest-port 8501 --failed 0.1 --delayed 0.1

gRPC is spoken by the stubs of tensorflow-serving-api; statuses, JSON and error texts are those of TF Serving's sources
(predict_util.cc, http_rest_api_handler.cc, json_tensor.cc, batch_scheduler_utils). One line on standard output says
that both answer. `--journal FILE` gets a line of JSON for every request: protocol, photos, what became of it.
`PUT /faults` (JSON, a fault's name and its share or value) changes what is misdone while the servers run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import tensorflow as tf
from aiohttp import web
from serving_json import BadRequest, read_request, write_answer
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

MODEL = "sightline"
SHARES = ("delayed", "failed", "cut_off", "wrong_shape", "not_finite", "wrong_vision_id")
NO_FAULTS: dict[str, Any] = dict.fromkeys(SHARES, 0.0) | {
    "delay_seconds": 1.0,
    "batch_max": 1_000,
    "refused_colour": "",  # photos of this colour, as rrggbb, spoil their batch
    "nan_colour": "",  # and these give NaN
    "tensor_content": False,  # TensorProto's bytes are filled, not its numbers
}
#: What a server under load, or one that is being replaced, answers: gRPC's status and the one that HTTP has for it.
FAILURES = (
    (grpc.StatusCode.UNAVAILABLE, 503, "The batch scheduling queue to which this task was submitted is full"),
    (grpc.StatusCode.DEADLINE_EXCEEDED, 504, "Timed out waiting for notification"),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, 429, "Too many requests"),
    (grpc.StatusCode.INTERNAL, 500, "Failed to run the model"),
)
STATUSES = {grpc.StatusCode.INVALID_ARGUMENT: 400, grpc.StatusCode.NOT_FOUND: 404}


class Refusal(Exception):
    """A request that TF Serving answers with an error; as gRPC's status and as HTTP's."""

    def __init__(self, code: grpc.StatusCode, text: str, http_status: int | None = None) -> None:
        super().__init__(text)
        self.code, self.text, self.http_status = code, text, http_status or STATUSES[code]


@dataclass
class Model:
    """The SavedModel, one batch at a time, and the faults that are asked for."""

    run_graph: Callable[..., dict[str, Any]]
    options: argparse.Namespace
    chance: random.Random
    threads: ThreadPoolExecutor

    @classmethod
    def load(cls, options: argparse.Namespace) -> Model:
        """Loads the graph; photos of no size trace it."""
        loaded = tf.saved_model.load(str(options.bundle / "saved_model" / "1"))
        return cls(loaded.signatures["serving_default"], options, random.Random(options.seed), ThreadPoolExecutor(1))

    async def predict(self, protocol: str, name: str, photos: list[bytes]) -> tuple[dict[str, np.ndarray], bool]:
        """The outputs, and whether they are to be cut off on their way; raises Refusal."""
        fault = self._fault()
        try:
            outputs = await self._outputs(name, photos, fault)
        except Refusal as refusal:
            self._note(protocol, photos, refusal.code.name)
            raise
        except asyncio.CancelledError:  # whoever asked waits no longer
            self._note(protocol, photos, fault or "cancelled")
            raise
        self._note(protocol, photos, fault or "answered")
        return outputs, fault == "cut_off"

    async def _outputs(self, name: str, photos: list[bytes], fault: str | None) -> dict[str, np.ndarray]:
        if name != MODEL:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Latest({name})")
        if fault == "delayed":
            await asyncio.sleep(self.options.delay_seconds)
        if fault == "failed":
            code, status, text = self.chance.choice(FAILURES)
            raise Refusal(code, text, status)
        if len(photos) > self.options.batch_max:
            limit = f"Task size {len(photos)} is larger than maximum input batch size {self.options.batch_max}"
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, limit)
        if any(_shows(photo, self.options.refused_colour) for photo in photos):
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "Input is not valid for this model")
        outputs = await asyncio.get_running_loop().run_in_executor(self.threads, self._run, photos)
        for row, photo in enumerate(photos):
            if _shows(photo, self.options.nan_colour):
                outputs["image_embedding"][row] = np.nan
        return _spoilt(outputs, fault)

    def _run(self, photos: list[bytes]) -> dict[str, np.ndarray]:
        try:
            outputs = self.run_graph(photos=tf.constant(photos, tf.string))
        except tf.errors.InvalidArgumentError as error:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, error.message) from error
        return {name: np.array(values) for name, values in outputs.items()}

    def _fault(self) -> str | None:
        """At most one fault a request, each with its share."""
        draw = self.chance.random()
        for name in SHARES:
            draw -= getattr(self.options, name)
            if draw < 0:
                return name
        return None

    def _note(self, protocol: str, photos: list[bytes], outcome: str) -> None:
        if self.options.journal:
            with self.options.journal.open("a") as journal:
                journal.write(json.dumps({"protocol": protocol, "photos": len(photos), "outcome": outcome}) + "\n")


def _shows(photo: bytes, colour: str) -> bool:
    """Whether the last pixel of a BMP file is of this colour; its bytes are blue, green, red."""
    return bool(colour) and photo[-3:] == bytes.fromhex(colour)[::-1]


def _spoilt(outputs: dict[str, np.ndarray], fault: str | None) -> dict[str, np.ndarray]:
    if fault == "wrong_shape":
        outputs["image_embedding"] = outputs["image_embedding"][:, :-1]
    if fault == "not_finite":
        outputs["image_embedding"][0, 0] = np.inf
    if fault == "wrong_vision_id":
        outputs["vision_id"] = np.full(len(outputs["vision_id"]), b"0123456789ab", object)
    return outputs


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """The gRPC side."""

    def __init__(self, model: Model) -> None:
        self._model = model

    async def Predict(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """One prediction."""
        try:
            if "photos" not in request.inputs:
                raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "input tensor alias not found in signature: photos")
            photos = list(request.inputs["photos"].string_val)
            outputs, cut_off = await self._model.predict("grpc", request.model_spec.name, photos)
        except Refusal as refusal:
            await context.abort(refusal.code, refusal.text)
        answer = predict_pb2.PredictResponse()
        answer.model_spec.name, answer.model_spec.signature_name = MODEL, "serving_default"
        answer.model_spec.version.value = 1
        for name in request.output_filter or outputs:
            answer.outputs[name].CopyFrom(_tensor(outputs[name], self._model.options.tensor_content))
        data = answer.SerializeToString()
        return data[: len(data) // 2] if cut_off else data


def _tensor(values: np.ndarray, as_content: bool) -> Any:
    """As TF Serving fills it: one number after another, or all of it as bytes where it is started so."""
    tensor = tf.make_tensor_proto(values)
    if as_content or values.dtype == object:
        return tensor
    field = {np.dtype(np.float32): tensor.float_val, np.dtype(np.int32): tensor.int_val}[values.dtype]
    tensor.tensor_content = b""
    del field[:]
    field.extend(values.ravel().tolist())
    return tensor


def add_service(server: grpc.aio.Server, service: PredictionService) -> None:
    """As the stubs do it, but for answers that are bytes already, so that they can be cut off."""
    predict = grpc.unary_unary_rpc_method_handler(
        service.Predict, request_deserializer=predict_pb2.PredictRequest.FromString
    )
    handlers = {"Predict": predict}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", handlers),)
    )


class RestApi:
    """The REST side."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def application(self) -> web.Application:
        """Its routes; TF Serving has no limit of a body's size, a proxy in front of it has."""
        limit = self._model.options.message_bytes_max
        application = web.Application(client_max_size=limit if limit > 0 else 2**30)
        application.router.add_post(r"/v1/models/{name:[^/:]+}{version:(/versions/\d+)?}:predict", self.predict)
        application.router.add_get(r"/v1/models/{name:[^/:]+}", self.status)
        application.router.add_put("/faults", self.misbehave)
        return application

    async def predict(self, request: web.Request) -> web.StreamResponse:
        """One prediction, in the row or in the columnar form."""
        body = await request.read()
        try:
            photos, by_row = read_request(body)
        except BadRequest as bad:
            return _error(str(bad), 400)
        try:
            outputs, cut_off = await self._model.predict("rest", request.match_info["name"], photos)
        except Refusal as refusal:
            return _error(refusal.text, refusal.http_status)
        if not cut_off:
            return _json(write_answer(outputs, by_row))
        return await _cut_off(request, write_answer(outputs, by_row))

    async def misbehave(self, request: web.Request) -> web.StreamResponse:
        """Change the faults; those that are not named are none any more."""
        vars(self._model.options).update(NO_FAULTS | await request.json())
        return web.Response()

    async def status(self, request: web.Request) -> web.StreamResponse:
        """GetModelStatus."""
        if (name := request.match_info["name"]) != MODEL:
            return _error(f"Could not find any versions of model {name}", 404)
        status = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        return _json(json.dumps({"model_version_status": [status]}, indent=1))


def _error(text: str, status: int) -> web.Response:
    return _json(json.dumps({"error": text}, indent=4), status)


def _json(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="application/json")


async def _cut_off(request: web.Request, text: str) -> web.StreamResponse:
    """Half of an answer, and then the connection is gone."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(text))})
    await response.prepare(request)
    await response.write(text.encode()[: len(text) // 2])
    if request.transport is not None:
        request.transport.abort()
    return response


async def serve(options: argparse.Namespace) -> None:
    """Both servers, until SIGTERM."""
    model = await asyncio.to_thread(Model.load, options)
    limit = ("grpc.max_receive_message_length", options.message_bytes_max)
    server = grpc.aio.server(options=[limit, ("grpc.so_reuseport", 0)])
    add_service(server, PredictionService(model))
    server.add_insecure_port(f"127.0.0.1:{options.grpc_port}")
    runner = web.AppRunner(RestApi(model).application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.rest_port).start()
    await server.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print("serving", flush=True)
    await stopped.wait()
    await server.stop(None)
    await runner.cleanup()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--grpc-port", type=int, required=True)
    parser.add_argument("--rest-port", type=int, required=True)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--message-bytes-max", type=int, default=-1)
    for name, value in NO_FAULTS.items():
        kind = type(value)
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=kind,
            default=value,
            help="share of the requests" if kind is float else None,
        )
    options = parser.parse_args()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(serve(options))


def _end_with_parent() -> None:
    """Leave when whoever holds the other end of standard input has gone, however it went."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
