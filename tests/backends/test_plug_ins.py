"""Built-in backends are plug-ins: found through entry points, refused with reasons, importing nothing private."""

import ast
import importlib.util
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import relumodel as rm
from data_strategies import example
from relumodel.solve import registry

ROOT = Path(__file__).parents[2]
BUILT_IN = {
    # name: the package it needs, what it accepts, what it supports
    "clarabel": ("clarabel", "ConicForm", registry.CAPABILITIES),
    "ecos": ("ecos", "ConicForm", ("zero", "nonnegative", "second-order", "exponential")),
    "scs": ("scs", "ConicForm", registry.CAPABILITIES),
    "highs": ("highspy", "ConicForm", ("zero", "nonnegative", "quadratic")),
    "cvxpy": ("cvxpy", "Program", registry.CAPABILITIES),
}


@pytest.fixture
def program():
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Logistic(), rm.WeightDecay(0.05))
    return model.compile(*example(model), patterns=rm.SamplePatterns(3, seed=0))


@pytest.mark.parametrize("name", BUILT_IN)
def test_entry_points_and_the_list_of_backends(name):
    _, accepts, supports = BUILT_IN[name]
    (entry,) = entry_points(group="relumodel.backends", name=name)
    assert type(registry.find(name)) is entry.load()
    (info,) = [info for info in rm.backends() if info.name == name]
    assert (info.available, info.accepts, info.supports) == (True, accepts, supports)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_missing_package_is_named_with_its_remedy(name, program, monkeypatch):
    package = BUILT_IN[name][0]
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked, *more: None if asked == package else real(asked, *more))
    (info,) = [info for info in rm.backends() if info.name == name]
    assert not info.available
    assert info.reason.startswith(f"the package {package} is not installed (pip install 'relumodel[")
    with pytest.raises(rm.MissingPackageError, match=f"Backend '{name}' is not available: the package {package}"):
        program.solve(backend=name)
    assert program.solve().backend != name  # "auto" takes another


@pytest.mark.parametrize("name", BUILT_IN)
def test_unknown_options_are_refused(name):
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.PathNorm(0.05))
    program = model.compile(*example(model), patterns=rm.SamplePatterns(3, seed=0))
    with pytest.raises(rm.InputError, match=f"Backend '{name}' has no option 'maxiter'; its options are "):
        program.solve(backend=name, maxiter=3)


@pytest.mark.parametrize("name", BUILT_IN)
def test_options_are_described_with_their_defaults(name):
    for option, words in registry.find(name).options.items():
        assert option.isidentifier()
        assert "(" in words, f"{option} does not say its default"


def test_a_missing_cone_is_named_with_who_has_it(program):
    message = (
        r"Backend 'highs' lacks second-order, exponential, .* it supports zero, nonnegative, quadratic\. .*can take it: .*clarabel"
    )
    with pytest.raises(rm.BackendError, match=message) as caught:
        program.solve(backend="highs")
    able = str(caught.value).partition("can take it: ")[2].rstrip(".").split(", ")
    assert {"clarabel", "ecos", "scs", "cvxpy"} <= set(able)
    assert "highs" not in able


@pytest.mark.parametrize("name", BUILT_IN)
def test_instances_and_registered_names(name, program, monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    made = type(registry.find(name))()
    made.name = f"my {name}"
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.PathNorm(0.05))
    linear = model.compile(*example(model), patterns=rm.SamplePatterns(3, seed=0))
    assert linear.solve(backend=made).backend == f"my {name}"
    rm.register(made)
    assert linear.solve(backend=f"my {name}").status == "optimal"
    assert rm.backends()[0].name == f"my {name}"


def imported(file: Path) -> set[str]:
    """The absolute names of all modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_relumodel_never_imports_a_backend():
    packages = {path.name for path in (ROOT / "backends").iterdir() if path.is_dir()}
    assert {"relumodel_conic", "relumodel_cvxpy"} <= packages
    for file in (ROOT / "relumodel").rglob("*.py"):
        assert not {name.partition(".")[0] for name in imported(file)} & packages, file


@pytest.mark.parametrize("package", ["relumodel_admm", "relumodel_conic", "relumodel_cvxpy"])
def test_backends_import_the_plug_in_interface_only(package):
    """What a third party is promised is enough for us, too."""
    for file in (ROOT / "backends" / package).rglob("*.py"):
        ours = {name for name in imported(file) if name.partition(".")[0] == "relumodel"}
        private = {
            name
            for name in ours
            if not name.startswith(("relumodel.backend", "relumodel.program", "relumodel.functions", "relumodel.maps"))
        }
        assert not private, f"{file.name} imports {', '.join(sorted(private))}"
