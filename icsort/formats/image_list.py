# SPDX-License-Identifier: Apache-2.0
"""The list of a folder of recorded images: a line of JSON for what all have in common, one for each image, one that
ends it. It only grows, so that whatever ends the program that writes it, the images that are there are known.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from icsort.errors import IcsortError
from icsort.formats.acquisition import Acquisition, Size
from icsort.formats.document import Document, Name, Strict, refusals

LIST_FILE: Final = "images.jsonl"
FORMAT: Final = "icsort-images"
VERSION: Final = 1
REMEDY: Final = "give a folder of `icsort watch --images`, `icsort sort` or `icsort snapshot` as it was written"


class ImagesHead(Document):
    """The first line. channels: names. height, width: of each image.

    model, model_id, classes, acquisition: of the package whose network took them; None, and no classes, where nobody
    said which that is. recording: FCS file of the same events, from this folder on; recording_id: its keyword ICSORT
    RECORDING. Both None where none was made together with the images.
    """

    format: Literal["icsort-images"] = FORMAT
    version: Annotated[int, Field(ge=VERSION, le=VERSION)] = VERSION
    channels: Annotated[tuple[Name, ...], Field(min_length=1)]
    height: Size
    width: Size
    model: Name | None = None
    model_id: Name | None = None
    classes: tuple[Name, ...] = ()
    acquisition: Acquisition | None = None
    recording: Name | None = None
    recording_id: Name | None = None


class ListedImage(Strict):
    """An image. file: in the folder. event, tag: as its record has them. reason: why the board sent it. resets: of the
    board that records had shown when it came, since the first image."""

    file: Annotated[str, StringConstraints(pattern=r"^[^/\\]+\.tiff$")]
    event: Annotated[int, Field(ge=0, lt=2**32)]
    tag: Annotated[int, Field(ge=0, le=255)]
    reason: Name
    resets: Annotated[int, Field(ge=0, lt=2**31)]


class ImagesEnd(Strict):
    """The last line. incomplete: images of which a piece was lost. skipped: that the board did not send, None where
    nobody asked it. stopped: why no more were kept before the end."""

    incomplete: Annotated[int, Field(ge=0)]
    skipped: int | None
    stopped: str | None = None


@dataclass(frozen=True)
class ImageList:
    """The images of a folder, in the order in which they came.

    files: names in the folder. events, tags, resets: (N,) of each. end: None where the program that wrote them was
    killed.
    """

    folder: Path
    head: ImagesHead
    files: tuple[str, ...]
    events: NDArray[np.int64]
    tags: NDArray[np.int64]
    resets: NDArray[np.int64]
    end: ImagesEnd | None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels of each image."""
        return self.head.height, self.head.width, len(self.head.channels)


_LINES: Final[TypeAdapter[ListedImage | ImagesEnd]] = TypeAdapter(ListedImage | ImagesEnd)


def is_listed(folder: Path) -> bool:
    """Whether a folder is one of recorded images."""
    return (folder / LIST_FILE).is_file()


def read_list(folder: Path) -> ImageList:
    """The list of a folder. Raises IcsortError, one line with file, line and what to do, for one that is none or is
    damaged; only its last line may be cut short."""
    path = folder / LIST_FILE
    files: dict[str, None] = {}
    numbers: list[tuple[int, int, int]] = []
    head: ImagesHead | None = None
    end: ImagesEnd | None = None
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                where = f"{path}: line {number}"
                if head is None:
                    with refusals(where, REMEDY):
                        head = ImagesHead.model_validate_json(line)
                    continue
                if end is not None:
                    raise IcsortError(f"{where}: is behind the list's end; {REMEDY}")
                try:
                    entry = _LINES.validate_json(line)
                except ValidationError:
                    if not line.endswith(b"\n"):  # its writer was killed
                        break
                    raise IcsortError(f"{where}: is no image of a list of images; {REMEDY}") from None
                if isinstance(entry, ImagesEnd):
                    end = entry
                    continue
                if entry.file in files:
                    raise IcsortError(f"{where}: names {entry.file} twice; {REMEDY}")
                files[entry.file] = None
                numbers.append((entry.event, entry.tag, entry.resets))
    except OSError as error:
        raise IcsortError(f"{path}: cannot be read ({error.strerror}); {REMEDY}") from None
    if head is None:
        raise IcsortError(f"{path}: is empty; {REMEDY}")
    if head.acquisition is not None and (
        head.acquisition.channels != head.channels
        or head.acquisition.input.shape != (head.height, head.width, len(head.channels))
    ):
        raise IcsortError(f"{path}: line 1: its acquisition is of other images; {REMEDY}")
    columns = np.asarray(numbers, np.int64).reshape(-1, 3)
    return ImageList(folder, head, tuple(files), columns[:, 0], columns[:, 1], columns[:, 2], end)
