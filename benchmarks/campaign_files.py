"""Hostile files and inputs for every reader: only a RelumodelError may come out, and what is accepted must be sound."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from campaign_draws import Rng, pick, random_network
from campaign_inputs import arrays, modules
from campaign_mutations import altered, mutated
from campaign_programs import below

import relumodel as rm


@contextlib.contextmanager
def written(raw: bytes, name: str) -> Any:
    """A path to a file that holds these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(raw)
        yield path


@cache
def programs() -> tuple[tuple[rm.Program, float], ...]:
    """Small programs of several kinds, with their optima."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((8, 2)), np.where(np.arange(8) % 3 == 0, 1.0, -1.0)
    relu, few = rm.TwoLayer(rm.ReLU(), bias=True), rm.SamplePatterns(3, seed=0)
    kinds: list[tuple[Any, ...]] = [
        (relu, rm.Hinge(), rm.PathNorm(0.05), None, few),
        (relu, rm.Squared(), rm.WeightDecay(0.05), None, few),
        (relu, rm.MultiMargin(), rm.WeightDecay(0.05), None, few),
        (relu, rm.Hinge(), rm.WeightDecay(0.05), rm.LInf(0.05), few),
        (rm.TwoLayer(rm.Polynomial(), bias=True), rm.Squared(), rm.WeightDecay(0.05), None, None),
        (rm.ParallelThreeLayer(width=2), rm.Squared(), rm.WeightDecay(0.05), None, rm.SamplePatterns(2, seed=0)),
        (rm.RandomFeatures(bias=True), rm.Absolute(), rm.WeightDecay(0.05), None, few),
    ]
    made = []
    for network, loss, penalty, ball, patterns in kinds:
        labels = np.arange(8) % 3 if loss.reads == "classes" else y
        model = rm.Model(network, loss, penalty, ball, "crossing")
        program = model.compile(X, labels, patterns=patterns)
        made.append((program, program.solve(tol=1e-7).objective))
    return tuple(made)


@cache
def exported() -> tuple[tuple[bytes, bytes], ...]:
    """(sidecar, network) files of these programs."""
    found = []
    for program, _ in programs():
        with tempfile.TemporaryDirectory() as folder:
            program.write(Path(folder) / "p.cbf")
            program.solve(tol=1e-3).network().save(Path(folder) / "net.npz")
            found.append(((Path(folder) / "p.json").read_bytes(), (Path(folder) / "net.npz").read_bytes()))
    return tuple(found)


def use_network(rng: Rng, network: Any) -> str:
    """A network that was read predicts finite numbers, and can be saved again."""
    X = rng.standard_normal((4, network.n_features))
    assert np.isfinite(network(X)).all(), "outputs are not finite"
    network.predict(X)
    str(network)
    with tempfile.TemporaryDirectory() as folder:
        again = rm.load(network.save(Path(folder) / "net.npz"))
        assert (again(X) == network(X)).all(), "a network that was read does not survive a round trip"
    return "accepted"


def network_bytes(rng: Rng) -> str:
    with written(mutated(rng, pick(rng, exported())[1]), "net.npz") as path:
        return use_network(rng, rm.load(path))


def network_parts(rng: Rng) -> str:
    """Members of the .npz exchanged: other shapes, types and headers."""
    with np.load(io.BytesIO(pick(rng, exported())[1])) as file:
        parts = {name: file[name] for name in file.files}
    if rng.random() < 0.5:
        parts["header"] = np.array(json.dumps(altered(rng, json.loads(str(parts["header"])))))
    else:
        name = pick(rng, list(parts))
        a = parts[name]
        others: list[Callable[[], Any]] = [
            lambda: a.astype(np.float32) if a.dtype.kind == "f" else a,
            lambda: a.reshape(-1),
            lambda: a[..., :-1] if a.ndim else a,
            lambda: a.T,
            lambda: np.full(a.shape, np.nan),
            lambda: np.full(a.shape, 1e308),
            lambda: a.astype(str),
            lambda: np.zeros((0, *a.shape[1:])),
            lambda: np.array(7.0),
            lambda: a.astype(complex) if a.dtype.kind == "f" else a,
        ]
        parts[name] = pick(rng, others)()
        if rng.random() < 0.3:
            del parts[name]
        if rng.random() < 0.3:
            parts[pick(rng, ("gates", "classes", "unused", "output_weights"))] = pick(rng, list(parts.values()))
    raw = io.BytesIO()
    np.savez(raw, **parts)
    with written(raw.getvalue(), "net.npz") as path:
        return use_network(rng, rm.load(path))


def network_zip(rng: Rng) -> str:
    """Zip members that are not .npy, or that unpack to far more than they hold."""
    raw = io.BytesIO(pick(rng, exported())[1])
    with zipfile.ZipFile(raw, "a", zipfile.ZIP_DEFLATED) as file:
        name = pick(rng, ("unused.npy", "gates.npy", "classes.npy", "../out.npy", "header.npy", "é.txt"))
        header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (10000000,), }".ljust(128) + b"\n"
        file.writestr(name, pick(rng, (b"", b"x", header + bytes(80_000_000), header)))
    with written(raw.getvalue(), "net.npz") as path:
        return use_network(rng, rm.load(path))


def use_program(program: rm.Program) -> str:
    """A program that was read can be looked at and solved."""
    str(program)
    x = np.zeros(program.n_variables)
    assert program.violation(x) == 0 or program.objective(x) >= 0
    solution = program.solve(tol=1e-2, max_iter=30, backend="clarabel")
    below(solution.bound, solution.objective, "bound > objective")
    return "accepted"


def sidecar_bytes(rng: Rng) -> str:
    with written(mutated(rng, pick(rng, exported())[0]), "p.json") as path:
        return use_program(rm.load_program(path))


def sidecar_parts(rng: Rng) -> str:
    """Parts changed, and the checksum computed anew, so that the content itself must be looked at."""
    whole = json.loads(pick(rng, exported())[0])
    kept = ("model", "features", "arrays", "patterns")
    assert whole["name"] == checksum({key: whole[key] for key in kept}), "the checksum of sidecars is another now"
    changed = altered(rng, {key: whole[key] for key in kept})
    whole = {key: value for key, value in whole.items() if key not in kept} | changed
    if all(key in changed for key in kept):
        whole["name"] = checksum(changed)
    with written(json.dumps(whole).encode(), "p.json") as path:
        return use_program(rm.load_program(path))


def checksum(parts: dict[str, Any]) -> str:
    return "relumodel-" + hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@cache
def solutions(which: int) -> tuple[tuple[str, bytes], ...]:
    """Solution files of a program in several forms."""
    program, _ = programs()[which]
    form = program.conic()
    point = rm.backend.find("clarabel").solve(form, rm.Options(tol=1e-8)).x
    everything = list(zip(form.names, point.tolist(), strict=True))
    own, objective = everything[: program.n_variables], program.objective(point[: program.n_variables])
    forms = [
        ("p.sol", "".join(f"{name} {value!r}\n" for name, value in own)),
        ("p.txt", "".join(f"{value!r}\n" for _, value in own)),
        ("p.sol", f"# Objective value = {objective!r}\n" + "".join(f"{name} {value!r}\n" for name, value in everything)),
        (
            "p.sol",
            f"solution status: optimal solution found\nobjective value: {objective!r}\n"
            + "".join(f"{name:<40} {value!r} \t(obj:0)\n" for name, value in everything if value),
        ),
    ]
    found = [(name, text.encode()) for name, text in forms]
    with contextlib.suppress(ImportError):
        import highspy

        if program.kinds <= {"zero", "nonnegative", "quadratic"}:
            with tempfile.TemporaryDirectory() as folder:
                program.write(Path(folder) / "p.mps")
                h = highspy.Highs()
                h.setOptionValue("output_flag", False)
                h.readModel(str(Path(folder) / "p.mps"))
                h.run()
                for style in (0, 1, 2, 3, 4):
                    file = Path(folder) / f"h{style}.sol"
                    h.writeSolution(str(file), style)
                    found.append(("p.sol", file.read_bytes()))
    return tuple(found)


def solution_files(rng: Rng) -> str:
    """Whatever is accepted is a point with its own objective and a bound below the optimum."""
    which = int(rng.integers(len(programs())))
    program, optimum = programs()[which]
    name, raw = pick(rng, solutions(which))
    with written(mutated(rng, raw), name) as path:
        solution = program.read_solution(path, tol=1e-4)
    assert solution.objective == program.objective(solution.point), "the objective is not that of the point"
    below(solution.bound, optimum, "a bound above the optimum", 1e-6)
    below(optimum, solution.objective, "an objective below the optimum", 1e-5)
    return solution.status


MODEL = rm.Model(rm.TwoLayer(rm.LeakyReLU(0.1), bias=True), rm.Huber(0.5), rm.WeightDecay(0.05), rm.LInf((0.1, 0.2)), "crossing")


def model_json(rng: Rng) -> str:
    whole = MODEL.to_dict() if rng.random() < 0.7 else rm.Model(rm.ParallelThreeLayer(3), rm.Hinge(), rm.PathNorm(1.0)).to_dict()
    return str(type(rm.Model.from_dict(altered(rng, whole))).__name__)


def command_line(rng: Rng) -> str:
    """A model and a table through the command line, one of them damaged: it ends with a code and a line, never with a traceback."""
    from relumodel.cli import main

    text = "a,b,target\n" + "".join(",".join(f"{v:.6g}" for v in row) + "\n" for row in rng.standard_normal((6, 3)))
    model, table = json.dumps(MODEL.to_dict()).encode(), text.encode()
    model, table = (mutated(rng, model), table) if rng.random() < 0.3 else (model, mutated(rng, table))
    with written(model, "m.json") as m, written(table, "d.csv") as d:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = main(["export", str(m), str(d), "--out", str(d.parent / "p.cbf"), "--patterns", "2"])
    assert code in (0, 2), f"exit code {code}"
    return f"exit code {code}"


def odd_paths(rng: Rng) -> str:
    """Readers and writers with paths that are none."""
    path = pick(
        rng, (None, "", "/", ".", "\0", "/nowhere/x.npz", b"x.npz", 7, 3.5, ["x"], object(), "x" * 5000, Path("/proc/self/mem"))
    )
    program = programs()[0][0]
    network = random_network(rng, rm.TwoLayer(rm.ReLU(), True), 2)
    use: tuple[Callable[[Any], Any], ...] = (rm.load, rm.load_program, program.read_solution, program.write, network.save)
    pick(rng, use)(path)
    return "accepted"


CHECKS = {
    "network bytes": network_bytes,
    "network parts": network_parts,
    "network zip": network_zip,
    "sidecar bytes": sidecar_bytes,
    "sidecar parts": sidecar_parts,
    "solution files": solution_files,
    "model JSON": model_json,
    "command line": command_line,
    "paths": odd_paths,
    "arrays": arrays,
    "modules": modules,
}
