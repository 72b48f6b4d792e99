# SPDX-License-Identifier: Apache-2.0
"""What share of a board a network may take, as `--fill` and build.json have it."""

from collections.abc import Mapping

from icsort.errors import IcsortError

RESOURCES = ("LUT", "DSP", "BRAM_18K", "URAM")
ALL = "all"
Fill = float | Mapping[str, float]
"""Share of each resource, or shares by its name, ALL for those that are not named."""


def read_fill(text: str) -> Fill:
    """What `--fill` says: "0.8", or "0.3,DSP=0.7" for one resource another share.

    Raises IcsortError for words that are neither, and for shares that are none.
    """
    shares = {}
    for part in text.split(","):
        name, is_named, share = part.rpartition("=")
        try:
            shares[name.strip() if is_named else ALL] = float(share)
        except ValueError:
            raise IcsortError(f"--fill {text}: {part!r} is no share; such as 0.8, or 0.3,DSP=0.7") from None
    fill = shares[ALL] if shares.keys() == {ALL} else shares
    check_fill(fill)
    return fill


def check_fill(fill: Fill) -> None:
    """Raises IcsortError for a resource that there is not, and for a share that is none."""
    shares = fill if isinstance(fill, Mapping) else {ALL: fill}
    for name, share in shares.items():
        if name not in (*RESOURCES, ALL):
            raise IcsortError(f"--fill {written(fill)}: {name!r} is no resource; {', '.join(RESOURCES)} are")
        if not 0 < share <= 1:
            raise IcsortError(
                f"--fill {written(fill)}: give a share of the board's resources, more than 0 and at most 1"
            )


def share_of(fill: Fill, resource: str) -> float:
    """Share of a resource that a network may take."""
    if isinstance(fill, Mapping):
        return fill.get(resource, fill.get(ALL, 1.0))
    return fill


def written(fill: Fill) -> str:
    """As `--fill` takes it."""
    shares = fill if isinstance(fill, Mapping) else {ALL: fill}
    return ",".join(f"{share:g}" if name == ALL else f"{name}={share:g}" for name, share in shares.items())
