"""Hostile files: whatever stands in a file, a reader of relumodel returns something usable or raises a `RelumodelError`.

from relumodel.testing.hostile import attack_readers

print(attack_readers(count=1000, seed=0))  # raises AssertionError that lists every reader and input that did anything else

Valid files of every kind are cut, spliced, overwritten with tokens that break readers, or changed in their content with the checksum made
right again. What is accepted is used: a network predicts, a program has an objective, a solution a bound.
"""

from __future__ import annotations

import base64
import io
import json
import re
import tempfile
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import relumodel as rm

from ..formats.sidecar import name_of
from ..training_files import read_model, read_table

Rng = np.random.Generator

#: Words that break a reader which trusts what it reads.
TOKENS = [
    "nan",
    "-inf",
    "1e999",
    "1e308",
    "9" * 6000,
    "\N{SUPERSCRIPT TWO}",
    "1_0",
    "\0",
    '"',
    "]",
    "true",
    "1e30",
    "-1",
    "0x1",
    "\ufeff",
    "#",
    "",
]

#: The same for the parts of a JSON value; the last is nested as deeply as can be written down.
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1e30,
    10**30,
    float("nan"),
    "x",
    "\N{SUPERSCRIPT TWO}",
    [],
    {},
    [[]],
    {"type": "ReLU"},
    {"type": []},
    [1, "a"],
]

#: Whole files.
WHOLE = [
    b"",
    b"\n",
    b"\xff\xfe\0",
    b"[" * 100_000,
    b'{"type":' * 50_000,
    b'{"format": ' + b"9" * 6000 + b"}",
    b"<a>" * 50_000,
    b'<!DOCTYPE a [<!ENTITY b "cccccccc"><!ENTITY d "&b;&b;&b;&b;">]><a>&d;</a>',
    b"PK\x05\x06" + bytes(18),
]

#: What is given in place of a path.
NO_PATHS: list[Any] = [None, 3, 1.5, b"p", ["p"], "\0", "\ud800", "", "a" * 5000, object()]


@dataclass
class Attack:
    """What was tried on the readers. failures : what was given, and the end of the traceback."""

    accepted: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.accepted + self.refused + len(self.failures)} files: {self.refused} refused, {self.accepted} accepted and used, {len(self.failures)} failures"

    def trying(self, what: str, work: Callable[[], Any]) -> None:
        """Count one try."""
        try:
            work()
            self.accepted += 1
        except rm.RelumodelError as error:
            self.refused += 1
            if len(str(error)) > 20_000:
                self.failures.append(f"{what}: a message of {len(str(error))} characters")
        except Exception:
            self.failures.append(f"{what}: {' '.join(traceback.format_exc().splitlines()[-3:])}")


@dataclass(frozen=True)
class Target:
    """A reader, with valid files for it. use : reads a file and works with what comes back.  inside : another change of the content."""

    name: str
    files: list[bytes]
    use: Callable[[Path], Any]
    inside: Callable[[bytes, Rng], bytes] | None = None


def attack_readers(count: int = 100, seed: int = 0, solutions: Iterable[tuple[Path, Path]] = ()) -> Attack:
    """Try `count` hostile files on every reader, and what is no path on every reader and writer.

    solutions : pairs of a program's JSON file and a solution file of it, to attack too.
    Raises AssertionError that lists what did anything but return something usable or raise a `RelumodelError`.
    """
    rng, out = np.random.default_rng(seed), Attack()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        targets = [*_targets(folder), *(_solution(program, path) for program, path in solutions)]
        everything = [file for target in targets for file in target.files]
        for target in targets:
            for k in range(count):
                content = _hostile(target, everything, rng)
                path = folder / "hostile"
                path.write_bytes(content)
                out.trying(f"{target.name}, seed {seed}, file {k}, {content[:60]!r}", lambda path=path, use=target.use: use(path))  # type: ignore[misc]
        _attack_paths(targets, folder, out)
    if out.failures:
        raise AssertionError("\n".join([str(out), *out.failures[:50]]))
    return out


def _attack_paths(targets: list[Target], folder: Path, out: Attack) -> None:
    """Everything that is no path, and a folder, given to every reader and writer."""
    program, network, deep = _program(), _networks()[0], folder / "missing" / "deep"
    uses = {target.name: target.use for target in targets}
    uses |= {"write": program.write, "save": network.save}
    for name, use in uses.items():
        for path in [*NO_PATHS, folder, deep]:
            out.trying(f"{name} of the path {str(path)[:40]!r}", lambda use=use, path=path: use(path))  # type: ignore[misc]


