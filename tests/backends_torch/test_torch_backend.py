"""Backend "torch": the iterations of "admm" on tensors, on the CPU and, where there is one, a CUDA device."""

import importlib.util
import signal
import subprocess
import sys
from importlib.metadata import entry_points

import numpy as np
import pytest

import relumodel as rm
from relumodel.backend import Options
from relumodel.program.arrays import Arrays
from relumodel.testing import check_backend
from relumodel_admm.backend import AdmmBackend
from relumodel_admm.first_order import FirstOrder

torch = pytest.importorskip("torch")
from relumodel.program.tensors import Tensors  # noqa: E402
from relumodel_torch.backend import TorchBackend  # noqa: E402

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


def program(loss=None, penalty=None, perturbation=None, robust="strict", activation=None, n=24, patterns=5, outputs=None):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 3))
    y = np.where(X[:, 0] + 0.3 * rng.standard_normal(n) > 0, 1.0, -1.0) if outputs is None else rng.integers(0, outputs, n)
    penalty = penalty or rm.WeightDecay(1e-2)
    model = rm.Model(rm.TwoLayer(activation or rm.ReLU(), bias=True), loss or rm.Squared(), penalty, perturbation, robust)
    return model.compile(X, y, patterns=rm.SamplePatterns(patterns, seed=0))


def solved(compiled, tol=1e-3, **options):
    return compiled.solve(backend=TorchBackend(), tol=tol, **options)


CASES = {
    "squared": program(),
    "hinge, path norm": program(rm.Hinge(), rm.PathNorm(1e-2)),
    "absolute": program(rm.Absolute(), rm.PathNorm(1e-2)),
    "huber, leaky": program(rm.Huber(0.3), activation=rm.LeakyReLU(0.1)),
    "squared hinge, gated": program(rm.SquaredHinge(), activation=rm.GatedReLU()),
    "logistic": program(rm.Logistic()),
    "strict LInf": program(rm.Hinge(), perturbation=rm.LInf(0.05), n=12, patterns=3),
    "strict L2": program(rm.Squared(), perturbation=rm.L2(0.05), n=6, patterns=1),
    "strict L1": program(rm.Logistic(), perturbation=rm.L1(0.05), n=12, patterns=3),
    "crossing": program(rm.Hinge(), perturbation=rm.LInf(0.05), robust="crossing", n=8, patterns=2),
    "crossing residual": program(rm.Squared(), perturbation=rm.LInf(0.05), robust="crossing", n=6, patterns=1),
    "outputs": program(rm.MultiMargin(), outputs=3),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("name", "dense"),
    [*((name, True) for name in CASES), *((name, False) for name in ("squared", "logistic", "strict LInf", "crossing"))],
)
def test_it_iterates_as_admm_does(name, dense, device, monkeypatch):
    monkeypatch.setattr("relumodel_admm.first_order.DENSE", 600 if dense else 0)
    compiled, steps = CASES[name], 2 if "residual" in name or "L2" in name else 15
    ours = solved(compiled, 1e-12, max_iter=steps, device=device)
    theirs = compiled.solve(backend=AdmmBackend(), tol=1e-12, method="admm", max_iter=steps)
    assert ours.iterations == theirs.iterations
    np.testing.assert_allclose(ours.point, theirs.point, atol=1e-8)
    assert ours.objective == pytest.approx(theirs.objective, rel=1e-8)
    assert ours.bound == pytest.approx(theirs.bound, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", ["squared", "squared hinge, gated", "logistic"])
def test_it_finds_the_optimum(name):
    ours, best = solved(CASES[name]), CASES[name].solve(backend="clarabel")
    assert ours.status == "optimal"
    assert ours.violation == 0
    assert ours.objective == pytest.approx(best.objective, rel=1.1e-3)
    assert ours.bound <= best.objective * (1 + 1e-7)
    assert ours.message.endswith("float64 on cpu")


@pytest.mark.parametrize("loss", [rm.MultiMargin(), rm.SoftmaxCrossEntropy(), rm.Squared()], ids=["margin", "softmax", "squared"])
def test_several_outputs(loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 2))
    y = rng.standard_normal((20, 2)) if isinstance(loss, rm.Squared) else rng.integers(0, 3, 20)
    compiled = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), loss, rm.WeightDecay(0.05)).compile(
        X, y, patterns=rm.SamplePatterns(3, seed=0)
    )
    ours, theirs = solved(compiled, max_iter=60), compiled.solve(backend=AdmmBackend(), tol=1e-3, method="admm", max_iter=60)
    assert ours.objective == pytest.approx(theirs.objective, rel=1e-8)


