"""Compiled problems, kept while the data they were compiled for is in use."""

from __future__ import annotations

import hashlib
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np

from relumodel.backend import Program
from relumodel.functions.base import SampleLoss
from relumodel.maps.base import Identity
from relumodel.program.program import Term

from .compiled import CompiledProgram, compile_program, own_rows, pattern

#: Compiled problems hold the data a second time, so few are kept.
SIZE = 4


class Cache:
    """The last few compiled problems. Each goes away with the linear maps it was compiled from."""

    def __init__(self) -> None:
        self._held: OrderedDict[Any, CompiledProgram] = OrderedDict()

    def find(self, program: Program) -> CompiledProgram:
        """The compiled problem of a program's structure, compiled now if there is none."""
        key = tuple(_structure(term) for term in program.terms)
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        compiled = compile_program(program)
        self._held[key] = compiled
        while len(self._held) > SIZE:
            self._held.popitem(last=False)
        for term in program.terms:
            if not isinstance(term.map, Identity):
                weakref.finalize(term.map, self._held.pop, key, None).atexit = False
        return compiled

    def __len__(self) -> int:
        return len(self._held)


def _structure(term: Term) -> tuple[Any, ...]:
    """What is constant in the compiled term: its linear map, by identity, and its rows, by content."""
    rows, function = own_rows(term), term.function
    digest = hashlib.blake2b()
    for piece in rows.pieces:
        digest.update(f"{piece.kind} {list(piece.sizes)}".encode())
        for part in (piece.on_z, piece.on_t):
            arrays = (part,) if isinstance(part, float) else (part.shape, part.indptr, part.indices, part.data)
            for array in arrays:
                digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(piece.b.tobytes())
    for values in (rows.cost, rows.quadratic):
        at, shape = pattern(values)
        digest.update(at.tobytes() + repr(shape).encode())
    flags = ((function.sigma == 1).all(), function.tau.any()) if isinstance(function, SampleLoss) else ()
    of_map = ("identity", term.map.size) if isinstance(term.map, Identity) else id(term.map)
    return term.name, of_map, type(function).__name__, digest.digest(), *map(bool, flags)
