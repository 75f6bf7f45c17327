"""Program -> a file that other solvers read, and the JSON file that leads back."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from ..conic.assemble import assemble
from ..conic.size import form_bytes, instead
from ..errors import InputError
from ..files import as_path, replace_file
from ..program.program import Program
from ..resources.memory import require
from ..resources.progress import progress_bar
from .cbf import write_cbf
from .mps import refuse_cones, write_mps
from .sidecar import has_file, program_name, save_program

CONES = ("qcmatrix", "csection")


def write_program(program: Program, path: str | Path, cones: str, verbose: bool) -> Path:
    """See `Program.write`."""
    path = as_path(path, "file to write")
    kind, beside = file_kind(path)
    if cones not in CONES:
        raise InputError(f"cones must be 'qcmatrix' or 'csection'; got {cones!r}.")
    if kind == ".mps":
        refuse_cones(program.kinds)
    rebuilt = has_file(program)
    require(form_bytes(program), f"The conic form that {path.name} holds", instead(program))

    def write(file: IO[bytes]) -> None:
        form = assemble(program).form
        out, finish = _text(file, path)
        with progress_bar(form.A.nnz, path.name, verbose) as step:
            if kind == ".cbf":
                write_cbf(form, out, step)
            else:
                write_mps(form, program_name(program), out, step, cones)
        finish()
        # once the export is whole, so that the two always belong together
        if not rebuilt:
            beside.unlink(missing_ok=True)
            return
        replace_file(beside, lambda file: file.write(save_program(program, form.names)))

    return replace_file(path, write)


def file_kind(path: Path) -> tuple[str, Path]:
    """ ".cbf" or ".mps", and the path of the JSON file beside it."""
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    if plain.suffix not in (".cbf", ".mps"):
        raise InputError(f"The file's name must end in .cbf, .mps, .cbf.gz or .mps.gz; got {path.name!r}.")
    return plain.suffix, plain.with_suffix(".json")


def _text(file: IO[bytes], path: Path) -> tuple[Callable[[str], Any], Callable[[], Any]]:
    """How to write text on `file`, compressed for .gz (without a time in it: equal programs give equal files), and how to finish."""
    if path.suffix != ".gz":
        return lambda text: file.write(text.encode("ascii")), lambda: None
    packer = zlib.compressobj(level=3, wbits=31)  # 31: with the header and the checksum of gzip
    return lambda text: file.write(packer.compress(text.encode("ascii"))), lambda: file.write(packer.flush())
