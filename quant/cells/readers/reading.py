# SPDX-License-Identifier: Apache-2.0
"""What every reader is and is told: the options of reading, and what becomes of an image that cannot be read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast, get_args

from icsort.errors import IcsortError
from icsort.quant.cells.counts import Digitization
from icsort.quant.cells.dataset import CHUNK_CELLS, Dataset

Unreadable = Literal["refuse", "skip"]
NAMED = 3  # of the unreadable files, in the one line of the refusal

Image = TypeVar("Image")


@dataclass(frozen=True)
class Reading:
    """How a source is read.

    channels: names in order, instead of those in the files. digitization: of floating-point pixels. unreadable: whether
    an image among many that cannot be read is refused, or left out and named. size: cells a piece; None for all.
    label_by: of recorded images and arrays, whose labels have to be named (readers.recorded, readers.arrays).
    """

    channels: tuple[str, ...] | None = None
    digitization: Digitization = field(default_factory=Digitization)
    unreadable: Unreadable = "refuse"
    size: int | None = CHUNK_CELLS
    label_by: tuple[str, ...] = ()


class Reader(Protocol):
    """A module of this package: one layout in which cells lie on disk."""

    LAYOUT: str
    """What a user would put there, in a few words."""

    def accepts(self, path: Path) -> bool:
        """Whether the folder (or file) has this layout. Looks at names, and at the head of a file where it must."""
        ...

    def read(self, path: Path, reading: Reading) -> Iterator[Dataset]:
        """The cells, piece by piece, at least one; -1 is the label of a cell without one.

        Every entry of the folder is read, or named in `skipped` or `passed_over` of a piece. Raises IcsortError for
        what does not fit together.
        """
        ...


def unreadable_choice(word: str) -> Unreadable:
    """The choice that a user typed. Raises IcsortError for another word."""
    if word not in get_args(Unreadable):
        raise IcsortError(f"--unreadable is {word}: give {' or '.join(get_args(Unreadable))}")
    return cast(Unreadable, word)


def read_each(
    folder: Path, paths: Sequence[Path], read: Callable[[Path], Image], unreadable: Unreadable
) -> tuple[dict[int, Image], tuple[str, ...]]:
    """Read every path. Returns what was read by its index in `paths`, and a line for each that was skipped.

    Raises IcsortError that counts and names the unreadable ones, after all were tried, where they are to be refused,
    and where none can be read.
    """
    images: dict[int, Image] = {}
    complaints: list[str] = []
    for index, path in enumerate(paths):
        try:
            images[index] = read(path)
        except IcsortError as error:
            complaints.append(str(error))
    if complaints and (unreadable == "refuse" or not images):
        named = "; ".join(complaints[:NAMED])
        more = f"; and {len(complaints) - NAMED} more" if len(complaints) > NAMED else ""
        choice = ", or leave them out with --unreadable skip" if images else ""
        raise IcsortError(
            f"{folder}: {len(complaints)} of {len(paths)} images cannot be read ({named}{more}): repair them{choice}"
        )
    return images, tuple(complaints)


def channel_names(where: Path, names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """The names, or channel0, ... without any. Raises IcsortError where they are not `count`."""
    if names is None:
        return tuple(f"channel{i}" for i in range(count))
    if len(names) != count:
        raise IcsortError(f"{where}: has {count} channels but {len(names)} names ({', '.join(names)}); name each one")
    return tuple(names)


def entries(folder: Path) -> list[Path]:
    """What a folder holds, by name; hidden entries are left alone."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def passed_over(folder: Path, path: Path, reason: str) -> str:
    """The line that names an entry which is not read."""
    if path.is_symlink() and not path.exists():
        reason = f"a link to {path.readlink()}, which is not there"
    return f"{path.relative_to(folder).as_posix()}: {reason}"
