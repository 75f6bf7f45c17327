"""Fail where a distribution that is installed here is not pinned by constraints.txt at the version it has."""

from __future__ import annotations

import sys
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NOT_PINNED = {"pip", "relumodel"}


def main() -> None:
    lines = (Path(__file__).parent.parent / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pinned = {canonicalize_name(pin.name): pin.specifier for pin in pins if pin.marker is None or pin.marker.evaluate()}
    installed = {canonicalize_name(found.name): found.version for found in distributions()}
    loose = [
        f"{name}=={version}"
        for name, version in sorted(installed.items())
        if name not in NOT_PINNED and not (name in pinned and pinned[name].contains(version, prereleases=True))
    ]
    if loose:
        sys.exit("constraints.txt does not pin what is installed (docs/support.md says how to move it):\n" + "\n".join(loose))
    print(f"{len(installed.keys() - NOT_PINNED)} distributions installed, each as constraints.txt pins it")


if __name__ == "__main__":
    main()
