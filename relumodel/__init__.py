"""relumodel: a modeling language for globally optimal and robust training of small ReLU networks.

model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(1e-3))
program = model.compile(X, y, patterns=rm.SamplePatterns(50, seed=0))
solution = program.solve()
network = solution.network()

result = model.fit(X, y)  # patterns that adapt, and a bound on every other network
"""

from . import attacks
from .api import Model, Program, load_program, path, polish, refine
from .backend import Options, RawSolution, backends, register
from .class_losses import MultiMargin, SoftmaxCrossEntropy
from .conic.form import Cone, ConicForm
from .errors import (
    BackendError,
    ConvergenceWarning,
    FileError,
    FitWarning,
    InputError,
    InputTypeError,
    MemoryLimitError,
    MissingPackageError,
    ProofError,
    RankError,
    RelumodelError,
    ZeroNetworkWarning,
)
from .losses import Absolute, Hinge, Huber, Logistic, Squared, SquaredHinge
from .networks import GatedReLU, LeakyReLU, ParallelThreeLayer, Polynomial, RandomFeatures, ReLU, TwoLayer
from .patterns import (
    AdaptivePatterns,
    EnumeratePatterns,
    GapPatterns,
    GivenPatterns,
    PatternsOf,
    RobustSamplePatterns,
    SamplePatterns,
    sample_size,
)
from .penalties import PathNorm, WeightDecay
from .perturbations import L1, L2, LInf
from .program.program import Guarantee
from .progress import Progress
from .recovery.load import load
from .recovery.network import Network
from .recovery.three_layer_network import ThreeLayerNetwork
from .robust_head import robustify_head
from .solution import Solution

__version__ = "0.1.0"

__all__ = [
    "L1",
    "L2",
    "Absolute",
    "AdaptivePatterns",
    "BackendError",
    "Cone",
    "ConicForm",
    "ConvergenceWarning",
    "EnumeratePatterns",
    "FileError",
    "FitWarning",
    "GapPatterns",
    "GatedReLU",
    "GivenPatterns",
    "Guarantee",
    "Hinge",
    "Huber",
    "InputError",
    "InputTypeError",
    "LInf",
    "LeakyReLU",
    "Logistic",
    "MemoryLimitError",
    "MissingPackageError",
    "Model",
    "MultiMargin",
    "Network",
    "Options",
    "ParallelThreeLayer",
    "PathNorm",
    "PatternsOf",
    "Polynomial",
    "Program",
    "Progress",
    "ProofError",
    "RandomFeatures",
    "RankError",
    "RawSolution",
    "ReLU",
    "RelumodelError",
    "RobustSamplePatterns",
    "SamplePatterns",
    "SoftmaxCrossEntropy",
    "Solution",
    "Squared",
    "SquaredHinge",
    "ThreeLayerNetwork",
    "TwoLayer",
    "WeightDecay",
    "ZeroNetworkWarning",
    "attacks",
    "backends",
    "load",
    "load_program",
    "path",
    "polish",
    "refine",
    "register",
    "robustify_head",
    "sample_size",
]
