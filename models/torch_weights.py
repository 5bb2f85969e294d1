"""Read the tensors of a PyTorch checkpoint without PyTorch, and without running what a pickle could run."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stream_app.errors import BundleError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
STORAGE_DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "DoubleStorage": np.dtype("<f8"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}


class LazyStorage:
    """Numbers that are named in the pickle and read after it: `array` is filled in later."""

    def __init__(self, dtype: np.dtype, length: int) -> None:
        self.dtype, self.length = dtype, length
        self.array: np.ndarray | None = None


class LazyTensor:
    """A view (offset, shape, strides in elements) of a storage that may not have been read yet."""

    def __init__(self, storage: LazyStorage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> np.ndarray:
        """The tensor as a contiguous numpy array."""
        source = self.storage.array
        if source is None:
            raise BundleError("The weights file names a tensor that it does not hold")
        self._check_inside(len(source))
        steps = tuple(stride * source.itemsize for stride in self.strides)
        view = np.lib.stride_tricks.as_strided(source[self.offset :], self.shape, steps, writeable=False)
        return np.ascontiguousarray(view).reshape(self.shape)

    def _check_inside(self, length: int) -> None:
        # as_strided reads any memory it is told to, so a damaged or hostile file is stopped here.
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if self.offset < 0 or min(self.strides, default=0) < 0 or min(self.shape, default=1) < 1 or last >= length:
            raise BundleError("The weights file has a tensor that reaches outside its numbers")


class TensorUnpickler(pickle.Unpickler):
    """An unpickler that knows tensors and ordered dictionaries, and refuses every other name."""

    def __init__(self, file: BinaryIO, storages: dict[str, LazyStorage]) -> None:
        super().__init__(file)
        self.storages = storages

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for an allowed global; BundleError for all others."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: LazyTensor(storage, offset, shape, strides)
        if module == "torch" and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]
        raise BundleError("The weights file asks for code that is not a tensor", received=f"{module}.{name}")

    def persistent_load(self, pid: Any) -> LazyStorage:
        """The storage that a persistent id names: ('storage', dtype, key, location, length, ...)."""
        kind, dtype, key, _, length = pid[:5]
        if kind != "storage":
            raise BundleError("The weights file refers to something that is no storage", received=str(kind))
        return self.storages.setdefault(str(key), LazyStorage(dtype, int(length)))


def read_torch_weights(path: Path) -> dict[str, np.ndarray]:
    """The named tensors of a `.pth` state dictionary, old format or zip; BundleError when it is neither."""
    try:
        tensors = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
        return {name: tensor.array() for name, tensor in tensors.items()}
    except BundleError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise BundleError(
            f"The weights file {path.name} cannot be read",
            received=f"{type(error).__name__}: {error}",
            remedy="Install its package again.",
        ) from error


def _read_legacy(path: Path) -> dict[str, LazyTensor]:
    """The format before PyTorch 1.6: five pickles, then each storage as a length and raw numbers."""
    storages: dict[str, LazyStorage] = {}
    with path.open("rb") as file:
        if TensorUnpickler(file, storages).load() != LEGACY_MAGIC:
            raise BundleError(f"The weights file {path.name} is no PyTorch checkpoint")
        TensorUnpickler(file, storages).load()  # protocol version
        TensorUnpickler(file, storages).load()  # sizes of the machine that wrote it
        tensors = TensorUnpickler(file, storages).load()
        for key in TensorUnpickler(file, storages).load():
            length = int.from_bytes(file.read(8), "little")
            storage = storages[str(key)]
            storage.array = np.frombuffer(file.read(length * storage.dtype.itemsize), storage.dtype)
    return tensors


def _read_zip(path: Path) -> dict[str, LazyTensor]:
    """The format since PyTorch 1.6: a zip with `data.pkl` and one file of raw numbers per storage."""
    storages: dict[str, LazyStorage] = {}
    with zipfile.ZipFile(path) as archive:
        pickle_name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        root = pickle_name.removesuffix("data.pkl")
        tensors = TensorUnpickler(io.BytesIO(archive.read(pickle_name)), storages).load()
        for key, storage in storages.items():
            storage.array = np.frombuffer(archive.read(f"{root}data/{key}"), storage.dtype)
    return tensors
