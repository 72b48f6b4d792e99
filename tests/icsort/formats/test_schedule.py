# SPDX-License-Identifier: Apache-2.0
"""A schedule as a file: what is wrong is told by its key, in a line."""

from pathlib import Path

import pytest

from icsort.errors import IcsortError
from icsort.formats.schedule import DirectionSchedule, Droplets, Schedule, load, simple

FILE = """
mode = "single"
doublets = true
droplets = {frequency_hz = 92000, envelope = 1.5, margin = 3}

[directions.0]
delay_drops = 31.25
target = 50

[directions.5]
delay_drops = 31
duty = 0.1
burst_us = 200
"""


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "schedule.toml"
    path.write_text(FILE)
    assert load(path) == Schedule(
        directions={
            0: DirectionSchedule(delay_drops=31.25, target=50),
            5: DirectionSchedule(delay_drops=31, duty=0.1, burst_us=200),
        },
        mode="single",
        droplets=Droplets(frequency_hz=92000, envelope=1.5, margin=3),
        doublets=True,
    )


@pytest.mark.parametrize(
    ("find", "replace", "problem"),
    [
        ("target = 50", "targets = 50", "unknown key directions.0.targets"),
        ("target = 50", 'target = "50"', "directions.0.target is '50': it must be a valid integer"),
        ("target = 50", "target = 2026-01-01", "dates and times have no place in it"),
        ("burst_us = 200", "burst_us = inf", "directions.5.burst_us is inf"),
        ("duty = 0.1", "duty = 0", "directions.5.duty is 0: it must be greater than 0"),
        ("envelope = 1.5", "envelope = 1.7", "droplets.envelope: is not 1, 1.5 or 2"),
        ("[directions.5]", "[directions.6]", "directions.6"),
        ('mode = "single"', 'mode = "sometimes"', "mode is 'sometimes': it must be 'yield', 'purity' or 'single'"),
        ("[directions.5]", "[directions.5", "not a TOML file ("),
    ],
)
def test_a_file_that_cannot_be(tmp_path: Path, find: str, replace: str, problem: str) -> None:
    path = tmp_path / "schedule.toml"
    assert find in FILE
    path.write_text(FILE.replace(find, replace))
    with pytest.raises(IcsortError) as refused:
        load(path)
    line = str(refused.value)
    assert line.startswith(f"{path}: {problem}")
    assert line.endswith("; docs/sorter.md has what may be set")
    assert "\n" not in line


def test_what_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "schedule.toml"
    with pytest.raises(IcsortError, match="cannot be read"):
        load(path)
    path.write_bytes(b'mode = "\xff"')
    with pytest.raises(IcsortError, match="not a TOML file"):
        load(path)


def test_options_that_cannot_be() -> None:
    with pytest.raises(IcsortError, match=r"schedule: pulse_us is -1\.0: it must be greater than or equal to 0; docs/"):
        simple(pulse_us=-1.0)