def _targets(folder: Path) -> list[Target]:
    """The readers of what relumodel writes, and of what the command line takes."""
    program = _program()
    model = json.dumps(program.model.to_dict()).encode()
    table = b"a,b,y\n" + b"".join(b"%.3f,%d,%d\n" % (0.1 * k, k % 3, (-1) ** k) for k in range(6))
    exports = [_exported(kind, folder) for kind in _programs()]
    solution = "".join(f"{name} 0.0\n" for name in program.conic().names[: program.n_variables]).encode()
    return [
        Target("load", [_bytes(network) for network in _networks()], _use_network, _in_network),
        Target("load_program", exports, _use_program, _in_program),
        Target("model", [model], read_model, _in_json),
        Target("table", [table], lambda path: read_table(path, None)),
        Target("read_solution", [solution], lambda path: program.read_solution(path, prove=False)),
    ]


def _solution(program: Path, path: Path) -> Target:
    known = rm.load_program(program)
    return Target(f"read_solution {path.name}", [path.read_bytes()], lambda hostile: known.read_solution(hostile, prove=False))


def _program() -> Any:
    """A small linear program, with all its patterns."""
    return rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.PathNorm(0.1)).compile(*_data(), patterns=rm.EnumeratePatterns())


def _programs() -> list[Any]:
    """One of every kind that has a JSON file."""
    (X, y), hinge, penalty = _data(), rm.Hinge(), rm.WeightDecay(0.1)
    relu, few = rm.TwoLayer(rm.ReLU(), True), rm.SamplePatterns(2, seed=0)
    crossing = rm.Model(relu, hinge, penalty, rm.LInf(0.01), "crossing")
    return [
        _program(),
        crossing.compile(X, y, patterns=few, sample_weight=[1, 2, 1, 1, 3]),
        rm.Model(relu, rm.Squared(), penalty).compile(X, np.column_stack([y, y]), patterns=few),
        rm.Model(relu, rm.MultiMargin(), penalty).compile(X, [0, 1, 2, 1, 0], patterns=few),
        rm.Model(rm.TwoLayer(rm.GatedReLU(), True), hinge, penalty).compile(X, y, patterns=few),
        rm.Model(rm.RandomFeatures(bias=True), hinge, penalty).compile(X, y, patterns=few),
        rm.Model(rm.ParallelThreeLayer(width=2), hinge, penalty).compile(X, y, patterns=few),
        rm.Model(rm.TwoLayer(rm.Polynomial()), hinge, penalty).compile(X, y),
    ]


def _data() -> tuple[Any, Any]:
    return np.random.default_rng(0).standard_normal((5, 1)), np.array([1.0, -1, 1, 1, -1])


def _networks() -> list[Any]:
    hidden, output = np.array([[1.0, -0.5], [0.3, 2.0]]), np.array([[1.0, 0.0], [-1.0, 0.5]])
    return [
        rm.Network(rm.ReLU(), True, hidden, output[:, 0], classifies=True, feature_names=("a",)),
        rm.Network(rm.GatedReLU(), True, hidden, output, gates=hidden),
        rm.Network(rm.LeakyReLU(0.1), False, hidden, output, classes=np.array([0.0, 3.0])),
        rm.ThreeLayerNetwork(True, hidden[None], np.array([[1.0, -1.0]]), np.array([0.5])),
    ]


