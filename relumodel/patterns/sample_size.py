"""How many sampled patterns are enough."""

from __future__ import annotations

import math

from ..declared import number, whole


def sample_size(n: int, psi: float, xi: float) -> int:
    """How many patterns to sample for n training samples so that, with probability at least 1 - xi, one more sampled
    pattern lowers the optimum with probability at most psi (Bai et al. 2023, Theorem 2.2). 0 < psi < 1, 0 < xi < 1.

    The least whole number >= min{ (n+1)/(psi xi) - 1, 2/min(psi, xi) * (n + 1 - log max(psi, xi)) }.

    The theorem is printed with the second term 2/xi (n + 1 - log psi), which is the same when xi <= psi. The scenario
    bound behind it, 2/psi (n + 1 - log xi), has the roles exchanged (Calafiore 2010), and for psi < xi the printed
    one is too small: when a single scenario decides, P(violation > psi) = (1 - psi)^N, and psi = 0.01, xi = 0.5,
    N = 2/0.5 (1 - log 0.01) = 23 leaves 0.79 > 0.5. The term here is at least both, so it is always sound.
    """
    n = whole(n, "n", low=1)
    psi = number(psi, "psi", above=0, below=1)
    xi = number(xi, "xi", above=0, below=1)
    markov = (n + 1) / (psi * xi) - 1
    scenario = 2 / min(psi, xi) * (n + 1 - math.log(max(psi, xi)))
    return max(1, math.ceil(min(markov, scenario)))
