"""Features that users name: by a column's name or number."""

from __future__ import annotations

from typing import Any

from ..declared import whole
from ..errors import InputError


def column_of(feature: Any, names: tuple[str, ...] | None, d: int, who: str) -> int:
    """The number of a feature among d columns with these names."""
    if isinstance(feature, str):
        if names is None:
            raise InputError(f"{who} of {feature!r} needs points with named columns; these have none, so give its number.")
        if feature not in names:
            raise InputError(f"There is no feature {feature!r}; the columns are {', '.join(names)}.")
        return names.index(feature)
    return whole(feature, "feature", high=d - 1)
