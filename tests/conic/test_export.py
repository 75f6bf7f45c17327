"""Program.write: what is refused before anything is written, what survives a write that breaks, and what the JSON file rebuilds."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings

import relumodel as rm
from data_strategies import problems
from relumodel.files import replace_file
from relumodel.formats import cbf, columns, export, mps
from relumodel.formats.sidecar import program_name
from small_programs import KINDS, compiled


def same_program(one: rm.Program, other: rm.Program) -> None:
    """Equal to the last bit in everything a solver or a user sees."""
    first, second = one.conic(), other.conic()
    for name in ("c", "b"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    for name in ("A", "P"):
        assert (getattr(first, name) != getattr(second, name)).nnz == 0
    assert (first.names, first.cones, first.offset) == (second.names, second.cones, second.offset)
    assert str(one) == str(other)
    assert (one.model, one.guarantee) == (other.model, other.guarantee)
    assert np.array_equal(one.patterns, other.patterns)
    assert program_name(one) == program_name(other)


@pytest.mark.parametrize("kind", KINDS)
def test_the_json_file_rebuilds_the_program(kind, tmp_path):
    program = compiled(kind)
    assert program.write(str(tmp_path / "p.cbf.gz")) == tmp_path / "p.cbf.gz"
    assert sorted(os.listdir(tmp_path)) == ["p.cbf.gz", "p.json"]
    same_program(rm.load_program(str(tmp_path / "p.json")), program)


@settings(max_examples=20)
@given(problems())
def test_hypothesis_programs_are_rebuilt(tmp_path_factory, problem):
    model, X, y = problem
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    folder = tmp_path_factory.mktemp("json")
    program.write(folder / "p.cbf")
    again = rm.load_program(folder / "p.json")
    same_program(again, program)
    point = np.random.default_rng(0).standard_normal(program.n_variables)
    assert again.objective(point) == program.objective(point)
    assert again.violation(point) == program.violation(point)


def test_the_slopes_of_a_refined_program_are_kept(tmp_path):
    refined = rm.refine(compiled("crossing").solve(tol=1e-4), rounds=1).program
    assert program_name(refined) != program_name(compiled("crossing"))
    refined.write(tmp_path / "p.mps")
    same_program(rm.load_program(tmp_path / "p.json"), refined)


def test_feature_names_and_radii_are_kept(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"größe": [1.0, 2.0, -1.0, 0.5], "b": [0.0, 1.0, 3.0, -2.0]})
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.WeightDecay(0.1), rm.LInf((0.1, 0.2), fixed=("b",)))
    program = model.compile(frame, [1.0, -1.0, 1.0, -1.0], patterns=rm.SamplePatterns(2, seed=0))
    program.write(tmp_path / "p.mps")
    again = rm.load_program(tmp_path / "p.json")
    same_program(again, program)
    assert again.solve(tol=1e-4).network().feature_names == ("größe", "b")


def test_equal_programs_give_equal_files(tmp_path):
    for name in ("a.cbf.gz", "b.cbf.gz"):
        compiled("SOCP").write(tmp_path / name)
    assert (tmp_path / "a.cbf.gz").read_bytes() == (tmp_path / "b.cbf.gz").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("name", ["p", "p.lp", "p.gz", "p.cbf.zip", "cbf", "p.CBF"])
def test_another_suffix_is_refused(name, tmp_path):
    with pytest.raises(rm.InputError, match=r"must end in \.cbf, \.mps, \.cbf\.gz or \.mps\.gz; got '"):
        compiled("LP").write(tmp_path / name)
    assert not os.listdir(tmp_path)


def test_other_cones_are_refused(tmp_path):
    with pytest.raises(rm.InputError, match="cones must be 'qcmatrix' or 'csection'; got 'socp'"):
        compiled("SOCP").write(tmp_path / "p.mps", cones="socp")
    assert not os.listdir(tmp_path)


def test_a_path_that_cannot_be_written(tmp_path):
    with pytest.raises(rm.FileError, match=r"p\.cbf cannot be written: No such file or directory"):
        compiled("LP").write(tmp_path / "missing" / "p.cbf")


@pytest.mark.parametrize("beside", [False, True])
def test_a_full_disk_leaves_the_old_files(beside, tmp_path, monkeypatch):
    """The disk fills in the middle of the export, or of the JSON file."""
    for name in ("p.cbf", "p.json"):
        (tmp_path / name).write_text("old")

    def on_a_full_disk(path, write):
        def full(file):
            class Disk:
                room = 10**9 if beside and path.suffix == ".cbf" else 300

                def write(self, data):
                    if len(data) > self.room:
                        raise OSError(28, "No space left on device")
                    self.room -= len(data)

            write(Disk())

        return replace_file(path, full)

    monkeypatch.setattr(export, "replace_file", on_a_full_disk)
    with pytest.raises(rm.FileError, match=rf"p\.{'json' if beside else 'cbf'} cannot be written: No space left on device"):
        compiled("LP").write(tmp_path / "p.cbf")
    assert {name: (tmp_path / name).read_text() for name in os.listdir(tmp_path)} == {"p.cbf": "old", "p.json": "old"}


@pytest.mark.parametrize("suffix", [".cbf", ".mps"])
def test_pieces_make_no_difference(suffix, tmp_path, monkeypatch):
    """Whatever the size of the pieces, the file is the same; each piece is reported, all coefficients together."""
    program = compiled("SOCP")
    whole = program.write(tmp_path / f"a{suffix}").read_bytes()
    for size in (1, 7, 100):
        monkeypatch.setattr(columns, "PIECE", size)
        monkeypatch.setattr(mps, "PIECE", size)
        assert program.write(tmp_path / f"b{suffix}").read_bytes() == whole
    told: list[int] = []
    form = program.conic()
    if suffix == ".cbf":
        cbf.write_cbf(form, lambda text: None, told.append)
    else:
        mps.write_mps(form, "p", lambda text: None, told.append)
    assert sum(told) == form.A.nnz
    assert len(told) > 1


def test_progress_is_shown_when_asked(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("relumodel.resources.progress.PLAIN", 0.0)
    compiled("LP").write(tmp_path / "p.mps")
    assert capsys.readouterr().err == ""
    compiled("LP").write(tmp_path / "p.mps", verbose=True)
    assert capsys.readouterr().err.splitlines()[-1].startswith("p.mps: 0.")


def damaged(text: str) -> list[tuple[str, str]]:
    """Ways to break a JSON file, and what is said of each."""
    parts = json.loads(text)
    other = {**parts, "model": {**parts["model"], "penalty": {"type": "PathNorm", "beta": 0.06}}}
    X = parts["arrays"]["X"]
    short = {**parts, "arrays": {**parts["arrays"], "X": {**X, "float64": X["float64"][:-8]}}}
    return [
        (text[: len(text) // 2], "not the JSON file of an exported program, or it was cut short"),
        ("[1, 2]", "not the JSON file of an exported program"),
        (json.dumps({**parts, "format": "relumodel program 9"}), "not the JSON file of an exported program"),
        (json.dumps(other), "was changed or is damaged: its content does not have the checksum"),
        (json.dumps(short), "was changed or is damaged"),
        (json.dumps({key: value for key, value in parts.items() if key != "arrays"}), "was changed or is damaged"),
    ]


def test_a_damaged_json_file_is_refused(tmp_path):
    compiled("LP").write(tmp_path / "p.cbf")
    path = tmp_path / "p.json"
    text = path.read_text()
    for broken, message in damaged(text):
        path.write_text(broken)
        with pytest.raises(rm.FileError, match=message):
            rm.load_program(path)
    path.write_bytes(text.replace("\n", "\r\n").encode())  # Windows line ends are no damage
    same_program(rm.load_program(path), compiled("LP"))
    path.unlink()
    with pytest.raises(rm.FileError, match=r"There is no file .*p\.json"):
        rm.load_program(path)
