# SPDX-License-Identifier: Apache-2.0
"""Compensation from a spillover matrix: a table of a cytometry program, or an FCS file's $SPILLOVER.

A spillover matrix has a row a dye and a column a channel: what one unit of that dye's own light gives in each channel.
What is measured is the dyes' light times that matrix, so its inverse, transposed, makes light of what is measured.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats import fcs
from icsort.formats.acquisition import Acquisition, FeatureSpec
from icsort.sim.bit_true import features

KEYWORDS: Final = ("$SPILLOVER", "SPILL", "$SPILL", "SPILLOVER")
"""Where files have it: FCS 3.1's keyword, and what programs before it wrote."""
UNIT_TOLERANCE: Final = 1e-3
"""Of what a dye gives in its own channel, from 1."""
CONDITION_MAX: Final = 1e6
"""Above, an error of a millionth in the matrix, as in one of figures that were rounded, is as large as the result."""


@dataclass(frozen=True)
class Spillover:
    """names: of the channels. values: (K, K), a row a dye, a column a channel, in the order of the names. where: what
    messages call it."""

    names: tuple[str, ...]
    values: NDArray[np.float64]
    where: str = "the spillover matrix"


def load(path: Path) -> Spillover:
    """Of an FCS file, or of a table: a line of channel names, then a line of numbers for each dye, with its name in
    front or without. Raises IcsortError, one line, for what is neither, or no square matrix of numbers."""
    try:
        with path.open("rb") as stream:
            is_fcs = stream.read(3) == b"FCS"
        names, rows = _of_fcs(path) if is_fcs else _of_table(path)
    except OSError as error:
        raise IcsortError(f"{path}: cannot be read ({error.strerror})") from None
    if len(rows) != len(names) or {len(row) for row in rows} != {len(names)}:
        shape = " x ".join(map(str, (len(rows), *sorted({len(row) for row in rows}))))
        raise IcsortError(f"{path}: {len(names)} channels need {len(names)} rows of as many numbers; it has {shape}")
    if len(set(names)) != len(names):
        raise IcsortError(f"{path}: names the channel {max(names, key=names.count)} twice")
    values = np.asarray([[_number(path, word) for word in row] for row in rows])
    return Spillover(tuple(names), values, str(path))


def compensate(source: Spillover, acquisition: Acquisition, renamed: Mapping[str, str]) -> FeatureSpec:
    """The features' settings of a package with this compensation; channels that the matrix does not name stay as
    measured. renamed: names of the matrix -> of the package's channels.

    Raises IcsortError for a channel that the package does not have, a matrix that does not give a dye's own channel 1
    or is without an inverse, and values that the
    hardware does not hold.
    """
    channels = acquisition.channels
    if not features.possible(acquisition.line.width, len(channels)):
        raise IcsortError(
            "compensation is of features, and lines as wide or channels as many as the package's have none"
        )
    for name in renamed:
        if name not in source.names:
            raise IcsortError(f"--rename {name}: the matrix has no such channel; it has {', '.join(source.names)}")
    names = [renamed.get(name, name) for name in source.names]
    for name, original in zip(names, source.names, strict=True):
        if name not in channels:
            raise IcsortError(
                f"{source.where}: its channel {original} is none of the package's: {', '.join(channels)}; say which "
                f"with --rename '{original}=CHANNEL'"
            )
        if names.count(name) > 1:
            raise IcsortError(f"{source.where}: two of its channels are {name}; rename one of them to another channel")
    for name, own in zip(source.names, np.diagonal(source.values).tolist(), strict=True):
        if abs(own - 1) > UNIT_TOLERANCE:
            raise IcsortError(
                f"{source.where}: says {own:g} of {name} for its own dye, which must be 1; divide by it if it is "
                "in percent, or each row by what it has on the diagonal"
            )
    whole = np.eye(len(channels))
    at = [channels.index(name) for name in names]
    whole[np.ix_(at, at)] = source.values
    if not np.linalg.cond(whole) <= CONDITION_MAX:
        raise IcsortError(
            f"{source.where}: has no inverse, or hardly one: two of its dyes look the same in all channels; "
            "measure it again, or leave one out"
        )
    coefficients = np.rint(np.linalg.inv(whole).T * 2**features.MATRIX_BITS).astype(np.int64)
    for (row, column), value in np.ndenumerate(coefficients):
        if not -features.MATRIX_MAX - 1 <= value <= features.MATRIX_MAX:
            raise IcsortError(
                f"{source.where}: takes {value / 2**features.MATRIX_BITS:.4g} of {channels[column]} for "
                f"{channels[row]}, the hardware up to {(features.MATRIX_MAX + 1) / 2**features.MATRIX_BITS:g}: they "
                "spill over too much"
            )
    settings = acquisition.feature_settings
    return FeatureSpec(
        background=settings.background,
        threshold=settings.threshold,
        compensation=tuple(tuple(row) for row in coefficients.tolist()),
    )


def _of_fcs(path: Path) -> tuple[list[str], list[list[str]]]:
    keywords = {name.upper(): value for name, value in fcs.keywords(path).items()}
    text = next((keywords[name] for name in KEYWORDS if name in keywords), None)
    if text is None:
        raise IcsortError(f"{path}: has no {KEYWORDS[0]}; give a file of compensated controls, or a table")
    count, *words = [word.strip() for word in text.split(",")]
    number = int(count) if count.isdecimal() else 0
    if number < 1 or len(words) != number + number * number:
        raise IcsortError(f"{path}: its {KEYWORDS[0]} is not a number of channels, their names and as many rows")
    values = words[number:]
    return words[:number], [values[row * number : (row + 1) * number] for row in range(number)]


def _of_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Rows are in the order of the columns; a first column of names, which has no name itself, must say the same."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise IcsortError(f"{path}: is neither an FCS file nor a table (CSV) of a spillover matrix") from None
    first = text.partition("\n")[0]
    lines = csv.reader(text.splitlines(), delimiter=max(",;\t", key=first.count))
    table = [[word.strip() for word in line] for line in lines if any(word.strip() for word in line)]
    if len(table) < 2:
        raise IcsortError(f"{path}: no spillover matrix: a line of channel names, then a row of numbers for each dye")
    head, *rows = table
    if not head[0]:  # the corner over the names of the rows
        names, labels = head[1:], [row[0] for row in rows]
        if labels != names:
            raise IcsortError(
                f"{path}: its rows are {', '.join(labels)}, its columns {', '.join(names)}; give both alike"
            )
        return names, [row[1:] for row in rows]
    return head, rows


def _number(path: Path, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise IcsortError(f"{path}: {word!r} is no number") from None
    if not math.isfinite(value):
        raise IcsortError(f"{path}: {word} is in the matrix; all of its values must be finite")
    return value
