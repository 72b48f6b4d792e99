# SPDX-License-Identifier: Apache-2.0
"""A job with its files, as a lab writes them."""

import time
from pathlib import Path

from tests.host.fake_board import FakeBoard

GATES = """
format = "icsort-gate-set"
version = 1
tests = [
    {name = "mitotic", kind = "class", classes = ["M"], posterior = 0.5},
    {name = "s", kind = "class", classes = ["S"]},
]
gates = [{name = "left", all = ["mitotic"]}, {name = "right", all = ["s"]}]
directions = [{output = 0, gate = "left"}, {output = 1, gate = "right"}]
"""

INSTRUMENT = """
format = "icsort-instrument"
version = 1
name = "room 3"
drop_clock = "none"      # a valve
trigger = "package"

[[outputs]]
output = 0
delay_us = 812.5         # found on Monday
pulse_us = 20

[[outputs]]
output = 1
delay_us = 818
pulse_us = 20
"""

JOB = """
format = "icsort-job"
version = 1
name = "mitotic cells"
folder = "monday"
model = "package"
instrument = "instrument.toml"
gates = "gates.toml"
mode = "purity"
record = {events = true}
stop = {events = 1000}

[[directions]]
output = 0
name = "tube A"
target = 50

[[directions]]
output = 1
name = "waste"
"""

ACCEPTED, SORTED, LATE, SORTED_0, SORTED_1 = 0x80, 0x88, 0x94, 0x524, 0x528
IDLE = 0x04


def write_job(folder: Path, job: str = JOB, instrument: str = INSTRUMENT, gates: str = GATES) -> Path:
    """Beside the folder `package` of the model."""
    (folder / "gates.toml").write_text(gates)
    (folder / "instrument.toml").write_text(instrument)
    path = folder / "job.toml"
    path.write_text(job)
    return path


def count(board: FakeBoard, **counts: int) -> None:
    """Let counters of the board go up, all in one moment: the board is read from another thread."""
    moved = {globals()[name]: number for name, number in counts.items()}
    board.counters = board.counters | {address: board.counters[address] + number for address, number in moved.items()}


def wait_for_arm(board: FakeBoard) -> None:
    limit = time.monotonic() + 20
    while not board.armed:
        assert time.monotonic() < limit, "it was never armed"
        time.sleep(0.01)
