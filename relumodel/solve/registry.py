"""Backends by name: those of plug-ins and of this process, what each can take, and which a program needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..conic.form import ConicForm
from ..conic.size import form_bytes
from ..errors import BackendError, InputError, InputTypeError, MissingPackageError, RelumodelError
from ..functions.ball_loss import BallLoss
from ..maps.symmetric import packed_size
from ..program.program import Program
from ..resources import memory
from ..resources.deadline import current
from .protocol import CAPABILITIES, Backend, Options

#: Entries of the triangle of a matrix to the third, over all matrices, beyond which `many_matrices`: 40 samples of 20 features have
#: 6e8 and take Clarabel minutes, 40 of 10 features 2e7 and 0.7 s.
MATRICES = 2e8


#: Operations of a few sparse factorisations, for one of a dense product.
CONIC = 64.0


@dataclass(frozen=True)
class BackendInfo:
    """One line of `rm.backends()`."""

    name: str
    available: bool
    reason: str
    accepts: str
    supports: tuple[str, ...]

    def __str__(self) -> str:
        state = "available" if self.available else f"not available: {self.reason}"
        return f"{self.name:<10} {state:<12} accepts {self.accepts}; {', '.join(self.supports)}"


_registered: dict[str, Backend] = {}


_loaded: dict[str, Backend] = {}


def register(backend: Backend) -> None:
    """Make a backend known by its name in this process. An instance, not a class; a later one of the same name replaces it."""
    check_protocol(backend)
    _registered[backend.name] = backend


def check_protocol(backend: Any) -> None:
    """Raise an error that names what a would-be backend lacks."""
    if isinstance(backend, type):
        raise InputTypeError(f"A backend is an instance; got the class {backend.__name__}. Add parentheses: {backend.__name__}().")
    missing = [name for name in ("name", "accepts", "supports", "solve") if not hasattr(backend, name)]
    if missing:
        raise InputTypeError(
            f"A backend needs name, accepts, supports and solve(problem, options); {type(backend).__name__} lacks {', '.join(missing)}."
        )
    if not isinstance(backend.name, str) or not backend.name:
        raise InputTypeError(f"The name of a backend is a non-empty string; {type(backend).__name__} has {backend.name!r}.")
    if backend.accepts is not ConicForm and not (isinstance(backend.accepts, type) and issubclass(backend.accepts, Program)):
        raise InputTypeError(f"Backend {backend.name!r} must accept rm.ConicForm or rm.Program; got {backend.accepts!r}.")
    unknown = sorted(set(backend.supports) - set(CAPABILITIES))
    if unknown:
        raise InputError(
            f"Backend {backend.name!r} supports unknown cones {', '.join(unknown)}; known are {', '.join(CAPABILITIES)}."
        )


def plug_ins() -> list[Any]:
    """The entry points of the group "relumodel.backends"."""
    from importlib.metadata import entry_points  # here, because it is slow to import

    return list(entry_points(group="relumodel.backends"))


def names() -> list[str]:
    """The names of all known backends, registered ones first."""
    return list(dict.fromkeys([*_registered, *(e.name for e in plug_ins())]))


def find(name: str) -> Backend:
    """The backend of that name, or an error that lists the names there are."""
    if name in _registered:
        return _registered[name]
    if name not in _loaded:
        entries = [e for e in plug_ins() if e.name == name]
        if not entries:
            raise BackendError(f"There is no backend {name!r}; known are {', '.join(names())}, or pass an instance.")
        try:
            backend = entries[0].load()()
        except Exception as error:
            raise BackendError(f"Backend {name!r} ({entries[0].value}) cannot be loaded: {error}") from error
        check_protocol(backend)
        _loaded[name] = backend
    return _loaded[name]


def unavailable(backend: Backend) -> str | None:
    """Why a backend cannot run here, or None. A probe that fails is a reason, not a crash."""
    probe = getattr(backend, "unavailable", None)
    if probe is None:
        return None
    try:
        return probe()
    except Exception as error:
        return f"its availability check failed: {error}"


def package_missing(package: str, extra: str) -> str | None:
    """For `unavailable`: the reason when an optional package is not installed."""
    from importlib.util import find_spec

    if find_spec(package) is not None:
        return None
    return f"the package {package} is not installed (pip install 'relumodel[{extra}]')"


def backends() -> list[BackendInfo]:
    """Every known backend: its name, whether it can run here (and why not), what it accepts and supports."""
    out = []
    for name in names():
        try:
            backend = find(name)
        except RelumodelError as error:
            out.append(BackendInfo(name, False, str(error), "?", ()))
            continue
        reason = unavailable(backend)
        supports = tuple(c for c in CAPABILITIES if c in backend.supports)
        out.append(BackendInfo(name, reason is None, reason or "", backend.accepts.__name__, supports))
    return out


def lacking(backend: Backend, kinds: frozenset[str]) -> list[str]:
    """The capabilities a problem needs and a backend lacks. A quadratic objective may become a second-order cone."""
    needed = set(kinds)
    if "quadratic" in needed and "quadratic" not in backend.supports and "second-order" in backend.supports:
        needed.discard("quadratic")
    return [c for c in CAPABILITIES if c in needed - set(backend.supports)]


def declined(backend: Backend, program: Program) -> str | None:
    """Why a backend that has the cones cannot take a program all the same, or None."""
    if program.ranks.size > 1 and not getattr(backend, "shards", False):
        return f"its rows are on {program.ranks.size} ranks, and it needs all of them in one process"
    probe = getattr(backend, "declines", None)
    return None if probe is None else probe(program)


def bytes_needed(backend: Backend, program: Program) -> float:
    """About the memory that a backend takes for a program, at least."""
    probe = getattr(backend, "bytes_needed", None)
    if probe is not None:
        return float(probe(program))
    return form_bytes(program) if backend.accepts is ConicForm else 0.0


def too_large(backend: Backend, program: Program) -> str | None:
    """What a backend needs and what there is, where that is less, on any rank; None where it fits."""
    needed, room = bytes_needed(backend, program), memory.available()
    if not program.ranks.any(needed > room.bytes):
        return None
    where = "" if program.ranks.size == 1 else ", here or on another rank"
    return f"at least {memory.shown(needed)} of memory{where}, {memory.left(room)}"


def many_matrices(program: Program) -> bool:
    """Whether the robust program of a polynomial network has more, or larger, matrices than an interior point handles in a minute."""
    loss = program.term("loss").function
    return isinstance(loss, BallLoss) and len(loss.samples) * packed_size(loss.p + 1) ** 3 > MATRICES


def reluctant(backend: Backend, program: Program, tol: float) -> bool:
    """Whether a backend would rather leave a program to another one; conic solvers leave large matrices."""
    if "semidefinite" in backend.supports and not hasattr(backend, "reluctant") and many_matrices(program):
        return True
    probe = getattr(backend, "reluctant", None)
    return probe is not None and bool(probe(program, tol))


def able(program: Program) -> list[str]:
    """The names of the installed backends that can take a program, with the memory there is."""
    out = []
    for info in backends():
        if not info.available or lacking(find(info.name), program.kinds) or declined(find(info.name), program) is not None:
            continue
        if too_large(find(info.name), program) is None:
            out.append(info.name)
    return out


def require(backend: Backend, kinds: frozenset[str]) -> None:
    """Raise when a backend is not installed or lacks a cone; the message names both and who has them."""
    reason = unavailable(backend)
    if reason is not None:
        raise MissingPackageError(f"Backend {backend.name!r} is not available: {reason}.")
    missing = lacking(backend, kinds)
    if missing:
        able = [info.name for info in backends() if info.available and not lacking(find(info.name), kinds)]
        raise BackendError(
            f"Backend {backend.name!r} lacks {', '.join(missing)}, which this program needs; it supports "
            f"{', '.join(c for c in CAPABILITIES if c in backend.supports)}. Backends that can take it: {', '.join(able) or 'none installed'}."
        )


def refuse_time_limit(name: str, options: Options) -> None:
    """For a backend that cannot be stopped by the clock: raise when a time limit is wanted, naming the backends that keep one."""
    if options.time_limit is None:
        return
    known = [find(info.name) for info in backends() if info.available]
    able = [other.name for other in known if getattr(other, "keeps_time_limit", True)]
    raise BackendError(
        f"Backend {name!r} has no time limit; leave time_limit out, or use one that keeps it: "
        f"{', '.join(able) or 'none installed'}."
    )


def conic_fits(program: Program) -> bool:
    """Whether a few steps of an interior point on the conic form are likely to be done in the time left: dense where the loss reads."""
    n, N = program.parts[0].term("loss").map.shape
    order = min(n, N)
    return current().fits(CONIC * (float(order) * n * N + order**3 / 3))


def check_extra(backend: Backend, extra: Mapping[str, Any]) -> None:
    """Refuse options that a backend does not declare. A backend without an `options` attribute takes them all."""
    known = getattr(backend, "options", None)
    if known is None:
        return
    unknown = [name for name in extra if name not in known]
    if unknown:
        allowed = ", ".join(known) or "none"
        raise InputError(f"Backend {backend.name!r} has no option {unknown[0]!r}; its options are {allowed}.")
