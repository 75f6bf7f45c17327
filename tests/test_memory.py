"""Estimates before anything is allocated, by limits that are pretended; one process with a real one."""

import re
import subprocess
import sys

import numpy as np
import pytest

import relumodel as rm
from relumodel.backend import Options, RawSolution
from relumodel.conic.size import PEAK, form_bytes, matrix_bytes, nonzeros, semidefinite_bytes
from relumodel.resources import memory
from relumodel.resources.memory import Room
from small_programs import KINDS, compiled


def with_room(monkeypatch, size):
    monkeypatch.setattr(memory, "available", lambda: Room(float(size), "the pretended limit"))


@pytest.mark.parametrize("kind", KINDS)
def test_entries_are_counted_without_a_matrix(kind):
    for term in compiled(kind).terms:
        real = term.map.matrix().nnz
        assert real / 2 <= nonzeros(term.map) <= 3 * real, term.name


@pytest.mark.parametrize("kind", KINDS)
def test_few_rows_have_all_cones(kind):
    program = compiled(kind)
    form = program.conic()
    assert program.kinds == form.kinds


def test_few_rows_of_classes_have_all_cones():
    for loss in (rm.MultiMargin(), rm.SoftmaxCrossEntropy()):
        model = rm.Model(rm.TwoLayer(rm.ReLU()), loss, rm.WeightDecay(0.1))
        program = model.compile(np.random.default_rng(0).standard_normal((9, 2)), np.arange(9) % 3, patterns=rm.SamplePatterns(3))
        assert program.kinds == program.conic().kinds


def test_the_estimate_is_that_of_the_matrix_where_data_are_many():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((400, 20)), rng.standard_normal(400)
    program = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Huber(1.0), rm.WeightDecay(0.1)).compile(X, y, patterns=rm.SamplePatterns(10))
    A = program.conic().A
    real = A.data.nbytes + A.indices.nbytes + A.indptr.nbytes
    assert matrix_bytes(program) == pytest.approx(real, rel=0.1)
    assert form_bytes(program) == PEAK * matrix_bytes(program)
    assert semidefinite_bytes(program) == 0
    assert semidefinite_bytes(compiled("SDP")) == 2 * 8 * 10 * 11 / 2  # two matrices of order 4
    assert semidefinite_bytes(compiled("strict SDP")) == (2 * 10 * 11 / 2 + 8 * 6 * 7 / 2) * 8  # and one of order 3 a sample


def forbidden(*_, **__):
    raise AssertionError("the matrix was made")


@pytest.mark.parametrize("backend", ["clarabel", "scs", "ecos", "highs", "cvxpy"])
def test_a_backend_that_does_not_fit_is_refused_before_it_starts(monkeypatch, backend):
    program = compiled("LP")
    try:
        rm.backend.require(rm.backend.find(backend), program.kinds)
    except rm.BackendError:
        pytest.skip(f"{backend} is not installed")
    with_room(monkeypatch, rm.backend.bytes_needed(rm.backend.find(backend), program) - 1)
    monkeypatch.setattr("relumodel.maps.base.MaskedProduct.matrix", forbidden)
    with pytest.raises(
        rm.MemoryLimitError, match=rf"'{backend}' would take at least .* kB of memory, and .* kB are left of the pret"
    ):
        program.solve(backend=backend)


def test_forms_and_files_are_refused_before_they_start(monkeypatch, tmp_path):
    with_room(monkeypatch, 1000)
    monkeypatch.setattr("relumodel.maps.base.MaskedProduct.matrix", forbidden)
    with pytest.raises(rm.MemoryLimitError, match=r"The conic form .* Use backend='admm', which holds no such matrix"):
        compiled("LP").conic()
    for name in ("x.mps", "x.cbf.gz"):
        with pytest.raises(rm.MemoryLimitError, match=f"that {name} holds would take at least"):
            compiled("LP").write(tmp_path / name)
    assert not list(tmp_path.iterdir())
    with pytest.raises(rm.MemoryLimitError, match="Use backend='descent'"):
        compiled("SDP").conic()
    with pytest.raises(rm.MemoryLimitError, match="Use fewer sub-networks"):
        compiled("three layers").conic()


def test_auto_asks_what_fits_and_says_what_it_left_out(monkeypatch):
    program = compiled("SOCP")
    admm = rm.backend.bytes_needed(rm.backend.find("admm"), program)
    smallest = min(rm.backend.bytes_needed(rm.backend.find(name), program) for name in ("clarabel", "scs", "ecos"))
    assert admm < smallest
    with_room(monkeypatch, (admm + smallest) / 2)
    solution = program.solve(tol=1e-4)
    assert solution.backend == "admm"
    assert solution.gap <= 1e-4
    assert "not asked, for their memory: clarabel would take at least" in solution.message
    with_room(monkeypatch, 10)
    with pytest.raises(rm.MemoryLimitError, match=r"No installed backend fits .*admm would take at least .*clarabel would take"):
        program.solve()
    with pytest.raises(rm.MemoryLimitError, match=r"'admm' would take .* Backends that fit: none installed"):
        program.solve(backend="admm")


