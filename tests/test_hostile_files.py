"""Whatever stands in a file: something usable, or an error of relumodel. The campaign in benchmarks/ tries thousands; here are some of each."""

from __future__ import annotations

import base64
import json
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import relumodel as rm
from relumodel.formats.sidecar import name_of
from relumodel.testing import hostile
from relumodel.testing.hostile import attack_readers
from relumodel.training_files import read_model
from small_programs import compiled

SAMPLES = Path(__file__).parent / "conic" / "solutions"


def test_every_reader_survives_hostile_files():
    chosen = ("lp.highs0", "lp.highs1", "lp.glpk_w", "lp.glpk_o", "lp.cbc", "lp.cplex.xml", "lp.slx", "lp.scip", "socp.mosek.sol")
    attack = attack_readers(
        count=40, seed=0, solutions=[(SAMPLES / f"{name.split('.')[0]}.json", SAMPLES / name) for name in chosen]
    )
    assert attack.refused > 200
    assert attack.accepted > 10


def test_a_reader_that_lets_another_error_through_is_named(monkeypatch):
    def careless(path, target):
        return json.loads(Path(path).read_text())

    monkeypatch.setattr(hostile, "read_table", careless)
    with pytest.raises(AssertionError, match=r"(?s)failures.*table, seed 0, file .*(JSONDecodeError|RecursionError)"):
        attack_readers(count=5)


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"type": ' * 50_000 + "1" + "}" * 50_000, '{"type": "Model", "beta": ' + "9" * 6000 + "}", "{", "NaN"],
)
def test_json_that_cannot_be_read(content, tmp_path):
    path = tmp_path / "m.json"
    path.write_text(content)
    for reader in (read_model, rm.load_program):
        with pytest.raises(rm.FileError, match=r"m\.json"):
            reader(path)


def test_declarations_beyond_all_bounds():
    deep: dict = {"type": "ReLU"}
    for _ in range(5000):
        deep = {"type": "TwoLayer", "activation": deep}
    with pytest.raises(rm.InputError, match="nested too deeply"):
        rm.TwoLayer.from_dict(deep)
    with pytest.raises(rm.InputError, match=r"width must be a whole number of at most 1,000,000"):
        rm.ParallelThreeLayer(width=10**30)
    with pytest.raises(rm.InputTypeError, match=r"width must be a whole number; got 1e\+30"):
        rm.ParallelThreeLayer(width=1e30)
    with pytest.raises(rm.InputError, match="beta must be a finite number"):
        rm.WeightDecay(10**6000)


def test_what_is_no_path():
    program = compiled("LP")
    network = rm.Network(rm.ReLU(), False, np.ones((1, 1)), np.ones(1))
    uses = (rm.load, rm.load_program, program.read_solution, program.write, network.save)
    for use in uses:
        with pytest.raises(rm.InputTypeError, match=r"given by its path, text or a pathlib\.Path; got None"):
            use(None)
        with pytest.raises(rm.FileError, match="is no name that a file can have"):
            use("a\0b.mps")


def with_parts(path: Path, change) -> Path:
    """The JSON file with a change of its content, and the checksum that belongs to it."""
    parts = json.loads(path.read_text())
    kept = {key: parts[key] for key in ("model", "features", "arrays", "patterns")}
    change(kept)
    path.write_text(json.dumps({**parts, **kept, "name": name_of(kept)}))
    return path


def packed(values: object) -> dict:
    array = np.asarray(values, dtype="<f8")
    return {"shape": list(array.shape), "float64": base64.b64encode(array.tobytes()).decode()}


