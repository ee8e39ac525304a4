"""Reads the tensors of a PyTorch weight file (.pth, the format before PyTorch 1.6) with NumPy alone.

Such a file is a row of pickles: magic number, protocol version, facts about the machine,
the object with its tensors as references, the list of storage keys; then the storages
themselves, each as a 64-bit count and the raw little-endian numbers.
The unpickler knows six names and refuses every other, so that a file cannot run code.
"""

import collections
import pickle
import struct
from pathlib import Path

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
STORAGE_DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}


class _Storage:
    """The numbers that one or several tensors look into; filled after the pickles are read."""

    def __init__(self, dtype: np.dtype, count: int):
        self.dtype = dtype
        self.count = count
        self.data: np.ndarray | None = None


class _Tensor:
    """Where a tensor lies in its storage."""

    def __init__(self, storage: _Storage, offset: int, size: tuple, stride: tuple):
        self.storage = storage
        self.offset = offset
        self.size = size
        self.stride = stride

    def numpy(self) -> np.ndarray:
        data = self.storage.data
        strides = tuple(step * data.itemsize for step in self.stride)
        view = np.lib.stride_tricks.as_strided(data[self.offset :], self.size, strides)
        return view.copy()


def _rebuild_tensor(storage, offset, size, stride, *_):
    return _Tensor(storage, offset, size, stride)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file):
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module, name):
        if module == "torch" and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return _rebuild_tensor
        if module == "collections" and name == "OrderedDict":
            return collections.OrderedDict
        raise pickle.UnpicklingError(f"the file asks for {module}.{name}, which no weight file needs")

    def persistent_load(self, reference):
        kind, dtype, key, _location, count, _view = reference
        if kind != "storage":
            raise pickle.UnpicklingError(f"unknown reference {kind}")
        return self.storages.setdefault(key, _Storage(dtype, count))


def read(path: Path) -> dict[str, np.ndarray]:
    """Name to array, in the order of the file."""
    with open(path, "rb") as file:
        if pickle.load(file) != MAGIC:
            raise ValueError(f"{path} is no PyTorch weight file of the format before 1.6")
        pickle.load(file)  # protocol version
        pickle.load(file)  # facts about the machine that wrote it
        unpickler = _Unpickler(file)
        tensors = unpickler.load()
        for key in pickle.load(file):
            storage = unpickler.storages[key]
            (count,) = struct.unpack("<q", file.read(8))
            if count != storage.count:
                raise ValueError(f"{path}: a storage has {count} numbers instead of {storage.count}")
            raw = file.read(count * storage.dtype.itemsize)
            storage.data = np.frombuffer(raw, dtype=storage.dtype, count=count)
    return {name: tensor.numpy() for name, tensor in tensors.items()}
