# SPDX-License-Identifier: Apache-2.0
"""What the commands that take labelled cells share: their options, and the words that these are given."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from icsort.errors import IcsortError

if TYPE_CHECKING:
    from icsort.quant.cells.counts import Digitization

SHOWN = 5  # entries of a list on the screen

DigitizeOption = Annotated[
    str | None,
    typer.Option(
        metavar="OFFSET,SCALE",
        help="Counts of floating-point pixels are (value - OFFSET) * SCALE: 0,1 for values that are counts already; "
        "without it those of the training's cells, else -1,16384, for the sorter's.",
    ),
]

UnreadableOption = Annotated[
    str, typer.Option(help="refuse: stop where an image cannot be read; skip: leave it out and name it.")
]


def digitization(words: str | None) -> "Digitization | None":
    """What --digitize says. Raises IcsortError for what it cannot."""
    from icsort.quant.cells.counts import Digitization

    return None if words is None else Digitization.parse(words)


def named(what: str, entries: Sequence[str]) -> list[str]:
    """Lines that count entries and name the first few."""
    more = [f"  and {len(entries) - SHOWN} more (`icsort data info --json` names all)"] if len(entries) > SHOWN else []
    return [f"{what}: {len(entries) or 'none'}", *(f"  {entry}" for entry in entries[:SHOWN]), *more]


def names(listed: str | None) -> list[str] | None:
    """Names separated by commas."""
    return None if listed is None else [name.strip() for name in listed.split(",")]


def parse_merge(words: list[str]) -> dict[str, list[str]]:
    """NAME=CLASS+CLASS, each to a name and its classes. Raises IcsortError for anything else or a class named twice."""
    merged = {}
    for word in words:
        name, equal, members = word.partition("=")
        merged[name.strip()] = [member.strip() for member in members.split("+")]
        if not equal or not name.strip() or not all(merged[name.strip()]):
            raise IcsortError(f"--merge {word}: write it as NAME=CLASS+CLASS, such as Interphase=G1+S+G2")
    every = [member for members in merged.values() for member in members]
    twice = next((name for name in every if every.count(name) > 1), None)
    if twice is not None or len(merged) < len(words):
        raise IcsortError(f"--merge puts {twice or 'a name'} twice; each class and each name once")
    return merged


def parse_prevalence(words: list[str]) -> dict[str, float]:
    """CLASS=SHARE, each to a class and its share of a sample. Raises IcsortError for anything else or a class twice."""
    shares: dict[str, float] = {}
    for word in words:
        name, _, share = word.rpartition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            raise IcsortError(f"--prevalence {word}: write it as CLASS=SHARE, such as Prophase=0.02") from None
    if len(shares) < len(words) or "" in shares:
        raise IcsortError("--prevalence: name each class once, such as Prophase=0.02")
    return shares
