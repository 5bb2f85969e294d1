"""Write PyTorch's state files without PyTorch, opcode by opcode, for tests of the reader."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np


def write_state(path: Path, state: dict[str, np.ndarray]) -> Path:
    """A state dictionary in the zip format, as `torch.save` writes it since 1.6."""
    body = io.BytesIO()
    body.write(pickle.PROTO + b"\x02" + b"ccollections\nOrderedDict\n" + b")R(")
    for number, (name, array) in enumerate(state.items()):
        body.write(_text(name) + _tensor(str(number), array))
    body.write(b"u.")  # SETITEMS, STOP
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", body.getvalue())
        for number, array in enumerate(state.values()):
            archive.writestr(f"net/data/{number}", np.ascontiguousarray(array, "<f4").tobytes())
    return path


def _tensor(key: str, array: np.ndarray) -> bytes:
    """_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks) as opcodes."""
    storage = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(key) + _text("cpu") + _int(array.size) + b"tQ"
    strides = [int(np.prod(array.shape[axis + 1 :])) for axis in range(array.ndim)]
    hooks = b"ccollections\nOrderedDict\n)R"
    numbers = _int(0) + _tuple(array.shape) + _tuple(strides)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + numbers + b"\x89" + hooks + b"tR"


def _text(text: str) -> bytes:
    encoded = text.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(encoded)) + encoded


def _int(value: int) -> bytes:
    return pickle.BININT + struct.pack("<i", value)


def _tuple(values: list[int] | tuple[int, ...]) -> bytes:
    return b"(" + b"".join(_int(value) for value in values) + b"t"
