"""Networks from the files that their `save` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..declare.networks import Activation, Polynomial
from ..errors import FileError
from ..files import as_path, parse_json
from ..npz import read_arrays
from . import three_layer as three_layer_network
from .classes import outputs_fit
from .network import FORMAT, Network
from .polynomial import PolynomialNetwork
from .saved import ARRAYS, check_arrays, check_header, check_sizes, check_values

Matrix = NDArray[np.float64]


def load(path: str | Path) -> Any:
    """Read the `Network` or `ThreeLayerNetwork` that its `save` wrote. Raises `FileError` where there is none or the file is not one."""
    path = as_path(path, "network's file")
    try:
        arrays = read_arrays(path, ARRAYS)
        header = parse_json(str(arrays.pop("header")))
        three = isinstance(header, dict) and header.get("format") == three_layer_network.FORMAT
        return three_layer_network.from_parts(header, arrays) if three else _from_parts(header, arrays)
    except FileNotFoundError as error:
        raise FileError(f"There is no file {path}.") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error}.") from error
    except Exception as error:  # whatever the zip, npy and json readers make of a broken file
        raise FileError(f"{path} is not a network saved by relumodel, or it is damaged: {error}") from error


def _from_parts(header: Any, arrays: dict[str, Matrix]) -> Network:
    """What `Network.save` took apart; raises when a part is missing or does not fit the others."""
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError(f"unknown format {header.get('format') if isinstance(header, dict) else header!r}")
    check_header(header, ("activation", "bias", "classifies", "feature_names"))
    activation = Activation.from_dict(header["activation"])
    check_arrays(
        arrays, ("hidden_weights", "output_weights") if activation.self_gated else ("hidden_weights", "output_weights", "gates")
    )
    hidden, output, gates = arrays["hidden_weights"], arrays["output_weights"], arrays.get("gates")
    names, classes = header["feature_names"], arrays.get("classes")
    fits = hidden.ndim == 2 and output.shape[:1] == hidden.shape[1:] and (gates is None or gates.shape == hidden.shape)
    if not fits or not outputs_fit(output, classes):
        raise ValueError("its weights do not fit together")
    named = None if names is None else tuple(names)
    check_sizes(hidden.shape[0] - header["bias"], named, output, classes)
    check_values(lambda x: np.abs(hidden * x).sum(axis=0), activation.largest, lambda s: s @ np.abs(output))
    if gates is not None:
        check_values(lambda x: np.abs(gates * x).sum(axis=0))
    kind: Any = PolynomialNetwork if isinstance(activation, Polynomial) else Network
    return kind(activation, header["bias"], hidden, output, gates, header["classifies"], named, classes)
