"""The JSON file beside an exported program: what it takes to rebuild the program, and to turn a solution into a network.

It holds the model, the training data and the patterns, every float64 with all its bits (little-endian, base64), and the names
of the variables in the order of the file's columns. Nothing in it is code.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ..declare.model import Model
from ..errors import FileError, InputError
from ..files import as_path, parse_json, read_text
from ..lift.lower import rebuild
from ..lift.outputs import OutputsInverse
from ..lift.polynomial import PolynomialInverse
from ..lift.problem import ProblemInverse
from ..lift.random_features import RandomFeaturesInverse
from ..lift.three_layer import ThreeLayerInverse
from ..lift.two_layer import TwoLayerInverse
from ..maps.crossing import CrossingMap
from ..patterns.pattern_set import PatternSet
from ..patterns.sub_networks import SubNetworks
from ..program.program import Program
from .sidecar_content import checked_data, checked_patterns

FORMAT = "relumodel program 1"

RECOVERY = "relumodel.load_program(this file).read_solution(solution file).network(). By hand: "


def save_program(program: Program, names: tuple[str, ...] | None = None) -> bytes:
    """The JSON text for a program. names : those of all columns of its conic form, or None for the program's own only."""
    parts, inverse = _parts(program), _inverse(program)
    _refuse_others(program, _rebuilt(parts))
    own = [name for variable in program.variables for name in variable.names()]
    by_hand = getattr(program.inverse, "by_hand", inverse.by_hand)
    text = {
        "format": FORMAT,
        "name": name_of(parts),
        "problem": str(program),
        "recovery": RECOVERY + by_hand,
        "variables": [{"name": v.name, "shape": list(v.shape)} for v in program.variables],
        **parts,
        "columns": own if names is None else list(names),
    }
    return (json.dumps(text, indent=1) + "\n").encode()


#: The name in files of what has no JSON file, and so no checksum of what it is made of.
PROBLEM = "relumodel-problem"


def has_file(program: Program) -> bool:
    """Whether a JSON file can hold the program: one of a model, data and patterns; problems of readings have none yet."""
    return not isinstance(program.inverse, ProblemInverse)


def load_program(path: str | Path) -> Program:
    """See `relumodel.api.load_program`."""
    path = as_path(path, "program's JSON file")
    if not os.path.exists(path):
        raise FileError(f"There is no file {path}; Program.write puts it beside the .cbf or .mps file.")
    try:
        parts = parse_json(read_text(path, "program's JSON file")[1])
    except ValueError as error:
        raise FileError(f"{path} is not the JSON file of an exported program, or it was cut short: {error}.") from error
    if not isinstance(parts, dict) or parts.get("format") != FORMAT:
        raise FileError(f"{path} is not the JSON file of an exported program ({FORMAT!r}).")
    try:
        kept = {key: parts[key] for key in ("model", "features", "arrays", "patterns")}
        if parts["name"] != name_of(kept):
            raise InputError("its content does not have the checksum it was written with")
        program = _rebuilt(kept)
    except Exception as error:  # whatever a damaged file makes of its parts
        raise FileError(f"{path} was changed or is damaged: {error}") from error
    return program


def _refuse_others(program: Program, rebuilt: Program) -> None:
    """An error for terms that were put in or changed by hand, which the file's parts do not give back."""
    twins = {t.name: t for t in rebuilt.terms}
    for term in program.terms:
        twin = twins.pop(term.name, None)
        if twin is None or not same(term, twin):
            raise InputError(
                f"The term {term.name!r} ({type(term.function).__name__} of {type(term.map).__name__}) was put in or changed by hand: the .json "
                "file holds model, data and patterns, which do not give it back. Use program.conic(), which has every term."
            )
    if twins:
        raise InputError(
            f"The term {next(iter(twins))!r} was taken out by hand, but the .json file's model and data would bring it back."
        )


