"""One family of errors. Each is also the built-in error that Python habits expect, and its message says what was
given, what is allowed and what to do."""


class RelumodelError(Exception):
    """Base of every error that relumodel raises on purpose."""


class InputError(RelumodelError, ValueError):
    """A value is outside what is allowed: NaN, a wrong shape, a negative radius, an unknown option."""


class InputTypeError(RelumodelError, TypeError):
    """A value has the wrong type: text where numbers are needed, a class where an instance is needed."""


class BackendError(RelumodelError, RuntimeError):
    """A backend is unknown, lacks what the program needs, or broke its contract."""


class RankError(BackendError):
    """Another process that holds rows of the data is lost, or does not answer; the message says what to do."""


class ProofError(RelumodelError, ArithmeticError):
    """A proven bound is above an objective that was measured: what a loss, a penalty or a term says of itself cannot be true."""


class MissingPackageError(BackendError, ImportError):
    """An optional package is not installed; the message gives the command that installs it."""


class MemoryLimitError(RelumodelError, MemoryError):
    """What was asked for takes more memory than this process may have; the message gives both numbers and what takes less."""


class FileError(RelumodelError, OSError):
    """A file cannot be read or written."""


class FitWarning(UserWarning):
    """Base of what a finished fit warns of."""


class ConvergenceWarning(FitWarning):
    """A fit ended before it reached its gap; the result is the best network so far."""


class ZeroNetworkWarning(FitWarning):
    """The best network is zero, since the penalty is too strong for the data."""
