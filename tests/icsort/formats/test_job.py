# SPDX-License-Identifier: Apache-2.0
"""Jobs and instruments as files: what is wrong is told by its key, and nothing that matters is assumed."""

import os
from pathlib import Path

import pytest

from icsort.errors import IcsortError
from icsort.formats.instrument import load_instrument, with_delay
from icsort.formats.job import load_job
from icsort.formats.schedule import DirectionSchedule, Droplets, Schedule
from tests.host.jobs import GATES, INSTRUMENT, JOB, write_job
from tests.host.recordings import example

DROPLETS = """
format = "icsort-instrument"
version = 1
name = "jet"
trigger = {on = 2100, off = 1900}

[drop_clock]
frequency_hz = 92000
source = "external"
envelope = 1.5
first_phase = 2
last_phase = 13
margin = 3

[[outputs]]
output = 0
delay_drops = 31.25
dead_drops = 2

[[outputs]]
output = 1
delay_drops = 31.3125
duty = 0.1
burst_us = 200
"""


def test_a_job_becomes_a_schedule(tmp_path: Path) -> None:
    loaded = load_job(write_job(tmp_path))
    assert loaded.folder == tmp_path / "monday"
    assert loaded.model == tmp_path / "package"
    assert loaded.job.targets == {0: 50}
    assert loaded.schedule({}) == Schedule(
        directions={
            0: DirectionSchedule(delay_us=812.5, pulse_us=20, target=50),
            1: DirectionSchedule(delay_us=818, pulse_us=20),
        },
        mode="purity",
    )
    assert loaded.instrument.droplets() is None
    assert loaded.schedule({0: 30, 1: 7}).directions[0].target == 20
    assert set(loaded.schedule({0: 50}).directions) == {1}  # nothing more goes there: 0 would be without end


def test_a_droplet_sorter(tmp_path: Path) -> None:
    loaded = load_job(write_job(tmp_path, instrument=DROPLETS))
    schedule = loaded.schedule({})
    assert schedule.droplets == Droplets(
        frequency_hz=92000, clock="external", envelope=1.5, first_phase=2, last_phase=13, margin=3
    )
    assert schedule.directions[1] == DirectionSchedule(delay_drops=31.3125, duty=0.1, burst_us=200)
    assert schedule.directions[0] == loaded.instrument.direction(0, target=50)
    assert loaded.instrument.direction(1, delay_drops=30) == DirectionSchedule(delay_drops=30, duty=0.1, burst_us=200)
    assert loaded.instrument.delay_key == "delay_drops"
    assert schedule.cycles(100_000_000).directions[0].delay == 500
    front = loaded.instrument.front(example())
    assert (front.event_trigger.on, front.event_trigger.off) == (2100, 1900)
    assert front.trigger.weights == example().trigger.weights
    upside_down = write_job(tmp_path, instrument=DROPLETS.replace("off = 1900", "off = 2200"))
    with pytest.raises(IcsortError, match="2200"):
        load_job(upside_down).instrument.front(example())


@pytest.mark.parametrize(
    ("find", "replace", "problem"),
    [
        ('mode = "purity"', 'moed = "purity"', r"job\.toml: (mode is missing|unknown key moed)"),
        ("stop = {events = 1000}", "stop = {event = 1000}", r"job\.toml: unknown key stop\.event;"),
        ("version = 1", "version = 2", r"version is 2, and this icsort reads version 1"),
        ('format = "icsort-job"', "", r"job\.toml: format is missing"),
        ("target = 50", "target = 0", r"directions\[0\]\.target is 0"),
        ("target = 50", 'target = "many"', r"directions\[0\]\.target is 'many'"),
        ("output = 1", "output = 0", r"output 0 has two directions"),
        ("output = 1", "output = 6", r"directions\[1\]\.output is 6"),
        ("stop = {events = 1000}", "stop = {targets = false}", r"nothing ends this job: give stop\.minutes or"),
        ("stop = {events = 1000}", "stop = {minutes = 0}", r"stop\.minutes is 0"),
        ("record = {events = true}\n", "", r"record is missing"),
        ("record = {events = true}", "record = {events = 2026-01-01}", r"dates and times have no place in it"),
        ('instrument = "instrument.toml"', 'instrument = "none.toml"', r"none\.toml: cannot be read \(No such file"),
        ('gates = "gates.toml"', "gates = 7", r"gates is 7"),
        ("[[directions]]", "[[directions]", r"job\.toml: not a TOML file \("),
    ],
)
def test_a_job_that_cannot_be(tmp_path: Path, find: str, replace: str, problem: str) -> None:
    assert find in JOB
    with pytest.raises(IcsortError, match=problem) as refusal:
        load_job(write_job(tmp_path, job=JOB.replace(find, replace, 1)))
    assert "\n" not in str(refusal.value)


