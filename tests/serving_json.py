"""The JSON of TF Serving's predict API, in its row and its columnar form, as json_tensor.cc reads and writes it."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np


class BadRequest(Exception):
    """A body that is no request."""


def read_request(body: bytes) -> tuple[list[bytes], bool]:
    """The photos of a request, and whether it is in the row form."""
    try:
        request = json.loads(body)
        if "instances" in request:
            rows = request["instances"]
            return [base64.b64decode((row if "b64" in row else row["photos"])["b64"]) for row in rows], True
        if "inputs" not in request:
            raise BadRequest("Missing 'inputs' or 'instances' key")
        inputs = request["inputs"]
        values = inputs["photos"] if isinstance(inputs, dict) else inputs
        return [base64.b64decode(value["b64"]) for value in values], False
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"JSON Parse error: {error}") from error


def write_answer(outputs: dict[str, np.ndarray], by_row: bool) -> str:
    """The outputs in the form of the request."""
    columns = {name: [_value(each) for each in values] for name, values in outputs.items()}
    if not by_row:
        fields = ",".join(f'"{name}":[{",".join(values)}]' for name, values in columns.items())
        return f'{{"outputs":{{{fields}}}}}'
    rows = (
        "{" + ",".join(f'"{n}":{v[row]}' for n, v in columns.items()) + "}" for row in range(len(outputs["vision_id"]))
    )
    return f'{{"predictions":[{",".join(rows)}]}}'


def _value(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return "[" + ",".join(map(_value, value)) + "]"
    if isinstance(value, np.floating):
        return _decimal(value)
    return json.dumps(value.decode()) if isinstance(value, bytes) else str(value)


def _decimal(value: np.floating) -> str:
    """Six digits where they are enough to read the same number again, nine where not; NaN and Infinity as words."""
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    text = f"{value:.6g}"
    text = text if np.float32(text) == value else f"{value:.9g}"
    return text if "." in text or "e" in text else f"{text}.0"
