"""The files of deploy/serving, as far as they can be held against the program without a container."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from album_process import colour_photo
from serving_process import ServingProcess

from models.encoder import Encoding, LocalEncoder
from models.serving_protocol import MODEL, PORTS
from stream_app.settings import Settings

FOLDER = Path(__file__).parent.parent / "deploy" / "serving"


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    """The one service of the compose file."""
    return dict(yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["serving"])


@pytest.fixture(scope="module")
def servers(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    running = ServingProcess(tiny_bundle, tmp_path_factory.mktemp("serving"))
    yield running
    running.kill()


def test_names_and_ports_are_those_that_an_address_has_by_default(service: dict[str, Any]) -> None:
    assert service["environment"]["MODEL_NAME"] == MODEL
    assert service["ports"] == [f"127.0.0.1:{port}:{port}" for port in PORTS.values()]
    assert [each.split(":")[-2] for each in service["volumes"]] == [f"/models/{MODEL}", "/config/batching.config"]


def test_a_workers_batch_fits_into_a_batch_of_the_server() -> None:
    """And the largest size that is allowed is the largest that there is, as TF Serving demands."""
    text = (FOLDER / "batching.config").read_text()
    [batch_max] = [int(each) for each in re.findall(r"max_batch_size \{ value: (\d+) \}", text)]
    allowed = [int(each) for each in re.findall(r"^allowed_batch_sizes: (\d+)$", text, re.MULTILINE)]

    assert Settings().encoder_batch_size <= batch_max
    assert allowed == sorted(allowed) and allowed[-1] == batch_max


def test_the_health_check_knows_a_server_with_the_model(service: dict[str, Any], servers: ServingProcess) -> None:
    """Its own command, on a server's port: well, of another model, and of nobody."""
    script = service["healthcheck"]["test"][-1]

    def runs(port: int, model: str = MODEL) -> bool:
        command = script.replace("8501", str(port)).replace(f"models/{MODEL}", f"models/{model}")
        return subprocess.run(["bash", "-c", command], capture_output=True, timeout=30).returncode == 0

    assert [runs(servers.rest_port), runs(servers.rest_port, "other"), runs(1)] == [True, False, False]


def test_anybody_may_send_a_whole_photo_by_hand(servers: ServingProcess, tiny_bundle: Path) -> None:
    """The row form, as deploy/README.md shows it: the server cuts the square itself, and sees nearly the same."""
    photo = colour_photo("green", 1, "JPEG")
    body = json.dumps({"instances": [{"photos": {"b64": base64.b64encode(photo).decode()}}]}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{servers.rest_port}/v1/models/{MODEL}:predict", body) as reply:
        [prediction] = json.load(reply)["predictions"]
    [ours] = LocalEncoder(tiny_bundle).encode_images([photo])

    assert isinstance(ours, Encoding)
    assert np.abs(np.array(prediction["image_embedding"]) - ours.image_embedding).max() < 0.01
    assert prediction["label_indices"][0] == ours.label_indices[0]