def test_files_that_do_not_go_together(tmp_path: Path) -> None:
    fewer = GATES.replace(', {output = 1, gate = "right"}', "")
    with pytest.raises(IcsortError, match=r"the job has a direction for output 1 and gates\.toml has none"):
        load_job(write_job(tmp_path, gates=fewer))
    alone = JOB[: JOB.index("[[directions]]\noutput = 1")]
    with pytest.raises(IcsortError, match=r"gates\.toml has a direction for output 1 and the job has none"):
        load_job(write_job(tmp_path, job=alone))
    short = INSTRUMENT[: INSTRUMENT.index("[[outputs]]\noutput = 1")]
    with pytest.raises(IcsortError, match=r"instrument\.toml: the instrument file has no output 1, only 0; add its"):
        load_job(write_job(tmp_path, instrument=short))


@pytest.mark.parametrize(
    ("text", "find", "replace", "problem"),
    [
        (INSTRUMENT, 'trigger = "package"', "", r"trigger is missing"),
        (INSTRUMENT, 'drop_clock = "none"', "", r"drop_clock is missing"),
        (INSTRUMENT, "delay_us = 812.5", "", r"output 0: delay_us is missing; nobody can assume it"),
        (INSTRUMENT, "pulse_us = 20", "", r"output 0: pulse_us is missing; nobody can assume it"),
        (INSTRUMENT, "pulse_us = 20", "pulse_us = -1", r"outputs\[0\]\.pulse_us is -1"),
        (INSTRUMENT, "delay_us = 818", "delay_us = nan", r"outputs\[1\]\.delay_us"),
        (INSTRUMENT, "delay_us = 818", "delay_drops = 31", r"output 1: delay_us is missing"),
        (INSTRUMENT, "output = 1", "output = 0", r"output 0 is there twice"),
        (DROPLETS, "frequency_hz = 92000", "", r"drop_clock\..*frequency_hz is missing"),
        (DROPLETS, "envelope = 1.5", "envelope = 1.7", r"envelope is 1\.7: it must be 1, 1\.5 or 2"),
        (DROPLETS, "delay_drops = 31.25", "delay_drops = 31.3", r"delay_drops is 31\.3: it must be a multiple of 1/16"),
        (DROPLETS, "dead_drops = 2", "pulse_us = 20", r"output 0: pulse_us does not go with a drop clock"),
        (
            DROPLETS,
            "dead_drops = 2",
            "dead_us = 50000",
            r"output 0: dead_us does not go with a drop clock",
        ),
        (
            INSTRUMENT,
            "pulse_us = 20",
            "pulse_us = 20\ndead_drops = 5",
            r"dead_drops does not go with drop_clock",
        ),
        (DROPLETS, "[drop_clock]", "before_us = 100\n[drop_clock]", r"before_us does not go with a drop clock, which"),
        (DROPLETS, "[drop_clock]", "after_us = 0\n[drop_clock]", r"after_us does not go with a drop clock, which"),
    ],
)
def test_an_instrument_that_cannot_be(tmp_path: Path, text: str, find: str, replace: str, problem: str) -> None:
    assert find in text
    path = tmp_path / "instrument.toml"
    path.write_text(text.replace(find, replace, 1))
    with pytest.raises(IcsortError, match=problem) as refusal:
        load_instrument(path)
    assert "docs/sorting.md" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_delay_is_written_and_all_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "instrument.toml"
    text = with_delay(INSTRUMENT, path, 1, "delay_us", 823.4567)
    assert text == INSTRUMENT.replace("delay_us = 818", "delay_us = 823.4567")
    text = with_delay(INSTRUMENT, path, 0, "delay_us", 100)
    assert text == INSTRUMENT.replace("812.5 ", "100 ")
    path.write_text(text)
    assert load_instrument(path).output(0).delay_us == 100
    windows = INSTRUMENT.replace("\n", "\r\n")
    text = with_delay(windows, path, 1, "delay_us", 823.4567)
    assert text == windows.replace("delay_us = 818", "delay_us = 823.4567")
    inline = "outputs = [{output = 0, delay_us = 1, pulse_us = 2}]"
    for held, output in ((inline, 0), (INSTRUMENT, 3), (INSTRUMENT.replace("delay_us = 818", ""), 1)):
        with pytest.raises(IcsortError, match=r"does not stand in a line of its own; write 5\.5 there"):
            with_delay(held, path, output, "delay_us", 5.5)
    assert os.linesep