@pytest.mark.parametrize("name", ["squared", "squared hinge, gated"])
def test_float32_is_certified_in_float64(name):
    compiled = CASES[name]
    ours, best = solved(compiled, 2e-2, dtype="float32", max_iter=400), compiled.solve(backend="clarabel").objective
    assert ours.violation == 0
    assert ours.bound <= best * (1 + 1e-7) <= ours.objective * (1 + 2e-7)
    assert ours.objective == pytest.approx(best, rel=3e-2)
    first = FirstOrder(compiled, Options(), Tensors("float32"), None)
    first.splitting.step()
    parts = (*first.splitting.states, *first.splitting.copies, *first.splitting.images, first.splitting.x)
    assert {part.dtype for part in parts} == {torch.float32}


def test_an_iteration_asks_nothing(monkeypatch):
    """Losses and penalties in closed form: no number leaves the device between two looks. Here any tensor counts as a device's."""
    from torch.utils._python_dispatch import TorchDispatchMode

    asked = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if function is torch.ops.aten._local_scalar_dense.default:
                asked.append(function)
            return function(*args, **(kwargs or {}))

    for part in ("relumodel.functions.roots", "relumodel_admm.normal_system"):
        monkeypatch.setattr(f"{part}.on_host", lambda values: False)
    monkeypatch.setattr("relumodel_admm.first_order.DENSE", 0)
    for name in ("squared", "hinge, path norm", "huber, leaky", "squared hinge, gated"):
        splitting = FirstOrder(CASES[name], Options(), Tensors(), None).splitting
        with torch.no_grad(), Watch():
            for _ in range(3):
                splitting.step()
            assert not asked
            bool(splitting.x.any())
            assert asked
            asked.clear()


CLOSED = ["squared", "hinge, path norm", "absolute", "huber, leaky", "squared hinge, gated"]


@pytest.mark.parametrize("dense", [True, False], ids=["factorised", "conjugate gradients"])
@pytest.mark.parametrize("name", CASES)
def test_an_iteration_stays_on_its_device(name, dense, monkeypatch):
    """On a device that knows shapes alone: a number asked for, or an array made elsewhere, is an error. Root searches, which do ask, are
    cut short; losses and penalties in closed form have none."""
    monkeypatch.setattr("relumodel_admm.first_order.DENSE", 600 if dense else 0)
    if name not in CLOSED:
        for module in ("functions.margin_losses", "functions.class_losses", "declare.perturbations", "functions.roots"):
            monkeypatch.setattr(f"relumodel.{module}.all_converged", lambda done, step: step > 1)
    compiled = CASES[name].parts[0]
    splitting = FirstOrder(compiled, Options(), Tensors("float64", "meta"), None).splitting
    if "strict" in name:  # asked once in a solve
        vars(splitting.functions[0])["groups"] = compiled.terms[0].function.groups
    with torch.inference_mode():
        for _ in range(2):
            splitting.step()
        assert {part.device.type for part in (*splitting.states, *splitting.copies, splitting.x)} == {"meta"}
        with pytest.raises(RuntimeError, match="meta"):
            splitting.balance(None)  # this one asks


def test_without_asking_it_finds_the_same(monkeypatch):
    """The branch of devices, taken on the CPU."""
    here = solved(CASES["logistic"], 1e-12, max_iter=30)
    for part in ("relumodel.functions.roots", "relumodel_admm.normal_system"):
        monkeypatch.setattr(f"{part}.on_host", lambda values: isinstance(values, np.ndarray))
    there = solved(CASES["logistic"], 1e-12, max_iter=30)
    assert there.objective == pytest.approx(here.objective, rel=1e-9)
    strict = solved(CASES["strict L1"], 1e-12, max_iter=10)
    assert strict.objective >= CASES["strict L1"].solve(backend="clarabel").objective * (1 - 1e-7)


def test_tensors_and_back():
    values = np.arange(6.0).reshape(2, 3).T
    values.flags.writeable = False
    for dtype in ("float64", "float32"):
        tensor = Tensors(dtype).give(values)
        assert tensor.dtype == getattr(torch, dtype)
        assert Tensors(dtype).take(tensor).dtype == np.float64
        np.testing.assert_array_equal(Tensors(dtype).take(tensor), values)
    assert Tensors("float32").give(np.arange(3)).dtype == torch.int64
    assert Arrays("float32").give(values).dtype == np.float32


