"""Requests that TF Serving answers to itself before it takes any other, so that nobody waits for the first ones.

TF Serving reads them from the SavedModel's folder, as a TFRecord of PredictionLog. The photo in them is computed:
no photograph of anyone travels with a bundle.
"""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

import numpy as np
from PIL import Image

from models.quiet_import import import_tensorflow
from models.saved_model import FILES_SIGNATURE

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
BATCH_SIZES = (1, 2, 16)  # a search, a few, and as many as the remote encoder sends at once


def write_warmup(vision_dir: Path, *, serving_name: str) -> bool:
    """Write the requests beside a SavedModel; False where the messages' package is not installed."""
    if importlib.util.find_spec("tensorflow_serving") is None:
        return False
    tf = import_tensorflow()
    path = vision_dir / WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    photo = synthetic_photo()
    with tf.io.TFRecordWriter(str(path)) as records:
        for size in BATCH_SIZES:
            records.write(_prediction_log([photo] * size, serving_name))
    return True


def _prediction_log(photos: list[bytes], serving_name: str) -> bytes:
    tf = import_tensorflow()
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = serving_name, FILES_SIGNATURE
    request.inputs["photos"].CopyFrom(tf.make_tensor_proto(photos, dtype=tf.string))
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    return bytes(log.SerializeToString())


def synthetic_photo(width_px: int = 640, height_px: int = 480) -> bytes:
    """A JPEG file of soft coloured clouds, the same on every machine as far as the codec is."""
    noise = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
    clouds = Image.fromarray(noise).resize((width_px, height_px), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    clouds.save(file, "JPEG", quality=80)
    return file.getvalue()
