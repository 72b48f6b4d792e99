# SPDX-License-Identifier: Apache-2.0
"""Windows that the board sends in pieces, put together again, and as files that `icsort data` reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from icsort.host.link.protocol import WORD_BYTES, ImagePiece, ImageReason

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


def write_tiff(path: Path, image: Image, height: int, width: int, channels: Sequence[str]) -> None:
    """The image as the sorter's own are: a page of 8-bit grey a channel, with the channel's name. Raises OSError."""
    # Both take their time to import, and most commands write no image.
    import numpy as np
    from tifffile import TiffWriter

    pixels = np.frombuffer(image.pixels, np.uint8).reshape(height, width, len(channels))
    with TiffWriter(path) as file:
        for index, channel in enumerate(channels):
            name = channel.encode("ascii", "replace").decode()
            file.write(pixels[..., index], metadata=None, extratags=[(_PAGE_NAME, "s", 0, name, True)])
