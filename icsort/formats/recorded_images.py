# SPDX-License-Identifier: Apache-2.0
"""Recorded images and the recorded events that they are of.

Event and tag of an image are those of its record. The board counts both from its reset on, so that a number alone may
stand for several events of a recording: an image is of the event of as many resets as had been seen when it came.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.fcs import FcsFile
from icsort.formats.image_list import LIST_FILE, ImageList, read_list
from icsort.formats.recording import EVENT, RECORDING_ID, TAG, segment

CHUNK: Final = 20_000
"""Recorded events that are looked at together."""
NO_RECORD: Final = "no record of its event"
OTHER_TAG: Final = "another tag than its record"
OUT_OF_ORDER: Final = "out of order, so that its event cannot be told"
PROBLEMS: Final = (NO_RECORD, OTHER_TAG, OUT_OF_ORDER)


def recording_of(images: ImageList, recording: Path | None = None) -> list[FcsFile]:
    """Files of the recording that was made together with the images.

    recording: where its first file is now, instead of where the list says; or that of another program, which recorded
    the same events. Raises IcsortError where there is none, or it is another one.
    """
    head, named = images.head, images.folder / LIST_FILE
    if recording is None:
        if head.recording is None:
            raise IcsortError(
                f"{named}: names no recording of the same events; give it with --recording, or keep images by `icsort "
                "watch --record FILE.fcs --images FOLDER`"
            )
        recording = images.folder / head.recording
        if not recording.exists():
            raise IcsortError(f"{recording}: there is no such file; say with --recording where the recording is now")
    first = FcsFile(recording)
    stated = first.keywords.get(RECORDING_ID)
    if head.recording_id is not None and stated != head.recording_id:
        raise IcsortError(f"{recording}: is not the recording of the images in {images.folder}; give that one")
    model = first.keyword("ICSORT MODEL ID")
    if head.model_id is not None and model != head.model_id:
        raise IcsortError(f"{recording}: is of model {model}, the images of {head.model_id}; give their recording")
    number = first.integer("ICSORT SEGMENT", 1)
    stem = recording.stem if number == 1 else recording.stem.removesuffix(f"-{number:03d}")
    files = [first]
    while (path := segment(recording.with_name(stem + recording.suffix), number + len(files))).exists():
        following = FcsFile(path)
        if following.keywords.get(RECORDING_ID) != stated or following.names != first.names:
            break  # of a later run
        files.append(following)
    return files


@dataclass(frozen=True)
class Match:
    """rows: (N,) which event of the recording each image is of, from 0 over all its files; -1 for none. problems: (N,)
    why not, an index into PROBLEMS, -1 where there is one. events: of the recording. resets: of the board within it."""

    files: tuple[FcsFile, ...]
    rows: NDArray[np.int64]
    problems: NDArray[np.int64]
    events: int
    resets: int

    @property
    def matched(self) -> NDArray[np.int64]:
        """Images of which there is an event, in the order of the events."""
        found = np.flatnonzero(self.rows >= 0)
        return found[np.argsort(self.rows[found], kind="stable")]

    def counts(self) -> dict[str, int]:
        """How many images have each of the problems, without those that none has; and the events without an image."""
        counts = {problem: int((self.problems == index).sum()) for index, problem in enumerate(PROBLEMS)}
        return {problem: count for problem, count in counts.items() if count}

    def values(self, images: NDArray[np.int64]) -> NDArray[np.float64]:
        """The recorded events of some of the matched images, (n, P), in their order."""
        rows = self.rows[images]
        starts = np.cumsum([0, *(file.events for file in self.files)])
        values = np.empty((len(rows), len(self.files[0].names)))
        at = 0
        while at < len(rows):
            file = int(np.searchsorted(starts, rows[at], "right")) - 1
            run = at + 1
            while run < len(rows) and rows[run] == rows[run - 1] + 1 and rows[run] < starts[file + 1]:
                run += 1
            values[at:run] = self.files[file].rows(int(rows[at] - starts[file]), run - at)
            at = run
        return values


def match(images: ImageList, files: Sequence[FcsFile]) -> Match:
    """Which recorded event each image is of; a part of the recording is in memory at a time.

    Raises IcsortError for images of another program than the recording's, where the board was reset within it: which
    reset they came behind is not known.
    """
    problems = np.full(len(images.files), PROBLEMS.index(NO_RECORD))
    rows = np.full(len(images.files), -1)
    keys = images.resets << 32 | images.events
    # An image that came behind one of a later event was sent behind a reset that no record has shown yet.
    late = np.zeros(len(keys), np.bool_)
    late[1:] = keys[1:] <= np.maximum.accumulate(keys)[:-1]
    problems[late] = PROBLEMS.index(OUT_OF_ORDER)
    known = np.flatnonzero(~late)
    seen, resets = 0, 0
    before: int | None = None
    event, tag = files[0].column(EVENT), files[0].column(TAG)
    for part in _parts(files):
        numbers = part[:, event].astype(np.int64)
        follows = np.diff(numbers, prepend=numbers[0] - 1 if before is None else before)
        back = (follows - 1) % 2**32 >= 2**31
        epochs = resets + np.cumsum(back)
        resets, before = int(epochs[-1]), int(numbers[-1])
        of_record = epochs << 32 | numbers
        places = np.searchsorted(keys[known], of_record)
        held = places < len(known)
        held[held] = keys[known][places[held]] == of_record[held]
        which, there = known[places[held]], np.flatnonzero(held)
        same = part[there, tag].astype(np.int64) == images.tags[which]
        rows[which[same]] = seen + there[same]
        problems[which[same]] = -1
        problems[which[~same]] = PROBLEMS.index(OTHER_TAG)
        seen += len(part)
    if resets and images.head.recording_id is None:
        raise IcsortError(
            f"{files[0].path}: the board was reset within it, and the images of {images.folder} do not tell before or "
            "behind which reset they came; keep images by `icsort watch --record FILE.fcs --images FOLDER`"
        )
    return Match(tuple(files), rows, problems, seen, resets)


def _parts(files: Sequence[FcsFile]) -> Iterator[NDArray[np.float64]]:
    for file in files:
        for first in range(0, file.events, CHUNK):
            yield file.rows(first, CHUNK)


def read_image(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A recorded image, (H, W, C). Raises IcsortError where the file is not there, is damaged or is of another
    shape."""
    try:
        with tifffile.TiffFile(path) as tiff:
            pages = [page.asarray() for page in tiff.pages]
    except OSError as error:
        raise IcsortError(f"{path}: cannot be read ({error.strerror or error}); copy it again") from None
    except Exception as error:  # tifffile raises whatever a damaged file leads it to
        detail = str(error).splitlines()
        raise IcsortError(
            f"{path}: truncated or damaged image ({detail[0] if detail else type(error).__name__}); copy it again"
        ) from None
    height, width, channels = shape
    if len(pages) != channels or any(page.shape != (height, width) or page.dtype != np.uint8 for page in pages):
        raise IcsortError(f"{path}: is not of {channels} pages of {width} x {height} pixels, 8 bit; copy it again")
    return np.stack(pages, axis=-1)


