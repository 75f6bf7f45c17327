"""relumodel: a modeling language for globally optimal and robust training of small ReLU networks.

model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(1e-3))
program = model.compile(X, y, patterns=rm.SamplePatterns(50, seed=0))
solution = program.solve()
network = solution.network()

result = model.fit(X, y)  # patterns that adapt, and a bound on every other network
"""

from . import attacks
from .api import Model, Problem, Program, load_program, path, polish, refine
from .backend import Options, RawSolution, backends, register
from .conic.form import Cone, ConicForm
from .declare.box import Box
from .declare.networks import GatedReLU, LeakyReLU, ParallelThreeLayer, Polynomial, RandomFeatures, ReLU, TwoLayer
from .declare.perturbations import L1, L2, LInf
from .declare.readings import norm
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
from .fit.robust_head import robustify_head
from .functions.class_losses import MultiMargin, SoftmaxCrossEntropy
from .functions.losses import Absolute, Huber, Loss, MarginLoss, ResidualLoss, Squared
from .functions.margin_losses import Hinge, Logistic, SquaredHinge
from .functions.penalties import PathNorm, Penalty, WeightDecay
from .functions.plq import PLQ, EpsilonInsensitive, Expectile, Pinball
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
from .program.program import Guarantee
from .resources.progress import Progress
from .solve.solution import Solution
from .trained.load import load
from .trained.network import Network
from .trained.three_layer import ThreeLayerNetwork

__version__ = "0.1.0"

__all__ = [
    "L1",
    "L2",
    "PLQ",
    "Absolute",
    "AdaptivePatterns",
    "BackendError",
    "Box",
    "Cone",
    "ConicForm",
    "ConvergenceWarning",
    "EnumeratePatterns",
    "EpsilonInsensitive",
    "Expectile",
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
    "Loss",
    "MarginLoss",
    "MemoryLimitError",
    "MissingPackageError",
    "Model",
    "MultiMargin",
    "Network",
    "Options",
    "ParallelThreeLayer",
    "PathNorm",
    "PatternsOf",
    "Penalty",
    "Pinball",
    "Polynomial",
    "Problem",
    "Program",
    "Progress",
    "ProofError",
    "RandomFeatures",
    "RankError",
    "RawSolution",
    "ReLU",
    "RelumodelError",
    "ResidualLoss",
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
    "norm",
    "path",
    "polish",
    "refine",
    "register",
    "robustify_head",
    "sample_size",
]
