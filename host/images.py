# SPDX-License-Identifier: Apache-2.0
"""Windows that the board sends in pieces, put together again, and as files that `icsort data` reads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from icsort.host.link.protocol import WORD_BYTES, ImagePiece, ImageReason, Message

LIST_FILE: Final = "images.json"

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


class ImageFolder:
    """Images in a folder: a TIFF each, whose name and LIST_FILE tell the event.

    height, width, channels: of the window, and the channels' names. kept: entries of LIST_FILE so far.
    """

    def __init__(self, folder: Path, height: int, width: int, channels: Sequence[str]) -> None:
        import tifffile  # noqa: F401  # takes its time, which cells that flow do not have

        self.folder = folder
        self.kept: list[dict[str, object]] = []
        self._shape = height, width
        self._channels = tuple(channels)
        self._assembler = ImageAssembler(height * width * len(self._channels))

    def add(self, message: Message | None) -> bool:
        """Take what `Sorter.events` gives. Returns whether it completed an image. Raises OSError where its file cannot
        be written; nothing is left of it."""
        image = self._assembler.see(message) if isinstance(message, ImagePiece) else None
        if image is None:
            return False
        file = f"image-{len(self.kept):06d}-event-{image.event_id}.tiff"
        try:
            write_tiff(self.folder / file, image, *self._shape, self._channels)
        except OSError:
            (self.folder / file).unlink(missing_ok=True)
            raise
        self.kept.append({"file": file, "event": image.event_id, "tag": image.tag, "reason": image.reason.name.lower()})
        return True

    def close(self, skipped: int | None, recording: Path | None = None) -> dict[str, Any]:
        """No more come: write LIST_FILE and return what is in it. Raises OSError.

        skipped: images that the board did not send, None where it cannot be asked. recording: of the same events.
        """
        self._assembler.close()
        document: dict[str, Any] = {
            "images": self.kept,
            "incomplete": self._assembler.incomplete,
            "skipped": skipped,
        }
        if recording is not None:
            document["recording"] = str(recording)
        path = self.folder / LIST_FILE
        try:
            path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return document


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