@dataclass(frozen=True)
class Cells:
    """Some images with their recorded events: pixels (n, H, W, C), values (n, P)."""

    pixels: NDArray[np.uint8]
    values: NDArray[np.float64]


@dataclass
class RecordedImages:
    """The images of a folder of which there are recorded events. damaged: files of those that could not be read, as
    `cells` came to them."""

    images: ImageList
    match: Match
    damaged: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, recording: Path | None = None) -> "RecordedImages":
        """A folder with the recording that it names, or the one that is given. Raises IcsortError as `read_list`,
        `recording_of` and `match`, and where no image has an event."""
        images = read_list(folder)
        found = match(images, recording_of(images, recording))
        if not len(found.matched):
            raise IcsortError(
                f"{folder}: none of its {len(images.files)} images is of one of the {found.events} events of "
                f"{found.files[0].path}; give the recording of the same sort"
            )
        return cls(images, found)

    def cells(self, size: int) -> Iterator[Cells]:
        """In the order of the events, at most so many at a time. Raises IcsortError where no image can be read."""
        ordered, readable = self.match.matched, False
        for begin in range(0, len(ordered), size):
            some = ordered[begin : begin + size]
            pixels, kept = [], []
            for index in some.tolist():
                file = self.images.files[index]
                try:
                    pixels.append(read_image(self.images.folder / file, self.images.shape))
                    kept.append(index)
                except IcsortError as error:
                    self.damaged.append(file)
                    problem = error
            if kept:
                readable = True
                yield Cells(np.stack(pixels), self.match.values(np.asarray(kept)))
        if not readable:
            raise problem

    def account(self) -> dict[str, Any]:
        """What became of every image and event, once `cells` has gone through: nothing is left out without a word."""
        images, match = self.images, self.match
        listed = set(images.files)
        beside = sum(path.suffix == ".tiff" and path.name not in listed for path in images.folder.iterdir())
        end = images.end
        return {
            "images": len(images.files),
            "written": len(match.matched) - len(self.damaged),
            **{f"images, {problem}": count for problem, count in match.counts().items()},
            "damaged": sorted(self.damaged),
            "images that the list does not name": beside,
            "events": match.events,
            "events without an image": match.events - len(match.matched),
            "events lost": sum(file.integer("$LOST") for file in match.files),
            "resets": match.resets,
            "incomplete": None if end is None else end.incomplete,
            "skipped": None if end is None else end.skipped,
            "cut short": end is None,
        }


def account_lines(account: dict[str, Any]) -> list[str]:
    """For people, a line each; nothing of what did not happen."""
    shown = []
    for name, value in account.items():
        if name == "cut short":
            if value:
                shown.append("the program that kept the images was killed: what it lost is not known")
        elif isinstance(value, list):
            if value:
                shown.append(f"{name}: {len(value)} ({', '.join(value)})")
        elif value or name in ("images", "written", "events"):
            shown.append(f"{name}: {value:,}")
    return shown
