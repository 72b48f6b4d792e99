# SPDX-License-Identifier: Apache-2.0
"""Images that cannot be read among many that can: refused together, or left out and named."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args

from icsort.errors import IcsortError

Unreadable = Literal["refuse", "skip"]
NAMED = 3  # of the unreadable files, in the one line of the refusal

Image = TypeVar("Image")


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