def _bytes(network: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return network.save(Path(folder) / "net.npz").read_bytes()


def _exported(program: Any, folder: Path) -> bytes:
    program.write(folder / "p.cbf")
    return (folder / "p.json").read_bytes()


def _use_network(path: Path) -> None:
    network = rm.load(path)
    with np.errstate(all="raise", under="ignore"):
        network.predict(np.ones((2, network.n_features)))


def _use_program(path: Path) -> None:
    program = rm.load_program(path)
    with np.errstate(over="ignore", invalid="ignore"):
        program.objective(np.zeros(program.n_variables))
        program.violation(np.zeros(program.n_variables))
        program.conic()


def _hostile(target: Target, everything: list[bytes], rng: Rng) -> bytes:
    """One hostile file, by a way chosen at random."""
    content = target.files[rng.integers(len(target.files))]
    ways: list[Callable[[], bytes]] = [
        lambda: content[: rng.integers(len(content))],
        lambda: _flipped(content, rng),
        lambda: _spliced(content, everything[rng.integers(len(everything))], rng),
        lambda: _with_token(content, rng),
        lambda: _with_token(_with_token(content, rng), rng),
        lambda: WHOLE[rng.integers(len(WHOLE))],
        lambda: rng.bytes(int(rng.integers(200))),
    ]
    if target.inside is not None:
        inside = target.inside
        ways += 4 * [lambda: inside(content, rng)]
    return ways[rng.integers(len(ways))]()


def _flipped(content: bytes, rng: Rng) -> bytes:
    out = bytearray(content)
    for at in rng.integers(len(out), size=rng.integers(1, 9)):
        out[at] = rng.integers(256)
    return bytes(out)


def _spliced(content: bytes, other: bytes, rng: Rng) -> bytes:
    """A piece of one file in the place of a piece of another."""
    a, b = sorted(rng.integers(len(content) + 1, size=2))
    c, d = sorted(rng.integers(len(other) + 1, size=2))
    return content[:a] + other[c:d] + content[b:]


def _with_token(content: bytes, rng: Rng) -> bytes:
    """A word of the file replaced by a hostile one."""
    words = list(re.finditer(rb"[\w.+-]+", content[:200_000]))
    if not words:
        return content
    word = words[rng.integers(len(words))]
    token = TOKENS[rng.integers(len(TOKENS))].encode()
    return content[: word.start()] + token + content[word.end() :]


def _in_json(content: bytes, rng: Rng) -> bytes:
    value = json.loads(content)
    _change(value, rng)
    return json.dumps(value).encode()


def _in_program(content: bytes, rng: Rng) -> bytes:
    """A change in the content, with the checksum made right: an entry of JSON, or of an array."""
    parts = json.loads(content)
    if rng.random() < 0.5:
        _change({key: parts[key] for key in ("model", "features", "arrays", "patterns")}, rng)
    else:
        arrays = parts["arrays"]
        packed = arrays[sorted(arrays)[rng.integers(len(arrays))]]
        if "float64" in packed:
            values = np.frombuffer(base64.b64decode(packed["float64"]), dtype="<f8").copy()
            values[rng.integers(len(values))] = rng.choice([np.nan, np.inf, -1.0, 0.0, 0.5, 1e308, 5e-324])
            packed["float64"] = base64.b64encode(values.tobytes()).decode()
        packed["shape"] = packed["shape"] if rng.random() < 0.8 else [int(size) for size in rng.integers(-2, 9, rng.integers(4))]
    parts["name"] = name_of({key: parts.get(key) for key in ("model", "features", "arrays", "patterns")})
    return json.dumps(parts).encode()


def _in_network(content: bytes, rng: Rng) -> bytes:
    """A change of the header or of an array."""
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    name = sorted(arrays)[rng.integers(len(arrays))]
    if name == "header":
        header = json.loads(str(arrays["header"]))
        _change(header, rng)
        arrays["header"] = np.array(json.dumps(header))
    else:
        changed: list[Callable[[Any], Any]] = [
            np.atleast_1d,
            np.ravel,
            np.transpose,
            lambda a: a * np.nan,
            lambda a: a * 1e308,
            lambda a: a.astype(str),
        ]
        changed += [lambda a: a[:0], lambda a: a.astype(np.float32), lambda a: a[..., None], lambda a: a > 0, np.zeros_like]
        with np.errstate(all="ignore"):
            arrays[name] = changed[rng.integers(len(changed))](arrays[name])
    if rng.random() < 0.2:
        arrays.pop(sorted(arrays)[rng.integers(len(arrays))])
    out = io.BytesIO()
    (np.savez if rng.random() < 0.8 else np.savez_compressed)(out, **arrays)
    return out.getvalue()


def _change(value: Any, rng: Rng) -> None:
    """Replace, remove or add one entry somewhere inside a JSON value, in place."""
    keys = list(value) if isinstance(value, Mapping) else list(range(len(value)))
    if not keys:
        return
    key = keys[rng.integers(len(keys))]
    if isinstance(value[key], dict | list) and value[key] and rng.random() < 0.8:
        _change(value[key], rng)
    elif rng.random() < 0.2:
        del value[key]
    else:
        value[key] = VALUES[rng.integers(len(VALUES))]
