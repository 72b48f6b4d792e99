# SPDX-License-Identifier: Apache-2.0
"""Clocks are exact, within what the PLLs may, and those of an ECP5 as Project Trellis's calculator has them."""

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from icsort.errors import IcsortError
from icsort.hw.bitstream.clock import PLLS, Dividers, clock_module, dividers


@pytest.mark.parametrize("family", PLLS)
@pytest.mark.parametrize("oscillator", [12.0, 25.0, 100.0, 125.0, 200.0])
def test_a_clock_is_exact_and_within_limits(family: str, oscillator: float) -> None:
    pll, made = PLLS[family], 0
    for clock in (40.0, 50.0, 60.0, 62.5, 67.5, 100.0, 150.0, 200.0):
        try:
            by = dividers(family, oscillator, clock)
        except IcsortError:
            continue
        made += 1
        assert oscillator / by.front * by.loop / by.behind == pytest.approx(clock, rel=1e-9)
        assert pll.detector[0] <= oscillator / by.front <= pll.detector[1]
        assert pll.inside[0] <= clock * by.behind <= pll.inside[1]
        assert by.front <= pll.front
        assert by.loop <= pll.loop
        assert by.behind <= pll.behind
    assert made >= 5


@pytest.mark.parametrize(
    ("family", "oscillator", "clock", "by"),
    [
        ("ecp5", 25.0, 45.0, Dividers(1, 27, 15)),
        ("xc7", 125.0, 100.0, Dividers(1, 8, 10)),
        ("xcup", 125.0, 200.0, Dividers(1, 8, 5)),
        ("xcup", 200.0, 200.0, Dividers(1, 6, 6)),
    ],
)
def test_clocks_of_the_boards(family: str, oscillator: float, clock: float, by: Dividers) -> None:
    assert dividers(family, oscillator, clock) == by
    text = clock_module(family, oscillator, clock)
    assert f"{clock:g} MHz from the board's {oscillator:g} MHz, by {PLLS[family].primitive}" in text


def test_a_clock_that_cannot_be_made() -> None:
    with pytest.raises(IcsortError, match=r"EHXPLLL makes no 61\.3 MHz from 25 MHz; give the board another clock_mhz"):
        dividers("ecp5", 25.0, 61.3)


def test_an_ecp5s_pll_is_that_of_its_calculator(tmp_path: Path) -> None:
    """ecppll with a feedback of its own output: the same parameters, and unused inputs tied alike."""
    program = Path(sysconfig.get_path("scripts")) / "yowasp-ecppll"
    words = ["--clkin", "25", "--clkout0", "60", "--highres", "--file", "pll.v"]
    subprocess.run([program, *words], cwd=tmp_path, check=True, capture_output=True)
    theirs, ours = (tmp_path / "pll.v").read_text(), clock_module("ecp5", 25.0, 60.0)
    for name in ("CLKI_DIV", "CLKFB_DIV", "CLKOP_DIV", "CLKOS_DIV", "FEEDBK_PATH", "CLKOP_ENABLE", "CLKOS_ENABLE"):
        values = [re.findall(rf"\.{name} *\((.+?)\)", text) for text in (theirs, ours)]
        assert values[0] == values[1], name
    for name in ("RST", "STDBY", "PHASESEL0", "PHASESEL1", "PHASEDIR", "PHASESTEP", "PHASELOADREG", "ENCLKOP"):
        assert re.findall(rf"\.{name} *\((.+?)\)", theirs) == re.findall(rf"\.{name} *\((.+?)\)", ours), name
    for name in ("ICP_CURRENT", "LPF_RESISTOR", "MFG_ENABLE_FILTEROPAMP", "MFG_GMCREF_SEL"):
        values = [re.findall(rf'{name} *= *"(\w+)"', text) for text in (theirs, ours)]
        assert values[0] == values[1], name
