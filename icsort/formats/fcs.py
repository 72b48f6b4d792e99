# SPDX-License-Identifier: Apache-2.0
"""Files of the Flow Cytometry Standard 3.1 (Spidlen et al. 2010, Cytometry A 77:97) that grow while they are written.

All that changes while a file grows, its offsets, how many events it has and what else is counted, stands at fixed
places in its first BLOCK bytes, as wide as it may ever get. So one write of one disk sector tells what is there, and
comes when that is on the disk: whatever ends the writer, the file is whole up to the last `commit`.

Values are 64-bit floating point, little endian ($DATATYPE D): identifiers, times of 48 bits and features of 32 bits
are exact, which they would not be in 32 bits. Events are rows, parameters columns.
"""

import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from icsort.errors import IcsortError

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION: Final = b"FCS3.1"
BLOCK: Final = 512
"""Bytes of a disk sector, which is on the disk whole or not at all."""
VALUE_BYTES: Final = 8
_TEXT_AT: Final = 64
_SEPARATOR: Final = "\x0c"
_DIGITS: Final = 12
_LARGEST: Final = 2.0**63
_HEADER_MAX: Final = 99_999_999
"""Offsets above stand in TEXT alone, the header has 0 for them."""
_TRAILER: Final = b"0" * 8
"""In place of a checksum of the whole file, which the standard allows."""


class Parameter(NamedTuple):
    """A column. top: above its values, for axes of plots. unit: empty for what has none."""

    name: str
    top: float
    unit: str = ""


def parameter_name(name: str) -> str:
    """As a file may have it: the standard forbids commas, and the separator would end it."""
    return name.replace(",", ";").replace(_SEPARATOR, " ")


class FcsWriter:
    """A new file. Raises OSError wherever the disk does.

    keywords: what is known now. changing: names of keywords whose value each `commit` tells, at most 12 characters of
    it.
    """

    def __init__(
        self, path: Path, parameters: Sequence[Parameter], keywords: Mapping[str, str], changing: Sequence[str]
    ) -> None:
        self.path = path
        self.events = 0
        """Written, of which `committed` are certain to be there whatever happens."""
        self.committed = 0
        self._row_bytes = VALUE_BYTES * len(parameters)
        self._changing = tuple(changing)
        self._values = dict.fromkeys(self._changing, "0")
        names = [parameter_name(parameter.name) for parameter in parameters]
        if len(set(names)) < len(names):
            raise IcsortError(f"{path}: two parameters have one name: {max(names, key=names.count)}")
        text = _text(_fixed(parameters) | dict(keywords))
        self._text_end = BLOCK + len(text) - 1
        self.data_at = -(-(BLOCK + len(text)) // BLOCK) * BLOCK
        self._file = path.open("x+b", buffering=0)
        self._write(self._block() + text.ljust(self.data_at - BLOCK))
        os.fsync(self._file.fileno())

    @property
    def size(self) -> int:
        """Bytes, without the trailer."""
        return self.data_at + self.events * self._row_bytes

    def write(self, rows: "NDArray[Any]") -> None:
        """Append events, (E, P); `commit` makes them count."""
        self._file.seek(self.size)
        self._write(rows.astype("<f8", copy=False).tobytes())
        self.events += len(rows)

    def change(self, event: int, column: int, value: float) -> None:
        """Another value for an event that was written, 0 the file's first."""
        with self.path.open("r+b", buffering=0) as file:  # the writer's own may be closed
            file.seek(self.data_at + event * self._row_bytes + column * VALUE_BYTES)
            file.write(struct.pack("<d", value))

    def commit(self, values: Mapping[str, str]) -> None:
        """All that was written is on the disk, and the file says so."""
        self._values = {name: values[name] for name in self._changing}
        os.fsync(self._file.fileno())
        self._file.seek(0)
        self._write(self._block())
        os.fsync(self._file.fileno())
        self.committed = self.events

    def close(self, values: Mapping[str, str] | None = None) -> None:
        """Commit and end the file; without values, leave it as it is."""
        try:
            if values is not None:
                self.commit(values)
                self._file.seek(self.size)
                self._write(_TRAILER)
        finally:
            self._file.close()

    def _block(self) -> bytes:
        """The header, and the first keywords."""
        last = self.size - 1
        places = [_TEXT_AT, self._text_end, *((0, 0) if last > _HEADER_MAX else (self.data_at, last)), 0, 0]
        header = VERSION + b" " * 4 + b"".join(b"%8d" % place for place in places)
        counted = {"$BEGINDATA": self.data_at, "$ENDDATA": last, "$TOT": self.events}
        fixed = {key: f"{value:0{_DIGITS}d}" for key, value in counted.items()}
        fixed |= {key: f"{value:{_DIGITS}}" for key, value in self._values.items()}
        text = _SEPARATOR.encode() + _text(fixed)
        # The last keyword of the block takes what is left of it, so that the rest of TEXT follows at once.
        room = BLOCK - _TEXT_AT - len(text) - len(f"COMMENT{_SEPARATOR}{_SEPARATOR}")
        assert room > 0, "too many keywords that change"
        return header.ljust(_TEXT_AT) + text + _text({"COMMENT": "icsort".ljust(room)})

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]


