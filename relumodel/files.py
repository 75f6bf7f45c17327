"""Reading a file so that whatever is wrong with it is a `FileError`, and writing one so that nothing is lost: the new one replaces the
old one only when it is whole."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from .errors import FileError, InputTypeError


def as_path(path: Any, what: str = "path") -> Path:
    """A path as users give it, text or an `os.PathLike`; anything else is an `InputTypeError`."""
    try:
        out = os.fspath(path)
    except TypeError:
        out = None
    if not isinstance(out, str):
        raise InputTypeError(f"A {what} is given by its path, text or a pathlib.Path; got {path!r}.")
    try:
        named = b"\0" not in os.fsencode(out)
    except UnicodeEncodeError:
        named = False
    if not named:
        raise FileError(f"{out!r} is no name that a file can have.")
    return Path(out)


def read_bytes(path: Any, what: str) -> tuple[Path, bytes]:
    """The path and the content of a file. what : its kind, for the error of something that is no path."""
    path = as_path(path, what)
    try:
        return path, path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error
    except MemoryError as error:
        raise FileError(f"{path} cannot be read: it does not fit into the memory.") from error


def read_text(path: Any, what: str) -> tuple[Path, str]:
    """The same for UTF-8, with or without a byte order mark."""
    path, raw = read_bytes(path, what)
    try:
        return path, raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not UTF-8 text, so it is not a text file that could be a {what}.") from error


def parse_json(text: str) -> Any:
    """The value of a JSON text, or a ValueError (also for one that is nested too deeply, and for numbers of thousands of digits)."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def replace_file(path: str | Path, write: Callable[[IO[bytes]], Any]) -> Path:
    """Call `write` on a temporary file beside `path`, then move it into place. A broken write leaves the old file."""
    path = as_path(path, "file to write")
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            write(file)
            file.flush()
            os.fsync(file.fileno())
        _keep_usual_mode(temporary)
        os.replace(temporary, path)
    except FileError:  # of another file, written on the way
        raise
    except OSError as error:
        raise FileError(
            f"{path} cannot be written: {error.strerror or error}. Check that the folder exists and is writable."
        ) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
    return path


def _keep_usual_mode(name: str) -> None:
    """Temporary files are private; give the file the mode that open() would have."""
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(name, 0o666 & ~umask)
