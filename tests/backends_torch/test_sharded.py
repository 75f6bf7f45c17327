"""Rows on several processes: every number is that of one process with all rows, and a lost process costs no more than its last steps."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import relumodel as rm
import relumodel_admm.checkpoint
from relumodel.program.ranks import SINGLE_PROCESS
from relumodel_admm.backend import AdmmBackend

pytest.importorskip("torch")
import ranks_at_work as at_work

LIMIT = 900
DOCUMENT = Path(__file__).parents[2] / "docs" / "many_machines.md"


def launched(folder, *played):
    """Play scenarios; by scenario, what every rank that did not break off has written."""
    ended = subprocess.run(
        [sys.executable, at_work.__file__, str(folder), *played], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    told = {}
    for scenario, size in (each.split(":") for each in played):
        told[scenario] = [json.loads(path.read_text()) for path in sorted(folder.glob(f"{scenario}-*.json"))]
        assert len(told[scenario]) == (1 if scenario == "killed" else int(size)), ended.stderr
    return told


@cache
def played():
    with tempfile.TemporaryDirectory() as folder:
        return launched(Path(folder), "two_ranks:2", "agreement:3", "killed:2", "resumed:2")


@pytest.fixture
def at_the_end_only(monkeypatch):
    """As the ranks compute, and what a case sets put back."""
    monkeypatch.setattr("relumodel_admm.first_order.LOOKS", ())
    monkeypatch.setattr("relumodel_admm.first_order.DENSE", 600)


@pytest.fixture
def iterative(monkeypatch):
    """Put back what a case sets."""
    monkeypatch.setattr("relumodel_admm.first_order.DENSE", 600)


@pytest.fixture
def two():
    return played()["two_ranks"]


def same(theirs, program, solution):
    """Whether all ranks have what one process with all rows has."""
    ours = at_work.told(program, solution)
    for each in theirs:
        assert (each["status"], each["iterations"]) == (ours["status"], ours["iterations"])
        assert each["constraints"] == ours["constraints"]
        assert each["objective"] == pytest.approx(ours["objective"], rel=1e-8)
        assert each["bound"] == pytest.approx(ours["bound"], rel=1e-7, abs=1e-9)
        assert each["at"] == pytest.approx(ours["at"], rel=1e-7)
        assert each["violation"] == 0
        np.testing.assert_allclose(each["point"], ours["point"], atol=1e-7)
        assert each["point"] == theirs[0]["point"]
        assert each["neurons"] == theirs[0]["neurons"]
    assert [row for each in theirs for row in each["patterns"]] == ours["patterns"]


@pytest.mark.parametrize(("name", "size"), [*((name, 2) for name in at_work.CASES), *((name, 3) for name in at_work.THREE)])
@pytest.mark.usefixtures("at_the_end_only")
def test_several_ranks_have_what_one_process_has(name, size):
    ranks = played()["two_ranks" if size == 2 else "agreement"]
    program = at_work.compiled(name)
    solution = at_work.solved(program)
    same([each[name] for each in ranks], program, solution)
    network, (*declared, y, weights, _, _) = solution.network(), at_work.CASES[name]
    theirs = network.objective(at_work.model(*declared), at_work.X, y, weights)
    assert ranks[0][name]["objective"] == pytest.approx(theirs, rel=1e-8)


@pytest.mark.usefixtures("at_the_end_only")
def test_warm_starts_and_other_penalties(two):
    program = at_work.compiled("squared, weights")
    first = at_work.solved(program)
    same([each["warm"] for each in two], program, at_work.solved(program, warm_start=first, max_iter=5))
    other = program.with_penalty(1e-3)
    same([each["path"] for each in two], other, at_work.solved(other))


def test_a_program_says_which_rows_it_has(two):
    for rank, each in enumerate(two):
        assert f"22 + 18 rows on 2 ranks (gloo); this is rank {rank}" in each["printed"]


def test_all_ranks_stop_where_one_does(two):
    for how, status, iterations in (("callback", "interrupted", 20), ("ctrl-c", "interrupted", 10), ("clock", "time limit", None)):
        told = [each[how]["told"] for each in two]
        assert {each["status"] for each in told} == {status}
        assert told[0]["iterations"] == told[1]["iterations"]
        assert iterations in (None, told[0]["iterations"])
        assert told[0]["point"] == told[1]["point"]
    assert {each["auto"]["backend"] for each in two} == {"torch"}


def test_one_rank_shows_the_progress(two):
    assert "iteration 1" in two[0]["shown"]
    assert two[1]["shown"] == ""


MESSAGES = {
    "features": "InputError: The ranks must have the same number of features: rank 0 has 3, rank 1 has 2",
    "models": "InputError: The ranks must have the same model: rank 0 has",
    "seeds": "InputError: The ranks must have the same source of patterns: rank 0 has SamplePatterns(count=5, seed=0)",
    "counts": "InputError: The ranks must have the same source of patterns",
    "no rows": "X must hold at least one sample and one feature; got shape (0, 3)",
    "no weights": "sample_weight is zero for every sample",
    "nan": "X holds 84 NaN values",
    "one class": "InputError: Hinge needs both classes; every label in y is +1",
    "one label": "InputError: MultiMargin needs two classes at least; every label in y is 1",
    "too many": "InputError: SamplePatterns found 2 distinct patterns in 164 draws on the rows of all ranks, not the 50",
    "enumerated": "InputError: EnumeratePatterns needs all rows in one process; with group= use",
    "adaptive": "InputError: AdaptivePatterns needs all rows in one process",
    "no source": "InputTypeError: group= compiles on patterns=rm.SamplePatterns(50, seed=0) or",
    "perturbed": "InputError: group= trains without a perturbation; got LInf",
    "three layers": "InputError: group= trains two-layer networks with ReLU, LeakyReLU or GatedReLU; got ParallelThreeLayer",
    "polynomial": "InputError: group= trains two-layer networks with ReLU, LeakyReLU or GatedReLU; got TwoLayer",
    "no group": "InputTypeError: group must be a torch.distributed process group, for example dist.group.WORLD; got None",
    "not a group": "InputTypeError: group must be a torch.distributed process group",
    "no member": "InputError: This process does not belong to the group",
    "clarabel": "BackendError: Backend 'clarabel' cannot take this program: its rows are on 2 ranks, and it needs all of them in one "
    "process. Backends that can: torch.",
    "admm": "BackendError: Backend 'admm' cannot take this program: its rows are on 2 ranks",
    "pickle": "InputTypeError: A program of a group stays in its process",
    "conic": "InputError: The conic form needs all rows in one process",
    "write": "InputError: A file of the program needs all rows in one process",
    "tolerances": "InputError: The ranks must have the same tol: rank 0 has 0.001, rank 1 has 0.0001",
    "bad tolerance": "tol must be a finite number > 0; got -1.0",
    "steps": "InputError: The ranks must have the same cg_steps: rank 0 has 1, rank 1 has 2",
    "device": "device must be one of cpu, cuda, mps, or cuda:1 for the second; got 'tpu'",
    "checkpoint": "for checkpoints cannot be made: File exists",
    "one checkpoint": "InputError: The ranks must have the same options: rank 0 has ['max_iter'], rank 1 has ['checkpoint', 'max_iter']",
    "callback": "in the callback",
}


@pytest.mark.parametrize("what", MESSAGES)
def test_bad_input_is_an_error_on_every_rank(two, what):
    """The ranks went on together after each of them, or the later ones would have failed."""
    for each in two:
        assert MESSAGES[what] in each[f"error: {what}"]
    if what in ("no rows", "nan", "bad tolerance", "device", "checkpoint"):
        assert "InputError: Rank 1 stopped with" in two[0][f"error: {what}"]
        assert "Rank 1" not in two[1][f"error: {what}"]


def test_a_group_of_one_takes_every_backend(two):
    program = at_work.compiled("hinge")
    same([two[0]["alone"]], program, at_work.solved(program))
    assert two[0]["alone, clarabel"] == "optimal"


def test_without_an_initialised_group():
    import torch.distributed as dist

    for group in (dist.group.WORLD, None, "gloo"):  # WORLD is None before the group is initialised
        with pytest.raises(rm.InputError, match=r"group= needs an initialised process group; call .*init_process_group\('gloo'\)"):
            at_work.compiled("hinge", group=group)


def test_one_process_is_alone():
    assert at_work.compiled("hinge").ranks is SINGLE_PROCESS
    assert SINGLE_PROCESS.size == 1
    with SINGLE_PROCESS.together():
        SINGLE_PROCESS.agree({"anything": 1})


@pytest.mark.cuda
def test_cuda_devices_joined_by_nccl(tmp_path):
    """As many ranks as there are devices, two at most; one rank still sends everything through nccl."""
    import torch

    size = min(2, torch.cuda.device_count())
    told = launched(tmp_path, f"nccl:{size}")["nccl"]
    for name in at_work.THREE:
        program = at_work.compiled(name)
        here = at_work.solved(program, max_iter=20)
        for each in told:
            assert each[name]["objective"] == pytest.approx(here.objective, rel=1e-7)
            assert each[name]["point"] == told[0][name]["point"]


def test_a_killed_rank_is_an_error_on_the_others():
    (other,) = played()["killed"]
    assert "RankError: Rank 0 of 2 lost contact with another rank" in other["error"]
    assert "It was after iteration 40; checkpoints in" in other["error"]
    assert "the last one is of iteration 20" in other["error"]
    assert other["files"] == [f"output{part}-iteration{k}-rank{r}of2.npz" for part, k in ((0, 60), (1, 20)) for r in (0, 1)]


def test_all_ranks_go_on_from_the_checkpoint(iterative):
    told = played()["resumed"]
    program = at_work.compiled("two outputs")
    same([each["resumed"] for each in told], program, at_work.solved(program, max_iter=60))
    for each in told:
        assert "resumed at iteration 60" in each["resumed"]["message"]
        assert "resumed at iteration 20" in each["resumed"]["message"]
        assert "is of another program: the model, the rows of this rank or the patterns were others" in each["other"]
        assert "is one of 2 ranks, and this is a solve on 1" in each["alone"]
        assert each["files"] == [f"output{part}-iteration60-rank{r}of2.npz" for part in (0, 1) for r in (0, 1)]


def test_the_script_of_the_documentation_under_torchrun(tmp_path):
    """The rows go to the ranks in turns there, so their order is another one than in one process."""
    (script,) = re.findall(r"^```py\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "train.py").write_text(script)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "train.py"]
    settings = os.environ | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # as the document says of restarts
    ended = subprocess.run(torchrun, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("objective") == 1
    X = np.random.default_rng(0).uniform(-1, 1, (600, 5))
    y = np.sign(X[:, 0] * X[:, 1])
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-2))
    solution = model.compile(X, y, patterns=rm.SamplePatterns(20, seed=0)).solve(backend="torch", tol=5e-2)
    assert rm.load(tmp_path / "net.npz").objective(model, X, y) == pytest.approx(solution.objective, rel=1e-8)
    assert {path.name.split("-")[2] for path in (tmp_path / "run").iterdir()} == {"rank0of2.npz", "rank1of2.npz"}


def interrupted(program, folder, iteration):
    return program.solve(
        backend=AdmmBackend(),
        method="admm",
        tol=1e-12,
        max_iter=130,
        checkpoint=folder,
        callback=lambda p: p.iteration >= iteration,
    )


@pytest.mark.parametrize("name", ["hinge", "squared, weights", "softmax"])
@pytest.mark.parametrize("at", [20, 60, 100])
def test_one_process_goes_on_where_it_was(name, at, tmp_path, iterative):
    program = at_work.compiled(name)
    whole = interrupted(program, None, 1000)
    assert interrupted(program, tmp_path / "new" / "run", at).iterations == at
    (tmp_path / "new" / "run" / f".output0-iteration{at + 5}-rank0of1.npz.abc").touch()  # what a killed write leaves
    again = interrupted(program, tmp_path / "new" / "run", 1000)
    assert again.iterations == whole.iterations == 130
    assert f"resumed at iteration {at}" in again.message
    assert again.objective == pytest.approx(whole.objective, rel=1e-8)
    assert again.bound == pytest.approx(whole.bound, rel=1e-7, abs=1e-9)
    np.testing.assert_allclose(again.point, whole.point, atol=1e-7)
    assert [path.name for path in (tmp_path / "new" / "run").iterdir()] == ["output0-iteration130-rank0of1.npz"]
    done = interrupted(program, tmp_path / "new" / "run", 1000)
    assert done.iterations == 130
    assert done.objective == pytest.approx(whole.objective, rel=1e-8)


def test_a_killed_process_goes_on(tmp_path):
    code = f"""