def program_of(weights: object = None, **more: object) -> rm.Program:
    rng = np.random.default_rng(0)
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.WeightDecay(0.1), **more)
    return model.compile(
        rng.standard_normal((5, 1)), [1.0, -1, 1, 1, -1], patterns=rm.SamplePatterns(2, seed=0), sample_weight=weights
    )


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("weights", [1, 1, -1, 1, 1], "weights are not all positive"),
        ("weights", [1, 1, 1, 1], "sample_weight has 4"),
        ("y", [1, -1, 0, 1, 1], r"Hinge needs labels -1 and \+1; y holds 0"),
        ("y", [1, 1, 1, 1, 1], "needs both classes"),
        ("y", [1, -1, 1, 1], "X has 5 samples and y has 4"),
        ("X", [[0.1], [np.nan], [1], [2], [3]], "X holds 1 NaN"),
        ("X", [0.1, 1, 2, 3, 4], "X must be two-dimensional"),
        ("witnesses", [[1.0, 0.0]], "witnesses have shape"),
        ("witnesses", [[1.0, 9.0], [1.0, 9.0]], "witnesses do not have its patterns"),
        ("classes", [0, 1], "classes are not those of its labels"),
    ],
)
def test_content_with_a_right_checksum_is_checked(name, values, message, tmp_path):
    program_of([1.0, 2, 1, 1, 1]).write(tmp_path / "p.mps")
    path = with_parts(tmp_path / "p.json", lambda parts: parts["arrays"].update({name: packed(values)}))
    with pytest.raises(rm.FileError, match=message):
        rm.load_program(path)


def test_gates_that_are_not_there_are_refused(tmp_path):
    X, y = np.random.default_rng(0).standard_normal((5, 1)), [1.0, -1, 1, 1, -1]
    for network in (rm.TwoLayer(rm.GatedReLU(), True), rm.RandomFeatures(bias=True)):
        program = rm.Model(network, rm.Hinge(), rm.WeightDecay(0.1)).compile(X, y, patterns=rm.SamplePatterns(2, seed=0))
        program.write(tmp_path / "p.mps")
        path = with_parts(tmp_path / "p.json", lambda parts: parts["arrays"].update(witnesses=packed(np.full((2, 2), np.nan))))
        with pytest.raises(rm.FileError, match="needs a gate for every pattern"):
            rm.load_program(path)


def test_shares_outside_their_slopes_are_refused(tmp_path):
    """With them the crossing program would not bound the worst case."""
    program_of(perturbation=rm.LInf(0.05), robust="crossing").write(tmp_path / "p.mps")
    path = with_parts(tmp_path / "p.json", lambda parts: parts["arrays"].update(shares=packed(np.full((2, 2, 2, 5), -1.0))))
    with pytest.raises(rm.FileError, match="shares are not numbers between 0 and 1"):
        rm.load_program(path)


def test_all_patterns_are_proved_to_be_all(tmp_path):
    """A file that claims so of two patterns gives a program that does not; one that is right stays exact."""
    program_of().write(tmp_path / "p.mps")
    assert rm.load_program(tmp_path / "p.json").guarantee.kind == "upper bound"
    path = with_parts(tmp_path / "p.json", lambda parts: parts["patterns"].update(complete=True))
    assert rm.load_program(path).guarantee.kind == "upper bound"
    X, y = np.random.default_rng(0).standard_normal((5, 1)), [1.0, -1, 1, 1, -1]
    exact = program_of().model.compile(X, y, patterns=rm.EnumeratePatterns())
    exact.write(tmp_path / "q.mps")
    assert rm.load_program(tmp_path / "q.json").guarantee.kind == "exact"


def test_only_what_is_needed_of_an_npz_file_is_read(tmp_path):
    """Parts that unpack to much more: one that nothing asks for is left alone, and one in the place of the weights is refused."""
    network = rm.Network(rm.ReLU(), False, np.ones((1, 1)), np.ones(1))
    path = network.save(tmp_path / "net.npz")
    zeros = bytes(1 << 20)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb.npy", "w", force_zip64=True) as file:
        for _ in range(50):
            file.write(zeros)
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    assert rm.load(path).n_neurons == 1
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as other:
        for name in ("header.npy", "hidden_weights.npy", "output_weights.npy"):
            other.writestr(name, archive.read(name))
    with pytest.raises(rm.FileError, match=r"header\.npy in it is compressed"):
        rm.load(tmp_path / "bomb.npz")
