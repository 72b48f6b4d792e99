# SPDX-License-Identifier: Apache-2.0
"""Cells of a sort to look at: some that were sorted and some that were not, evenly over its time."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from icsort.errors import IcsortError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from icsort.formats.recorded_images import RecordedImages

SHOWN: Final = 24
"""Cells of each kind, at most."""
ROWS: Final = 4096
"""Events that are looked at together."""
SORTED: Final = "SORTED"


@dataclass(frozen=True)
class ShownCell:
    """A cell with its decision. pixels: (H, W, C) 8 bit. answer: the network's in words; a class with its posterior
    where that was recorded, else with that of the gate set's first class set; a value where that was recorded.
    direction: for which it was wished, None: for none."""

    file: str
    sha256: str
    event: int
    answer: str
    outcome: str
    direction: int | None
    pixels: "NDArray[np.uint8]"


@dataclass
class Gallery:
    """channels: of the cells. kept: images of the folders. counts: those with an event, by whether it was sorted.
    notes: what is not shown, and why."""

    channels: tuple[str, ...] = ()
    kept: int = 0
    counts: Counter[bool] = field(default_factory=Counter)
    cells: dict[bool, list[ShownCell]] = field(default_factory=lambda: {True: [], False: []})
    notes: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """For machines."""
        shown = [cell for cells in self.cells.values() for cell in cells]
        return {
            "kept": self.kept,
            "sorted": self.counts[True],
            "not sorted": self.counts[False],
            "notes": self.notes,
            "shown": {cell.file: cell.sha256 for cell in shown},
        }


def gather_gallery(folders: Sequence[Path], outcomes: Mapping[int, str], recording: Path | None = None) -> Gallery:
    """Of folders of images, in the order of their runs. recording: of the events, where the folders' lists do not say
    it. What cannot be shown is a note, whatever is wrong with it."""
    import numpy as np

    from icsort.formats.image_list import read_list
    from icsort.formats.recorded_images import RecordedImages, match, recording_of
    from icsort.formats.recording import OUTCOME

    gallery = Gallery()
    places: dict[bool, list[tuple[RecordedImages, int]]] = {True: [], False: []}
    for folder in folders:
        try:
            images = read_list(folder)
            gallery.kept += len(images.files)
            recorded = RecordedImages(images, match(images, recording_of(images, recording)))
            if gallery.channels and images.head.channels != gallery.channels:
                raise IcsortError(f"{folder}: has other channels than the images before it")
            gallery.channels = images.head.channels
            matched, file = recorded.match.matched, recorded.match.files[0]
            for begin in range(0, len(matched), ROWS):
                some = matched[begin : begin + ROWS]
                numbers = recorded.match.values(some)[:, file.column(OUTCOME)].astype(int)
                for index, number in zip(some.tolist(), numbers.tolist(), strict=True):
                    places[outcomes.get(number) == SORTED].append((recorded, index))
        except IcsortError as error:
            gallery.notes.append(str(error))
            continue
        gallery.notes += [f"{folder.name}: {count} images, {why}" for why, count in recorded.match.counts().items()]
    for kind, found in places.items():
        gallery.counts[kind] = len(found)
        for place in np.unique(np.linspace(0, len(found) - 1, min(SHOWN, len(found))).round().astype(int)).tolist():
            recorded, index = found[place]
            try:
                gallery.cells[kind].append(_shown(recorded, index, outcomes))
            except IcsortError as error:
                gallery.notes.append(str(error))
    return gallery


def _shown(recorded: "RecordedImages", index: int, outcomes: Mapping[int, str]) -> ShownCell:
    """Raises IcsortError for an image that cannot be read."""
    import numpy as np

    from icsort.formats.fcs import parameter_name
    from icsort.formats.recorded_images import read_image
    from icsort.formats.recording import CLASS, DIRECTION, EVENT, OUTCOME, POSTERIOR, VALUES, posterior

    images, file = recorded.images, recorded.match.files[0]
    path = images.folder / images.files[index]
    pixels = read_image(path, images.shape)
    row = dict(zip(file.names, recorded.match.values(np.asarray([index]))[0].tolist(), strict=True))
    number, classes, outcome = int(row[CLASS]), images.head.classes, int(row[OUTCOME])
    name = classes[number] if number < len(classes) else f"class {number}"
    own = parameter_name(posterior(name))
    if VALUES in file.keywords:
        answer = f"{name} {row[parameter_name(name)]:,.0f}" if parameter_name(name) in row else name
    else:
        answer = f"{name} {row[own if own in row else POSTERIOR]:.2f}"
    return ShownCell(
        file=f"{images.folder.name}/{path.name}",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        event=int(row[EVENT]),
        answer=answer,
        outcome=outcomes.get(outcome, f"outcome {outcome}"),
        direction=None if row[DIRECTION] < 0 else int(row[DIRECTION]),
        pixels=pixels,
    )