def test_patterns_are_refused_before_they_are_drawn(monkeypatch):
    X, y = np.random.default_rng(0).standard_normal((100, 3)), np.ones(100)
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.1))
    with_room(monkeypatch, 5000)
    with pytest.raises(rm.MemoryLimitError, match=r"60 patterns of 100 samples would take at least 8.19 kB"):
        model.compile(X, y, patterns=rm.SamplePatterns(60))
    with pytest.raises(rm.MemoryLimitError, match=r"All 9,902 patterns of 100 samples .* rm.SamplePatterns"):
        model.compile(X, y, patterns=rm.EnumeratePatterns())
    with pytest.raises(rm.MemoryLimitError, match="A program on 20 patterns of 100 samples would take at least 6 kB"):
        model.compile(X, y, patterns=rm.GivenPatterns(X @ np.random.default_rng(1).standard_normal((3, 20)) >= 0))


class Hungry:
    """A backend that runs out of memory."""

    name, accepts, supports = "hungry", rm.ConicForm, frozenset(rm.backend.CAPABILITIES)

    def solve(self, problem: rm.ConicForm, options: Options) -> RawSolution:
        raise MemoryError("Unable to allocate 7. TiB")


def test_memory_that_runs_out_all_the_same_is_a_clear_error():
    with pytest.raises(
        rm.MemoryLimitError, match=r"Memory ran out while solving \(Unable to allocate 7. TiB\); and .* are left of"
    ):
        compiled("LP").solve(backend=Hungry())
    assert issubclass(rm.MemoryLimitError, rm.RelumodelError | MemoryError)


def test_the_tightest_cgroup_counts_and_file_caches_do_not(monkeypatch, tmp_path):
    groups = {"/proc/self/cgroup": "0::/a/b\n"}
    read = memory._lines
    monkeypatch.setattr(memory, "_lines", lambda path: groups[str(path)].splitlines() if str(path) in groups else read(path))
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "memory.max").write_text("max\n")
    (tmp_path / "a" / "b" / "memory.current").write_text("5\n")
    assert not list(memory._cgroups())
    (tmp_path / "a" / "memory.max").write_text("1000\n")
    (tmp_path / "a" / "memory.current").write_text("900\n")
    (tmp_path / "a" / "memory.stat").write_text("anon 700\ninactive_file 150\n")
    assert memory.available() == Room(250.0, "the limit of its cgroup")
    groups["/proc/self/cgroup"] = "7:cpu:/\n4:memory:/of/the/host\n"  # version 1, seen from inside of a container
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("600\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("500\n")
    (tmp_path / "memory" / "memory.stat").write_text("total_inactive_file 20\n")
    assert memory.available() == Room(120.0, "the limit of its cgroup")


def test_where_nothing_is_known_nothing_is_refused(monkeypatch):
    for source in ("_machine", "_cgroups", "_process"):
        monkeypatch.setattr(memory, source, lambda: iter(()))
    memory.require(1e30, "Everything", "")
    assert memory.left(memory.available()).endswith("no known limit")


@pytest.mark.parametrize(("size", "text"), [(7, "7 bytes"), (12_345, "12.3 kB"), (338e9, "338 GB"), (9.9e14, "990 TB")])
def test_sizes_in_words(size, text):
    assert memory.shown(size) == text


LIMITED = """
import resource, sys
import numpy as np
import relumodel as rm

X = np.random.default_rng(0).standard_normal((20_000, 50))
model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(1e-3))
resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9,) * 2)
program = model.compile(X, np.sign(X[:, 0]), patterns=rm.SamplePatterns(50, seed=0))
for attempt in (lambda: program.solve(backend="clarabel"), lambda: program.write(sys.argv[1])):
    try:
        attempt()
    except rm.MemoryLimitError as error:
        print(error)
# VmHWM, not ru_maxrss: that one starts from the peak of the process that started this one
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
assert peak < 600_000, f"{peak} kB were taken all the same"
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits are enforced on Linux")
def test_a_process_with_a_limit(tmp_path):
    pytest.importorskip("clarabel")
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "x.mps")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    solve, write = done.stdout.splitlines()
    assert re.match(r"Backend 'clarabel' would take at least 1[67](\.\d)? GB of memory", solve)
    assert (
        "are left of the process's limit RLIMIT_AS. Backends that fit: admm, torch." in solve or "Backends that fit: admm." in solve
    )
    assert re.match(r"The conic form that x.mps holds would take at least 4\.[89]\d? GB of memory", write)
    assert not list(tmp_path.iterdir())