import os, signal
import ranks_at_work as at_work, relumodel_admm.checkpoint
from relumodel_admm.backend import AdmmBackend
relumodel_admm.checkpoint.PAUSE = 0.0
at_work.compiled("hinge").solve(
    backend=AdmmBackend(), method="admm", tol=1e-12, checkpoint={str(tmp_path)!r},
    callback=lambda progress: progress.iteration >= 80 and os.kill(os.getpid(), signal.SIGKILL))
"""
    ended = subprocess.run([sys.executable, "-c", code], timeout=LIMIT, check=False, cwd=at_work.HERE)
    assert ended.returncode == -9
    again, whole = (interrupted(at_work.compiled("hinge"), folder, 1000) for folder in (tmp_path, None))
    assert "resumed at iteration 60" in again.message
    assert again.iterations == whole.iterations
    assert again.objective == pytest.approx(whole.objective, rel=1e-8)


def test_checkpoints_are_written_now_and_then(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(relumodel_admm.checkpoint, "PAUSE", 1e6)
    monkeypatch.setattr(
        relumodel_admm.checkpoint, "replace_file", lambda path, write: written.append(path) or rm.files.replace_file(path, write)
    )
    at_work.solved(at_work.compiled("hinge"), checkpoint=tmp_path)
    assert [path.name for path in written] == ["output0-iteration20-rank0of1.npz"]  # at the end only
    written.clear()
    monkeypatch.setattr(relumodel_admm.checkpoint, "PAUSE", 0.0)
    at_work.solved(at_work.compiled("hinge"), checkpoint=tmp_path / "other")
    assert [path.name.split("-")[1] for path in written] == ["iteration10", "iteration20"]


def test_a_checkpoint_is_of_one_program(tmp_path):
    program = at_work.compiled("hinge")
    at_work.solved(program, checkpoint=tmp_path)
    (path,) = tmp_path.iterdir()
    before = path.read_bytes()
    y = -at_work.SIGNS
    others = {
        "penalty": program.with_penalty(0.02),
        "targets": program.model.compile(at_work.X, y, at_work.FEW),
        "rows": program.model.compile(at_work.X[:-1], at_work.SIGNS[:-1], at_work.FEW),
        "patterns": program.model.compile(at_work.X, at_work.SIGNS, rm.SamplePatterns(3, seed=1)),
        "weights": program.model.compile(at_work.X, at_work.SIGNS, at_work.FEW, np.linspace(1, 2, len(y))),
    }
    for other in others.values():
        with pytest.raises(rm.BackendError, match="is of another program"):
            at_work.solved(other, checkpoint=tmp_path)
    assert path.read_bytes() == before
    again = at_work.solved(program.model.compile(at_work.X, at_work.SIGNS, at_work.FEW), checkpoint=tmp_path, max_iter=40)
    assert "resumed at iteration 20" in again.message
    (path,) = tmp_path.iterdir()
    with io.BytesIO() as other:
        np.save(other, np.zeros(3))
        array = other.getvalue()
    for damaged in (b"", before[:100], before.replace(before[2000:2008], b"flipped!"), array):
        path.write_bytes(damaged)
        with pytest.raises(rm.FileError, match="is not a checkpoint, or damaged"):
            at_work.solved(program, checkpoint=tmp_path)
        assert path.read_bytes() == damaged


def test_files_of_others_stay_in_the_folder(tmp_path):
    kept, left = tmp_path / "output0-iteration10-rank0of1.npz.bak", tmp_path / ".output0-iteration10-rank0of1.npz.ab_12"
    kept.touch()
    left.touch()  # of a write that broke off
    at_work.solved(at_work.compiled("hinge"), checkpoint=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {kept.name, "output0-iteration20-rank0of1.npz"}


def test_what_solves_several_programs_takes_no_checkpoint_and_no_group(tmp_path):
    model = at_work.compiled("hinge").model
    data = at_work.X, at_work.SIGNS
    for several in (
        lambda **options: model.fit(*data, **options),
        lambda **options: rm.path(model, *data, betas=[0.1, 0.01], patterns=at_work.FEW, **options),
        lambda **options: rm.polish(at_work.NETWORK, at_work.compiled("patterns of a network").model, *data, **options),
    ):
        with pytest.raises(rm.InputError, match="A checkpoint is of one program"):
            several(checkpoint=tmp_path)
        with pytest.raises(rm.InputError, match="needs all rows in one process"):
            several(group="gloo")
    (one,) = rm.path(model, *data, betas=[0.1], patterns=at_work.FEW, backend="torch", max_iter=10, checkpoint=tmp_path)
    again = model.fit(*data, patterns=at_work.FEW, backend="torch", max_iter=10, checkpoint=tmp_path / "fit")
    assert one.iterations == again.solution.iterations == 10
    assert (tmp_path / "fit").is_dir()


def test_bad_checkpoints(tmp_path):
    program = at_work.compiled("hinge")
    for bad in (3, ""):
        with pytest.raises(rm.BackendError, match=f"checkpoint must be the path of a folder; got {bad!r}"):
            at_work.solved(program, checkpoint=bad)
    (tmp_path / "file").touch()
    with pytest.raises(rm.FileError, match="for checkpoints cannot be made"):
        at_work.solved(program, checkpoint=tmp_path / "file")
    folder = tmp_path / "gone"
    with pytest.raises(rm.FileError, match="for checkpoints cannot be read: No such file"):
        at_work.solved(program, checkpoint=folder, callback=lambda progress: shutil.rmtree(folder, ignore_errors=True))
    with pytest.raises(rm.BackendError, match="The interior point writes no checkpoints"):
        program.solve(backend=AdmmBackend(), method="interior point", checkpoint=tmp_path)
    assert "no option checkpoint" in program.solve(backend=AdmmBackend(), checkpoint=tmp_path, tol=0.5).message
