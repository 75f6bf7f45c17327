"""Arrays of an .npz file: those that are asked for, each checked before it is read, and no others.

`np.savez` stores arrays as they are. So a part that is compressed is none of ours, and what is read is never more than the file holds:
neither a part that unpacks to many times its size nor a header that announces more than there is takes any memory.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The arrays of these names, where the file has them. Raises OSError, or ValueError and others for a damaged file."""
    with zipfile.ZipFile(path) as archive:
        held = {info.filename: info for info in archive.infolist()}
        return {name: _read(archive, held[f"{name}.npy"]) for name in names if f"{name}.npy" in held}


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise ValueError(f"{info.filename} in it is compressed, which relumodel never does")
    with archive.open(info) as file:
        shape, fortran, dtype = _header(file, info.filename)
        raw = file.read()
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(raw):
        raise ValueError(f"{info.filename} in it has {len(raw)} bytes where its shape {shape} needs another number")
    flat = np.frombuffer(raw, dtype=dtype).copy()
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"{name} in it is of an unknown version of the .npy format")
    shape, fortran, dtype = HEADERS[version](file)
    if dtype.hasobject or not dtype.itemsize:
        raise ValueError(f"{name} in it does not hold numbers or text")
    return shape, fortran, dtype
