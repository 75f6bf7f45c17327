"""What a plug-in of a solver imports: the protocol, the options and result types, the registry. `relumodel.solve.protocol` says more."""

from .certify.bound import certify, relative_gap
from .certify.scaling import scaled_bound
from .conic.form import ConicForm
from .conic.size import matrix_bytes, semidefinite_bytes
from .errors import BackendError, FileError, InputError, RankError, RelumodelError
from .files import replace_file
from .program.program import Program
from .resources import memory
from .resources.deadline import current, speed
from .resources.forwarding import forwarding_interrupts
from .resources.progress import Progress
from .solve.parts import joint, solve_parts
from .solve.protocol import CAPABILITIES, RAW_STATUSES, Backend, Options, RawSolution
from .solve.registry import (
    BackendInfo,
    able,
    backends,
    bytes_needed,
    conic_fits,
    find,
    many_matrices,
    package_missing,
    refuse_time_limit,
    register,
    require,
)

__all__ = [
    "CAPABILITIES",
    "RAW_STATUSES",
    "Backend",
    "BackendError",
    "BackendInfo",
    "ConicForm",
    "FileError",
    "InputError",
    "Options",
    "Program",
    "Progress",
    "RankError",
    "RawSolution",
    "RelumodelError",
    "able",
    "backends",
    "bytes_needed",
    "certify",
    "conic_fits",
    "current",
    "find",
    "forwarding_interrupts",
    "joint",
    "many_matrices",
    "matrix_bytes",
    "memory",
    "package_missing",
    "refuse_time_limit",
    "register",
    "relative_gap",
    "replace_file",
    "require",
    "scaled_bound",
    "semidefinite_bytes",
    "solve_parts",
    "speed",
]