def keywords(path: Path, remedy: str = "give another file") -> dict[str, str]:
    """What stands in the TEXT of any FCS file, by name. Raises IcsortError for one that is none."""
    try:
        with path.open("rb") as stream:
            header = stream.read(_TEXT_AT)
            begin, end = int(header[10:18]), int(header[18:26])
            stream.seek(begin)
            text = stream.read(max(0, end + 1 - begin)).decode("utf-8")
        words = text[1:].split(text[:1])
    except OSError as error:
        raise IcsortError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    except ValueError:
        raise IcsortError(f"{path}: is no FCS file; {remedy}") from None
    return {key: value.strip() for key, value in zip(words[::2], words[1::2], strict=False)}


class FcsFile:
    """A file as `FcsWriter` makes it, finished or not, a part at a time. Raises IcsortError for any other.

    names: of the parameters. keywords: by name. events: how many.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keywords = keywords(path, "give a recording of `icsort record`")
        try:
            if self.keywords["$DATATYPE"] != "D" or self.keywords["$BYTEORD"] != "1,2,3,4":
                raise ValueError
            self.events = self.integer("$TOT")
            self.names = [self.keywords[f"$P{n}N"] for n in range(1, self.integer("$PAR") + 1)]
            self._data_at = self.integer("$BEGINDATA")
            if not self.names:
                raise ValueError
        except (KeyError, ValueError):
            raise IcsortError(f"{path}: is no recording of `icsort record`, whose values are $DATATYPE D") from None

    def keyword(self, name: str) -> str:
        """What the file says of this name. Raises IcsortError where it says nothing."""
        if not (value := self.keywords.get(name)):
            raise IcsortError(f"{self.path}: has no keyword {name}; give a recording of `icsort record`")
        return value

    def integer(self, name: str, least: int = 0) -> int:
        """A keyword that is a number, of so much at least. Raises IcsortError where it is none."""
        if not (value := self.keyword(name)).isdecimal() or len(value) > _DIGITS or int(value) < least:
            raise IcsortError(f"{self.path}: its keyword {name} is {value!r}, which is no number; copy it again")
        return int(value)

    def column(self, name: str) -> int:
        """Place of a parameter. Raises IcsortError where there is none of this name."""
        try:
            return self.names.index(parameter_name(name))
        except ValueError:
            raise IcsortError(f"{self.path}: has no parameter {name!r}") from None

    def rows(self, first: int, count: int) -> "NDArray[Any]":
        """At most so many events from that one on, (E, P) float64. Raises IcsortError for a file that ends before, and
        for values that no board sends."""
        import numpy as np

        count = max(0, min(count, self.events - first))
        values = count * len(self.names)
        at = self._data_at + first * len(self.names) * VALUE_BYTES
        try:
            if at + values * VALUE_BYTES > self.path.stat().st_size:
                raise IcsortError(f"{self.path}: ends before event {first + count}; copy it again")
            rows = np.fromfile(self.path, "<f8", values, offset=at)
        except OSError as error:
            raise IcsortError(f"{self.path}: cannot be read ({error.strerror}); give another file") from None
        rows = rows.reshape(count, len(self.names))
        if not (sound := np.abs(rows) <= _LARGEST).all():
            event, column = np.argwhere(~sound)[0].tolist()
            where = f"event {first + event + 1}: {self.names[column]}"
            raise IcsortError(f"{self.path}: {where} is {rows[event, column]:g}, damaged; copy the file again")
        return rows


def _fixed(parameters: Sequence[Parameter]) -> dict[str, str]:
    """Keywords that the standard requires."""
    keywords = dict.fromkeys(("$BEGINANALYSIS", "$ENDANALYSIS", "$BEGINSTEXT", "$ENDSTEXT", "$NEXTDATA"), "0")
    keywords |= {"$BYTEORD": "1,2,3,4", "$DATATYPE": "D", "$MODE": "L", "$PAR": str(len(parameters))}
    for number, parameter in enumerate(parameters, 1):
        keywords |= {
            f"$P{number}N": parameter_name(parameter.name),
            f"$P{number}B": str(8 * VALUE_BYTES),
            f"$P{number}E": "0,0",
            f"$P{number}R": f"{parameter.top:.0f}",
        }
        if parameter.unit:
            keywords[f"P{number}UNIT"] = parameter.unit
    return keywords


def _text(keywords: Mapping[str, str]) -> bytes:
    """Keywords and values, a separator behind each; no value is empty."""
    words = [word.replace(_SEPARATOR, " ") or " " for pair in keywords.items() for word in pair]
    return "".join(word + _SEPARATOR for word in words).encode()
