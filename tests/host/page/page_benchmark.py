# SPDX-License-Identifier: Apache-2.0
"""How old an event is when a browser has it: `python -m tests.host.page.page_benchmark [RECORDS_PER_SECOND] [SECONDS]`.

A fake board sends records of all groups, `icsort serve --page` takes them, and one browser asks for a density plot, a
histogram and all else four times a second. Told are how long ago the newest event of an answer was given to the line
when the answer is read, at which rate the records went, and what the server's process took of a processor.
"""

import os
import statistics
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path

from icsort.formats import package
from icsort.formats.event_record import pack
from tests.host import fake_board
from tests.host.fake_board import FakeBoard
from tests.host.page.cells import CELLS, cells
from tests.host.page.conftest import Served
from tests.host.recordings import MODEL, example

STEP_SECONDS = 0.01
ASK_SECONDS = 0.25
CLOCK_HZ = 100_000_000
TICKS = os.sysconf("SC_CLK_TCK")
VIEW = {
    "x": {"value": "Size (PI)", "scale": {"kind": "logicle", "t": 1000.0, "m": 4.5, "w": 0.5}},
    "y": {"value": "Total Intensity (PI)", "scale": {"kind": "log", "t": 1e6, "m": 4.0}},
    "single": {"value": "posterior G1", "scale": {"kind": "linear", "t": 1.0}},
}


def frames(board: FakeBoard, count: int) -> list[bytes]:
    """EVENT frames of events one after the other."""
    logits, values = cells(example())
    made = []
    for event in range(count):
        cell = event % CELLS
        base = {
            "event_id": event, "event_time": 3000 * event, "tag": event % 256, "outcome": 1, "direction": 255,
            "flags": 0, "length": 40, "class_index": int(logits[cell].argmax()), "posterior": 0, "gates": 0,
            "first_pixel_to_decision": 5100, "last_pixel_to_decision": 515, "gate_serial": 0,
        }  # fmt: skip
        record = pack(base, values[cell].tolist(), logits[cell].tolist())
        made.append(board.frame(struct.pack("<BB", 0xE0, event % 256) + record))
    return made


def used(process: int) -> float:
    """Seconds of a processor that a process took."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def main(rate: int, seconds: float) -> None:
    model = example()
    with tempfile.TemporaryDirectory() as folder, FakeBoard(model.model_id, model.network_id) as board:
        os.environ["XDG_RUNTIME_DIR"] = folder
        (Path(folder) / "model.onnx").write_bytes(MODEL)
        package.save(model, Path(folder))
        board.registers[fake_board.GATE_VALUES] = 20
        board.registers[fake_board.RECORD_FIELDS] = 0b1111
        sent = frames(board, int(rate * seconds))
        served = Served("--port", board.port, "--model", folder)
        browser = served.browser.enter()
        put: list[tuple[float, int]] = []  # when, and how many with those

        def send() -> None:
            begun, done = time.monotonic(), 0
            while done < len(sent):
                time.sleep(STEP_SECONDS)
                due = min(len(sent), int((time.monotonic() - begun) * rate))
                put.append((time.time(), due))
                board.put(b"".join(sent[done:due]))
                done = due

        sending = threading.Thread(target=send)
        processor, begun = used(served.process.pid), time.monotonic()
        sending.start()
        ages = []
        while sending.is_alive():
            asked = time.monotonic()
            live = browser.post("/live", VIEW)
            now = time.time()
            if live["event"] is not None:
                ages.append(now - next(when for when, done in put if done > live["event"]))
            time.sleep(max(0.0, ASK_SECONDS - (time.monotonic() - asked)))
        took = time.monotonic() - begun
        processor = (used(served.process.pid) - processor) / took
        live = browser.post("/live", VIEW)
        print(f"{len(sent):,} records of {len(sent[0])} bytes in {took:.1f} s: {len(sent) / took:,.0f} a second")
        median, late = statistics.median(ages), statistics.quantiles(ages, n=20)[-1]
        print(f"age of the newest event: median {median:.3f} s, 95 % {late:.3f} s, most {max(ages):.3f} s")
        print(f"shown of them {live['events']['seen']:,}")
        print(f"icsort serve took {processor:.0%} of a processor; answers {len(ages) / took:.1f} a second")
        served.end()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30_000, float(sys.argv[2]) if len(sys.argv) > 2 else 10.0)
