"""Warm-up requests: what TF Serving reads from the folder is what it would be sent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.manifest import VISION_DIR, read_manifest
from models.quiet_import import import_tensorflow
from models.warmup import BATCH_SIZES, WARMUP_FILE, write_warmup

tf = import_tensorflow()


def test_the_recorded_requests_run_through_the_graph(tiny_bundle: Path) -> None:
    """Each record is a PredictionLog whose inputs the named signature takes, in several sizes."""
    from tensorflow_serving.apis import prediction_log_pb2

    signatures = tf.saved_model.load(str(tiny_bundle / VISION_DIR)).signatures
    sizes = []
    for record in tf.data.TFRecordDataset(str(tiny_bundle / VISION_DIR / WARMUP_FILE)):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
        answer = signatures[request.model_spec.signature_name](**inputs)
        sizes.append(len(answer["vision_id"]))
        assert request.model_spec.name == "sightline"
        assert np.isfinite(answer["joint_embedding"]).all()

    assert tuple(sizes) == BATCH_SIZES


def test_the_requests_are_a_part_of_the_bundle(tiny_bundle: Path) -> None:
    """Their hash is among those of the files, so a damaged one is noticed."""
    assert f"{VISION_DIR}/{WARMUP_FILE}" in read_manifest(tiny_bundle).files


def test_a_bundle_can_be_made_without_the_messages_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TF Serving then warms up on the first request, as it would without the file."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert not write_warmup(tmp_path, serving_name="sightline")
    assert list(tmp_path.iterdir()) == []