@pytest.mark.parametrize("device", DEVICES)
def test_the_same_call_gives_the_same_answer(device):
    first, second = (solved(CASES["strict LInf"], 1e-12, max_iter=30, device=device) for _ in range(2))
    if device == "cpu":
        assert np.array_equal(first.point, second.point)
    assert first.objective == pytest.approx(second.objective, rel=1e-9)


def test_stopped_by_the_callback_the_limit_the_clock_and_ctrl_c():
    compiled = program(rm.Hinge(), n=60, patterns=10)
    best = compiled.solve(backend="clarabel").objective
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    by_ctrl_c = solved(compiled, 1e-12, callback=lambda progress: signal.raise_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, before)
    by_callback = solved(compiled, 1e-9, callback=lambda progress: progress.iteration >= 40)
    by_limit = solved(compiled, 1e-9, max_iter=35)
    by_clock = solved(compiled, 1e-12, time_limit=0.05)
    assert (by_callback.status, by_callback.iterations) == ("interrupted", 40)
    assert (by_limit.status, by_limit.iterations) == ("tolerance not reached", 35)
    assert by_clock.status == "time limit"
    assert by_ctrl_c.status == "interrupted"
    for solution in (by_ctrl_c, by_callback, by_limit, by_clock):
        assert solution.violation == 0
        assert solution.bound <= best * (1 + 1e-7) <= solution.objective * (1 + 2e-7)


def test_it_starts_from_a_warm_start():
    near = solved(CASES["squared"], 1e-4)
    start = near.point.copy()
    again = solved(CASES["squared"], max_iter=10, warm_start=near)
    assert again.objective <= near.objective < solved(CASES["squared"], 1e-12, max_iter=5).objective
    np.testing.assert_array_equal(near.point, start)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "device must be one of cpu, cuda, mps, or cuda:1 for the second; got 'tpu'"),
        ({"device": "cpu:1"}, "device must be one of"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not here: torch .* sees cpu"),
        ({"device": None}, "device must be one of"),
        ({"dtype": "float16"}, "dtype must be one of float64, float32; got 'float16'"),
        ({"cg_steps": 0}, "cg_steps must be a whole number, at least 1; got 0"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(rm.BackendError, match=message):
        solved(CASES["squared"], **options)
    with pytest.raises(rm.InputError, match="Backend 'torch' has no option 'gpu'; its options are device, dtype"):
        solved(CASES["squared"], gpu=True)


def test_what_a_device_cannot_do_is_said_before_the_start(monkeypatch):
    from types import SimpleNamespace

    from relumodel_torch.backend import _must_fit

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(rm.BackendError, match="device 'mps' computes in float32 only"):
        solved(CASES["squared"], device="mps", dtype="float64")
    small = SimpleNamespace(cuda=SimpleNamespace(mem_get_info=lambda device: (1000, 2000)))
    with pytest.raises(rm.BackendError, match=r"GiB of cuda:0, which has 0\.0 free; try dtype='float32' or fewer patterns"):
        _must_fit(CASES["squared"], "cuda:0", "float64", small)
    _must_fit(CASES["squared"], "cpu", "float64", small)


def test_it_is_a_plug_in_that_auto_asks_last(monkeypatch):
    (entry,) = entry_points(group="relumodel.backends", name="torch")
    assert entry.load() is TorchBackend
    assert TorchBackend().reluctant(CASES["squared"], 1e-6)
    polynomial = rm.Model(rm.TwoLayer(rm.Polynomial()), rm.Squared(), rm.WeightDecay(0.1)).compile(np.eye(2), [1.0, 2.0])
    with pytest.raises(rm.BackendError, match="Backend 'torch' lacks semidefinite"):
        polynomial.solve(backend=TorchBackend())
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked, *more: None if asked == "torch" else real(asked, *more))
    with pytest.raises(rm.MissingPackageError, match=r"the package torch is not installed \(pip install 'relumodel\[torch\]'\)"):
        solved(CASES["squared"])


def test_it_passes_the_conformance_kit():
    """What needs one solve a check: the whole kit takes 20 s, since its problems are small and an iteration costs 0.2 ms in calls alone."""
    quick = ["protocol", "soft_threshold", "zero_optimum", "one_sample", "orthonormal_groups", "active_cones", "leaky"]
    report = check_backend(
        TorchBackend(), only=[*quick, "mean_reduction", "logistic_root", "huber_by_hand", "squared_hinge_by_hand"]
    )
    assert report.ok
    assert not report.skipped


def test_torch_is_loaded_when_it_is_used_only():
    code = "import sys, relumodel as rm; rm.backends(); import relumodel_torch.backend; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
