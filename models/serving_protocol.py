"""What a request to TF Serving is about, whichever protocol carries it: the address, the answer, what can go wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np

from models.manifest import BundleManifest
from stream_app.errors import SettingsError

INPUT = "photos"
OUTPUTS = ("image_embedding", "label_scores", "label_indices", "vision_id")
ANSWER_BYTES_MAX = 64 * 2**20  # sixteen photos' answers are half a megabyte: a longer one is no answer of ours
PORTS = {"grpc": 8500, "rest": 8501}
MODEL = "sightline"
FORM = "grpc://host:port/model or rest://host:port/model (grpcs, rests: over TLS)"

Outputs = Mapping[str, Any]  # by name: arrays, or nested lists


class ServerAway(Exception):
    """No answer, or one that says "not now": the same request may go well in a moment."""


class ServerUnfit(Exception):
    """An answer that will be the same in a moment: no such model, no such signature, no permission."""


class RequestRefused(Exception):
    """The server refuses this request, as too large or bad; a smaller one may be taken."""


class AnswerWrong(Exception):
    """An answer that makes no sense, of other shapes for instance."""


class OtherModel(AnswerWrong):
    """An answer of a model that is not the bundle's."""


class Transport(Protocol):
    """One way to reach a server. Whatever fails comes out as one of the exceptions above."""

    async def predict(self, photos: Sequence[bytes], timeout_seconds: float) -> Outputs:
        """The outputs of the default signature for some image files."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class ServingObserver(Protocol):
    """Who is told how it goes."""

    def asked(self, outcome: str, seconds: float) -> None:
        """A request ended: answered, not_finite (for some photo), away, unfit, refused, wrong or cancelled."""
        ...

    def circuit_changed(self, is_open: bool) -> None:
        """The circuit opened (nobody is asked any more) or closed."""
        ...


class Unobserved:
    """Nobody is told."""

    def asked(self, outcome: str, seconds: float) -> None:
        """Nothing."""

    def circuit_changed(self, is_open: bool) -> None:
        """Nothing."""


@dataclass(frozen=True)
class ServingAddress:
    """Where a model is served: `kind` is grpc or rest."""

    kind: str
    secure: bool
    host_and_port: str
    model: str

    def __str__(self) -> str:
        return f"{self.kind}{'s' if self.secure else ''}://{self.host_and_port}/{self.model}"


def parse_address(text: str) -> ServingAddress:
    """The address that a setting holds; raises SettingsError on anything else."""
    try:
        parts = urlsplit(text)
        kind, port = parts.scheme.removesuffix("s"), parts.port
    except ValueError as error:
        raise _no_address(text, str(error)) from error
    model = parts.path.strip("/") or MODEL
    if kind not in PORTS or not parts.hostname or port == 0:
        raise _no_address(text)
    if parts.username or parts.password or parts.query or parts.fragment or "/" in model or ":" in model:
        raise _no_address(text, "more than a host, a port and a model")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return ServingAddress(kind, parts.scheme.endswith("s"), f"{host}:{port or PORTS[kind]}", model)


def _no_address(text: str, why: str | None = None) -> SettingsError:
    received = repr(text) + (f" ({why})" if why else "")
    return SettingsError("SIGHTLINE_ENCODER cannot be used", expected=f"local, or {FORM}", received=received)


@dataclass(frozen=True)
class Prediction:
    """What the server says of some photos; every array has a row for each."""

    image_embedding: np.ndarray  # float32 [n, d]
    label_scores: np.ndarray  # float32 [n, t], best first
    label_indices: np.ndarray  # int64 [n, t]
    finite: np.ndarray  # bool [n]: whether all numbers of the row are some


def read_prediction(outputs: Outputs, count: int, manifest: BundleManifest) -> Prediction:
    """The outputs for `count` photos as arrays; AnswerWrong unless they are just what the bundle's model answers."""
    missing = [name for name in OUTPUTS if name not in outputs]
    if missing:
        raise AnswerWrong(f"an answer without {', '.join(missing)}")
    _check_vision_id(outputs["vision_id"], count, manifest.vision_id)
    scores = _array(outputs, "label_scores", np.float32)
    _check_shape("label_scores", scores, (count, scores.shape[-1] if scores.ndim == 2 else 0))
    indices = _array(outputs, "label_indices", np.int64)
    _check_shape("label_indices", indices, scores.shape)
    embedding = _array(outputs, "image_embedding", np.float32)
    _check_shape("image_embedding", embedding, (count, manifest.image_dimensions))
    if not scores.shape[1] or indices.min() < 0 or indices.max() >= manifest.label_count:
        raise AnswerWrong(f"label_indices other than 0 to {manifest.label_count - 1}")
    return Prediction(embedding, scores, indices, _is_finite(scores) & _is_finite(embedding))


def _is_finite(rows: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # an encoding is float16: what that cannot hold is as good as infinite
        return np.asarray(np.isfinite(rows.astype(np.float16)).all(axis=1))


def _check_vision_id(received: Any, count: int, expected: str) -> None:
    if not isinstance(received, list) or len(received) != count:
        raise AnswerWrong(f"vision_id that is no list of {count}")
    ids = {each.decode(errors="replace") if isinstance(each, bytes) else str(each) for each in received}
    if others := sorted(ids - {expected}):
        raise OtherModel(others[0][:40])


def _array(outputs: Outputs, name: str, kind: Any) -> np.ndarray:
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large becomes infinite, and is marked as such
            return np.asarray(outputs[name], kind)
    except (ValueError, TypeError, OverflowError) as error:
        raise AnswerWrong(f"{name} that is no array of numbers") from error


def _check_shape(name: str, received: np.ndarray, expected: tuple[int, ...]) -> None:
    if received.shape != expected:
        raise AnswerWrong(f"{name} of shape {list(received.shape)}, where {list(expected)} was expected")
