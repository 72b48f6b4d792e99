# SPDX-License-Identifier: Apache-2.0
"""Windows that the board sends in pieces, put together again, and as files that `icsort data` reads."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from icsort.host.link.protocol import WORD_BYTES, EventRecord, ImagePiece, ImageReason, Message

if TYPE_CHECKING:  # most commands keep no image
    from icsort.formats.document import Strict
    from icsort.formats.image_list import ImagesHead
    from icsort.formats.package import Manifest

_PAGE_NAME: Final = 285  # TIFF 6.0, section 12


@dataclass(frozen=True)
class Image:
    """The window of an event as the network took it. pixels: rows of pixels of channels, one byte each."""

    event_id: int
    tag: int
    reason: ImageReason
    pixels: bytes


class ImageAssembler:
    """Puts the pieces of a board's windows together.

    size: bytes of a window. complete, incomplete: images so far; one of which a piece is missing is dropped, and
    counted where the next one begins or `close` is called.
    """

    def __init__(self, size: int) -> None:
        self.complete = 0
        self.incomplete = 0
        self._size = size
        self._event: tuple[int, int] | None = None  # event and tag of the image at hand
        self._pieces: list[bytes] = []

    def see(self, piece: ImagePiece) -> Image | None:
        """Take the next piece received. Returns the image that it completes, None where it completes none."""
        if self._event != (piece.event_id, piece.tag) or piece.piece == 0:
            self.close()
            self._event = piece.event_id, piece.tag
        if piece.piece == len(self._pieces):
            self._pieces.append(piece.pixels)
        if piece.piece < piece.pieces - 1:
            return None
        pixels = b"".join(self._pieces)
        if len(self._pieces) < piece.pieces or not 0 <= len(pixels) - self._size < WORD_BYTES:
            self.close()
            return None
        self._event, self._pieces = None, []
        self.complete += 1
        return Image(piece.event_id, piece.tag, piece.reason, pixels[: self._size])

    def close(self) -> None:
        """No more pieces come of the image at hand."""
        self.incomplete += self._event is not None
        self._event, self._pieces = None, []


def images_head(
    shape: tuple[int, int, int],
    manifest: "Manifest | None",
    folder: Path,
    recording: tuple[Path, str] | None = None,
) -> "ImagesHead":
    """What the list of a folder says of all its images. shape: height, width, channels. recording: FCS file of the same
    events, and its keyword ICSORT RECORDING."""
    from icsort.formats.acquisition import Acquisition
    from icsort.formats.image_list import ImagesHead

    height, width, channels = shape
    named: dict[str, Any] = {"channels": tuple(f"channel {c}" for c in range(channels))}
    if manifest is not None:
        acquisition = Acquisition(**{key: getattr(manifest, key) for key in Acquisition.model_fields})
        named = {key: getattr(manifest, key) for key in ("channels", "model_id", "classes")}
        named |= {"model": manifest.name, "acquisition": acquisition}
    if recording is not None:
        path, named["recording_id"] = recording
        try:
            named["recording"] = Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
        except ValueError:  # on another drive
            named["recording"] = str(path.absolute())
    return ImagesHead(height=height, width=width, **named)


class ImageFolder:
    """Images in a folder that is there: a TIFF each, and the list of them (icsort.formats.image_list).

    kept: entries of the list so far. Raises OSError where the list cannot be begun.
    """

    def __init__(self, folder: Path, head: "ImagesHead") -> None:
        import tifffile  # noqa: F401  # takes its time, which cells that flow do not have

        from icsort.formats.image_list import LIST_FILE, ListedImage

        self.folder = folder
        self.kept: list[ListedImage] = []
        self._entry = ListedImage
        self._head = head
        self._assembler = ImageAssembler(head.height * head.width * len(head.channels))
        self._resets = 0
        self._next: int | None = None
        self._list = (folder / LIST_FILE).open("xb", buffering=0)
        self._write(head)

    def add(self, message: Message | None) -> bool:
        """Take what `Sorter.events` gives. Returns whether it completed an image. Raises OSError where it cannot be
        written; nothing is left of it."""
        if isinstance(message, EventRecord):
            self._resets += self._next is not None and (message.event_id - self._next) % 2**32 >= 2**31
            self._next = (message.event_id + 1) % 2**32
        image = self._assembler.see(message) if isinstance(message, ImagePiece) else None
        if image is None:
            return False
        name = f"image-{len(self.kept):06d}-event-{image.event_id}.tiff"
        entry = self._entry(
            file=name, event=image.event_id, tag=image.tag, reason=image.reason.name.lower(), resets=self._resets
        )
        try:
            write_tiff(self.folder / name, image, self._head.height, self._head.width, self._head.channels)
            self._write(entry)
        except OSError:
            (self.folder / name).unlink(missing_ok=True)
            raise
        self.kept.append(entry)
        return True

    def close(self, skipped: int | None, stopped: str | None = None) -> dict[str, Any]:
        """No more come: end the list. Returns what it says. Raises OSError.

        skipped: images that the board did not send, None where it cannot be asked. stopped: why no more were kept.
        """
        from icsort.formats.image_list import ImagesEnd

        self._assembler.close()
        end = ImagesEnd(incomplete=self._assembler.incomplete, skipped=skipped, stopped=stopped)
        try:
            self._write(end)
        finally:
            self._list.close()
        document = {"images": [entry.model_dump() for entry in self.kept]} | end.model_dump(exclude_none=True)
        return document | {"skipped": skipped} | ({"recording": r} if (r := self._head.recording) else {})

    def discard(self) -> None:
        """Leave an empty folder, where no image was kept. Raises OSError."""
        self._list.close()
        Path(self._list.name).unlink()

    def _write(self, line: "Strict") -> None:
        """A line is there whole or not at all, so that the next one may follow. Raises OSError."""
        begun = self._list.tell()
        view = memoryview(line.model_dump_json().encode() + b"\n")
        try:
            while view:
                view = view[self._list.write(view) :]
        except OSError:
            self._list.truncate(begun)
            self._list.seek(begun)
            raise


def write_tiff(path: Path, image: Image, height: int, width: int, channels: Sequence[str]) -> None:
    """The image as the sorter's own are: a page of 8-bit grey a channel, with the channel's name. Raises OSError."""
    # Both take their time to import, and most commands write no image.
    import numpy as np
    from tifffile import TiffWriter

    pixels = np.frombuffer(image.pixels, np.uint8).reshape(height, width, len(channels))
    stream = BytesIO()
    with TiffWriter(stream) as file:
        for index, channel in enumerate(channels):
            name = channel.encode("ascii", "replace").decode()
            file.write(pixels[..., index], metadata=None, extratags=[(_PAGE_NAME, "s", 0, name, True)])
    path.write_bytes(stream.getvalue())  # tifffile does not tell of a disk that is full
