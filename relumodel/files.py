"""Writing a file so that nothing is lost: the new one replaces the old one only when it is whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from .errors import FileError


def replace_file(path: str | Path, write: Callable[[IO[bytes]], Any]) -> Path:
    """Call `write` on a temporary file beside `path`, then move it into place. A broken write leaves the old file."""
    path = Path(path)
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