def same(one: Any, other: Any) -> bool:
    """Whether two trees of dataclasses, tuples and arrays are the same to the last bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    if scipy.sparse.issparse(one):
        return one.shape == other.shape and (one != other).nnz == 0
    return bool(one == other)


def program_name(program: Program) -> str:
    """A name made of a checksum of all that the program is built from: equal for equal programs, whatever the process."""
    return name_of(_parts(program)) if has_file(program) else PROBLEM


def name_of(parts: Mapping[str, Any]) -> str:
    """The checksum of the parts, as a name."""
    return "relumodel-" + hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _parts(program: Program) -> dict[str, Any]:
    """All that the program is built from, ready for JSON."""
    inverse, loss = _inverse(program), program.term("loss")
    X = inverse.X[:, :-1] if program.model.network.bias else inverse.X
    found = getattr(inverse, "found", None)
    bound: Any = getattr(loss.function, "clean", loss.function)  # robust losses wrap the clean one
    arrays = {"X": X, "y": bound.targets} | ({"witnesses": found.known} if isinstance(found, PatternSet) else {})
    if (weights := program.sample_weights) is not None:
        arrays["weights"] = weights
    if (classes := getattr(bound, "classes", None)) is not None:
        arrays["classes"] = classes
    if isinstance(found, SubNetworks):
        directions = found.directions.reshape(-1, inverse.X.shape[1])
        arrays |= {"witnesses": directions, "second_patterns": found.outer, "second_weights": found.weights}
    if isinstance(loss.map, CrossingMap):
        arrays["shares"] = loss.map.shares
    return {
        "model": program.model.to_dict(),
        "features": None if inverse.feature_names is None else list(inverse.feature_names),
        "arrays": {name: _packed(array) for name, array in arrays.items()},
        "patterns": None if found is None else {"bits": _packed(found.D), "complete": found.complete, "origin": found.origin},
    }


def _inverse(program: Program) -> TwoLayerInverse | RandomFeaturesInverse | ThreeLayerInverse | PolynomialInverse:
    """The way back of a program that is made of a model, data and patterns."""
    inverse = program.inverse.one if isinstance(program.inverse, OutputsInverse) else program.inverse
    if not isinstance(inverse, TwoLayerInverse | RandomFeaturesInverse | ThreeLayerInverse | PolynomialInverse):
        raise InputError(f"Programs of {type(program.model.network).__name__} networks have no JSON file yet; use program.conic().")
    return inverse


def _rebuilt(parts: Mapping[str, Any]) -> Program:
    arrays = {name: _unpacked(packed) for name, packed in parts["arrays"].items()}
    patterns, model = parts["patterns"], Model.from_dict(parts["model"])
    data = checked_data(model, arrays, parts["features"])
    found = None
    if patterns is not None:
        held = PatternSet(_unpacked(patterns["bits"]), arrays["witnesses"], patterns["complete"], patterns["origin"])
        found = checked_patterns(model, data, held, arrays)
    return rebuild(model.network, model, data, found, arrays)


def _packed(array: NDArray[Any]) -> dict[str, Any]:
    """Shape and base64 of the bits, in C order: eight patterns a byte, or float64, little-endian."""
    bits = array.dtype == np.bool_
    raw = np.packbits(array).tobytes() if bits else array.astype("<f8").tobytes()
    return {"shape": list(array.shape), "bool" if bits else "float64": base64.b64encode(raw).decode()}


def _unpacked(packed: Mapping[str, Any]) -> NDArray[Any]:
    shape = tuple(packed["shape"])
    if "bool" in packed:
        raw = np.frombuffer(base64.b64decode(packed["bool"], validate=True), dtype=np.uint8)
        return np.unpackbits(raw, count=int(np.prod(shape))).astype(bool).reshape(shape)
    return np.frombuffer(base64.b64decode(packed["float64"], validate=True), dtype="<f8").astype(np.float64).reshape(shape)
