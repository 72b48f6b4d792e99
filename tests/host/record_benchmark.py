# SPDX-License-Identifier: Apache-2.0
"""Records a second that one core decodes and writes to the disk: `python -m tests.host.record_benchmark`.

Frames as a board with 3 channels and 7 classes sends them, all groups, cobs by the `cobs` package. What is told is
processor time of all threads, so that other programs of the machine do not count, and the memory at its most.
"""

import random
import resource
import struct
import sys
import tempfile
import time
import zlib
from pathlib import Path

from cobs import cobs

from icsort.formats import acquisition
from icsort.formats.event_record import Group, pack
from icsort.formats.package import Manifest
from icsort.formats.recording import Layout
from icsort.host.recorder import Recorder
from icsort.host.sorter import Sorter
from icsort.sim.bit_true import features
from tests.host.recordings import ALL, CLOCK_HZ, example

FRAMES = 50_000
READ_BYTES = 4096
CHANNELS, CLASSES = 3, 7


class Line:
    """A transport that has these bytes, over and over."""

    name = "memory"

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self) -> bytes:
        piece = self._data[self._at : self._at + READ_BYTES]
        self._at = self._at + len(piece) if self._at + len(piece) < len(self._data) else 0
        return piece

    def write(self, data: bytes) -> None:
        del data

    def close(self) -> None:
        pass


def model() -> Manifest:
    return example().model_copy(
        update={
            "classes": tuple(f"class {index}" for index in range(CLASSES)),
            "channels": tuple(f"channel {index}" for index in range(CHANNELS)),
            "input": acquisition.InputSpec(height=40, width=38, channels=CHANNELS),
        }
    )


def frames(count: int) -> bytes:
    """EVENT frames of events one after the other."""
    draw, sent = random.Random(0), []
    for number in range(count):
        values = {
            "event_id": number, "event_time": 2**33 + 3300 * number, "tag": number % 256,
            "outcome": draw.randrange(14), "direction": 255, "flags": 0, "length": draw.randrange(20, 90),
            "class_index": draw.randrange(CLASSES), "posterior": draw.randrange(2**16), "gates": draw.randrange(16),
            "first_pixel_to_decision": 1700, "last_pixel_to_decision": 515, "gate_serial": 3,
        }  # fmt: skip
        record = pack(
            values,
            [int(draw.gauss(3000, 2000)) for _ in range(features.count(CHANNELS))],
            [draw.randint(-3000, 3000) for _ in range(CLASSES)],
        )
        payload = struct.pack("<BB", 0xE0, number % 256) + record
        sent.append(cobs.encode(payload + zlib.crc32(payload).to_bytes(4, "little")) + b"\0")
    return b"".join(sent)


def main(records: int) -> None:
    layout = Layout(model(), CLOCK_HZ, ALL | Group.BASE)
    data = frames(FRAMES)
    sorter = Sorter(Line(data))
    with tempfile.TemporaryDirectory() as folder:
        began, processor = time.monotonic(), time.process_time()
        with Recorder(Path(folder) / "run.fcs", layout, {}, sorter.losses) as recorder:
            for message in sorter.events(records):
                recorder.add(message)
        used, wall = time.process_time() - processor, time.monotonic() - began
        size = sum(path.stat().st_size for path in recorder.files)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{records:,} records of {len(data) / FRAMES:.0f} bytes, {len(layout.parameters)} values each")
    print(f"one core       {records / used:,.0f} records/s ({used / records * 1e6:.1f} us each)")
    print(f"as it ran here {records / wall:,.0f} records/s, {size / wall / 1e6:.1f} MB/s to the disk")
    print(f"memory         {most:.0f} MB at its most; lost {sorter.losses.events + sorter.losses.bad_frames}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300_000)
