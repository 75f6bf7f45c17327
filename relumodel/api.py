"""What users call on what they declare and compile: the facades, the only file that sees all of the library.

Everything below works on the declared model and on the bare program; here both get the verbs, and what comes back carries them too.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .batches import program as bare_batches
from .conic.size import instead
from .declare import model as declared
from .declare import problem as composed
from .errors import InputError
from .fit import polish as from_network
from .fit.refine import refine as repeated
from .fit.result import Fit
from .formats import sidecar
from .patterns.adaptive import AdaptivePatterns
from .program import program as bare
from .program.ranks import SINGLE_PROCESS
from .resources.memory import FEWER, explained
from .solve.path import path as over_penalties
from .solve.solution import Solution

if TYPE_CHECKING:
    from .batches.solution import BatchSolution
    from .conic.form import ConicForm

T = TypeVar("T")
P = ParamSpec("P")


class Program(bare.Program):
    """minimise sum_j f_j(K_j x) over x in R^n_variables, with what its optimum says about the training problem. Made by `Model.compile`.

    ranks : the processes that hold the rows between them. The terms here are those of the rows of this process (of terms on no rows, all
    there is); objective, violation and solve are about all rows, and must be called on all ranks.
    """

    @property
    def parts(self) -> tuple[Program, ...]:
        """The programs of the single outputs where they separate, else this program alone."""
        return tuple(self.of(part) for part in super().parts)

    def conic(self) -> ConicForm:
        """The same program in standard conic form, for solvers and files. Raises `MemoryLimitError`, before it starts, when that takes more
        memory than there is."""
        from .conic.assemble import assemble

        self.refuse_ranks("The conic form")
        with explained("assembling the conic form", instead(self)):
            return assemble(self).form

    def write(self, path: str | Path, cones: str = "qcmatrix", verbose: bool = False) -> Path:
        """Write the program for another solver: .cbf (version 3, every program) or .mps (linear and quadratic programs and
        second-order cones), or either with .gz. Beside it a .json file, with which `rm.load_program` rebuilds the program; programs of an `rm.Problem` have none yet.

        cones : how second-order cones stand in an .mps file: "qcmatrix", or "csection" for MOSEK and Xpress.
        verbose : show progress.
        Both files are atomic: a write that breaks off leaves the old ones. Raises `FileError` when the path cannot be written,
        `InputError` for another suffix and for cones that MPS cannot hold, `MemoryLimitError` where the conic form does not fit memory.
        """
        from .formats.export import write_program

        self.refuse_ranks("A file of the program")
        with explained("writing the program", instead(self)):
            return write_program(self, path, cones, verbose)

    def read_solution(self, path: str | Path, tol: float = 1e-6, prove: bool = True, time_limit: float | None = None) -> Solution:
        """A solution that another solver found for a file of this program, with objective, violation and bound computed here.

        path : a solution file of HiGHS, GLPK, CBC, SCIP, MOSEK, Gurobi, COPT, CPLEX or Xpress, one of MIPLIB, or plain text: "name
            value" lines, or one value a line for all columns of the file or for this program's variables.
        tol : the gap at which its status is "optimal".
        prove : where the point and the file's multipliers, if it has any, leave a larger gap, compute multipliers with a solver that starts
            at the point; the point stays that of the file.  time_limit : seconds for that, or None.
        The point is repaired like that of any backend. Raises `FileError`, with the line, for a file that is none of these, is cut
        short or belongs to another program: names, numbers of values, the objective that it states, and the constraints are compared.
        """
        from .solve.reading import read_solution

        self.refuse_ranks("A solution of another solver")
        return public(read_solution(self, path, tol, prove, time_limit))

    def solve(
        self,
        backend: Any = "auto",
        tol: float = 1e-6,
        time_limit: float | None = None,
        verbose: bool | str = False,
        callback: Any = None,
        warm_start: Any = None,
        **options: Any,
    ) -> Solution:
        """Solve with a backend and certify the result.

        backend : a name from `rm.backends()`, an instance, or "auto".
        tol : the relative gap (objective - bound) / |objective| at which the status is "optimal".
        time_limit : seconds, or None. Proving the bound may take a tenth of it more, or a second.
        verbose : True shows a line with iteration, objective, bound, gap, violation and the time left, live on a terminal when
            tqdm is installed, and what came out; "solver" lets the solver print its own log instead.
        callback : called with a `Progress` where the backend allows it; returning True stops.
        warm_start : a `Solution` or point of this program; the result is never worse than it.
        options : passed to the backend, which refuses names it does not know.
        Raises `MemoryLimitError`, before it starts, when a backend takes more memory than there is; "auto" asks those that fit.
        """
        from .solve.solve import solve

        with explained("solving", FEWER):
            return public(solve(self, backend, tol, time_limit, verbose, callback, warm_start, **options))


class BatchProgram(bare_batches.BatchProgram):
    """The convex program of a model on data that come by batches. Made by `Model.compile_batches`.

    Blocks are those of fixed directions, one pattern [X g >= 0] each on all of the data; `solve` trains on them.
    """

    def solve(
        self,
        epochs: int = 10,
        device: str | None = "cpu",
        dtype: str = "float32",
        seed: int = 0,
        tol: float = 1e-2,
        time_limit: float | None = None,
        verbose: bool = False,
        callback: Any = None,
        warm_start: Any = None,
    ) -> BatchSolution:
        """Train by stochastic steps, then measure on all of the data.

        epochs : passes with steps. After them up to five passes measure, in float64.
        device : torch's name of it, "cpu", "cuda", "mps"; where torch is not installed "cpu" is NumPy, and None always is.
        dtype : of the steps, "float32" or "float64".  seed : of the order of the samples, where the data are arrays.
        tol : the gap at which the status is "optimal".
        time_limit : seconds for the steps; measuring comes after it.
        verbose : a line on stderr.  callback : called with a `Progress` every epoch; returning True stops.  Ctrl-C stops too, and the
            best point so far is measured and returned.
        warm_start : a solution or point of a program with as many variables, or the network (ours, or a torch module without an output bias)
            whose `rm.PatternsOf` the program was compiled on; it is returned where nothing better was found.
        """
        from .batches.solve import solve

        return solve(self, epochs, device, dtype, seed, tol, time_limit, verbose, callback, warm_start)


class Model(declared.Model):
    """minimise over networks f:  loss(f(X), y) + penalty(f),  the loss in the worst case over the perturbation set, if any.

    robust : which convex program stands for the worst case: "strict" (no sample crosses a neuron's hyperplane; Bai et al. 2023)
        or "crossing" (samples may cross, the value is a certified bound); ignored without a perturbation.

    Immutable, comparable, printable; `to_dict` and `Model.from_dict` are a JSON round trip.
    """

    def compile(self, X: Any, y: Any, patterns: Any = None, sample_weight: Any = None, group: Any = SINGLE_PROCESS) -> Program:
        """The convex program of this model on data.

        X : (n, d) numbers, arrays or frames.
        y : (n,) targets: numbers, -1/+1 for losses of margins, whole numbers for losses of classes; or (n, c) for a network with c outputs,
            whose losses add up.
        patterns : where activation patterns come from, e.g. `rm.SamplePatterns(50, seed=0)` or `rm.EnumeratePatterns()`.
        sample_weight : (n,) numbers >= 0. Whole weights count a sample so many times: a "mean" is the weighted one, a "sum" the
            weighted sum. Samples of weight 0 are left out: the program has no rows for them.
        group : a torch.distributed process group, e.g. `dist.group.WORLD`, where every process of it runs this on rows of its own: X, y and
            sample_weight are the rows here, the program is about all, and its methods are called on all ranks (docs/many_machines.md).
        Raises `InputError` / `InputTypeError` before any work when something is off, `MemoryLimitError` when it does not fit memory.
        Source: Pilanci & Ergen 2020; Bai et al. 2022/2023, eq. 2.2.
        """
        from .data import read
        from .lift.lower import lower
        from .lift.shards import lower_shards

        with explained("compiling", FEWER):
            if group is not SINGLE_PROCESS:
                return public(lower_shards(self, X, y, patterns, sample_weight, group))
            return public(lower(self.network, self, read(X, y, self.loss, sample_weight), patterns))

    def compile_batches(self, data: Any, patterns: Any = None, batch_size: int = 1024) -> BatchProgram:
        """The convex program of this model on data beyond memory, read a batch at a time and never whole.

        data : a pair (X, y) or triple (X, y, sample_weight) of arrays that can be sliced, `numpy.memmap` for example; a torch DataLoader or
            another iterable of batches that can be gone through again; or a callable that returns a new iterator over them. Batches are
            (X, y) or (X, y, sample_weight). X : (n, d), or (n, ...), whose other axes are made one in C order. Every pass must give the
            same samples, in any order.
        patterns : where directions come from, e.g. `rm.SamplePatterns(50, seed=0)`: they are chosen on the first batches, and their
            patterns [X g >= 0] on all of the data are used.
        batch_size : samples of a batch where data are arrays; iterables have batches of their own.
        Goes through the data once, to check and to count. Raises `InputError` / `InputTypeError`, naming the batch, when something is off.
        """
        program = bare_batches.compile_batches(self, data, patterns, batch_size)
        return BatchProgram(**{f.name: getattr(program, f.name) for f in dataclasses.fields(program)})

    def problem(self, X: Any, y: Any, sample_weight: Any = None) -> Problem:
        """This model on data as a problem, to which terms and constraints can be added: `.plus(term)`, `.subject_to(constraint)`.

        Raises `InputError` for a model with a perturbation.
        """
        from .data import read

        if self.perturbation is not None:
            raise InputError("A model with a perturbation is no problem of readings yet; leave the perturbation out.")
        data = read(X, y, self.loss, sample_weight)
        network: Any = self.network
        if data.outputs > 1:
            network = dataclasses.replace(network, outputs=data.outputs)
        reading = network(data.X)
        return Problem(self.loss(reading, data.y, weight=data.weights) + self.penalty)

    def fit(
        self,
        X: Any,
        y: Any,
        patterns: Any = None,
        backend: Any = "auto",
        tol: float | None = None,
        time_limit: float | None = None,
        verbose: bool = False,
        callback: Any = None,
        sample_weight: Any = None,
        **options: Any,
    ) -> Fit:
        """Train on data: a network, and a bound on the objective of every other one.

        X, y, sample_weight : as for `compile`.
        patterns : `rm.AdaptivePatterns(gap=1e-3, seed=0)` unless given; any other source is compiled and solved once.
        backend, options : for the convex programs, as in `Program.solve`.
        tol : the relative gap of these programs; a twentieth of the gap wanted, at most 1e-5, unless given (1e-6 for others).
        time_limit : seconds for all of it; the best network so far is returned, as after Ctrl-C.
        verbose : a line on stderr every round, and from the first second one of what is being done: phase, iteration, objective, time
            left.  callback : called with each `Round` (for other patterns with the solver's `Progress`); returning True stops.
        Warns with `rm.ConvergenceWarning` where adaptive patterns end before the gap is reached, and with `rm.ZeroNetworkWarning` where the
        penalty is so strong that the best network is zero.
        """
        from .fit.fit import fit
        from .fit.outcome import warn_of

        patterns = AdaptivePatterns() if patterns is None else patterns
        with explained("training", FEWER):
            found = fit(self, X, y, sample_weight, patterns, backend, tol, time_limit, verbose, callback, options)
        warn_of(found, self, patterns, stacklevel=2)
        return public(found)


class Problem(composed.Problem):
    """minimise over networks f of any width  sum of terms of readings of f + penalty,  subject to constraints on readings of f.

    objective : a sum such as `rm.Pinball(0.9)(f(X), y) + 0.5 * rm.Absolute()(f(X2), y2) + rm.WeightDecay(1e-3)`, f a declared network.
    subject_to : constraints, e.g. `[f(x0) == 0, f(E) <= 1, rm.norm(f(Z), 2) <= 3]`.
    Raises `InputError` / `InputTypeError` for parts of two networks, for what is no term or constraint and for a problem without a term.
    Exact for every convex function of the network's values at the union of all points (Pilanci & Ergen 2020, Theorem 1, whose proof uses no
    more of the loss). `print(problem)` shows it.
    """

    def compile(self, patterns: Any = None) -> Program:
        """The convex program of this problem. patterns : where activation patterns come from; they are found on the union of all points
        that are read, in the order of first appearance, the objective's before the constraints', equal rows one point.
        Raises `InputError` / `InputTypeError` before any work when something is off, `MemoryLimitError` when it does not fit memory.
        """
        from .lift.problem import lower_problem

        with explained("compiling", FEWER):
            return public(lower_problem(self, patterns))

    def fit(
        self,
        patterns: Any = None,
        backend: Any = "auto",
        tol: float | None = None,
        time_limit: float | None = None,
        verbose: bool = False,
        callback: Any = None,
        **options: Any,
    ) -> Fit:
        """A network, and a bound on the objective of every other one that satisfies the constraints. The arguments and the result are those
        of `Model.fit`; `result.violation` is by how much the network leaves the constraints.

        Constraints are first priced: a weight times the distance from them, raised until it does not pay to leave them (an exact penalty);
        status "infeasible" where it always does. Bounds everywhere in a box, `f(rm.Box(low, high)) >= c` and `f.increasing(feature)`, are
        kept at points that are added until a mixed-integer program finds no other: `result.certificates` says what is proved.
        """
        from .fit.everywhere import fit_everywhere
        from .fit.outcome import warn_of

        patterns = AdaptivePatterns() if patterns is None else patterns
        with explained("training", FEWER):
            found = fit_everywhere(self, patterns, backend, tol, time_limit, verbose, callback, options)
        warn_of(found, self, patterns, stacklevel=2)
        return public(found)


def public(result: Any) -> Any:
    """A result of the library with the verbs on every program in it."""
    if isinstance(result, bare.Program):
        return Program.of(result)
    if isinstance(result, list):
        return [public(one) for one in result]
    if isinstance(result, Solution):
        known = isinstance(result.program, Program)
        return result if known else dataclasses.replace(result, program=Program.of(result.program))
    if isinstance(result, Fit):
        solution = public(result.solution)
        one = result.program is result.solution.program
        return dataclasses.replace(result, program=solution.program if one else Program.of(result.program), solution=solution)
    return result


def _published(function: Callable[P, T]) -> Callable[P, T]:
    """The function with `public` results."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return public(function(*args, **kwargs))

    return call


path = _published(over_penalties)
polish = _published(from_network.polish)
refine = _published(repeated)


def load_program(path: str | Path) -> Program:
    """The program that `Program.write` exported, from the JSON file beside the export; bit for bit the same.

    Raises `FileError` where there is none, or the file is not one or was changed.
    """
    return Program.of(sidecar.load_program(path))
