# SPDX-License-Identifier: Apache-2.0
"""Vivado, where it is on PATH: a build placed and routed out of context, its timing and its resources.

Written after Vivado's manuals and reports that others published; not run against a real Vivado yet.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from icsort.errors import IcsortError
from icsort.formats.board import BOARDS
from icsort.formats.build import Build
from icsort.formats.routed import Routed
from icsort.hw.folding.resources import Resources

SCRIPT = BOARDS / "vivado.tcl"
TIMING_FILE, UTILIZATION_FILE, LOG_FILE = "timing.rpt", "utilization.rpt", "vivado.log"
_SITES = {  # row of report_utilization -> resource, amount
    "Slice LUTs": ("LUT", 1), "CLB LUTs": ("LUT", 1), "Slice Registers": ("FF", 1), "CLB Registers": ("FF", 1),
    "DSPs": ("DSP", 1), "RAMB36/FIFO": ("BRAM_18K", 2), "RAMB18": ("BRAM_18K", 1), "URAM": ("URAM", 1),
}  # fmt: skip


@dataclass(frozen=True)
class Route:
    """What place and route reached. slack_ns: the worst of all paths at the clock of the build (WNS)."""

    tool: str
    used: Resources
    slack_ns: float

    def fmax_mhz(self, clock_mhz: float) -> float:
        """The clock at which the worst path would have no slack."""
        return 1e3 / (1e3 / clock_mhz - self.slack_ns)

    def routed(self, clock_mhz: float, seconds: float) -> Routed:
        """As builds and projects keep it. clock_mhz: of the build. seconds: that it took."""
        return Routed(
            fmax_mhz=round(self.fmax_mhz(clock_mhz), 2),
            used=self.used,
            tools={"Vivado": self.tool.removeprefix("Vivado").strip() or "unknown"},
            seconds=round(seconds, 1),
        )


def program() -> str:
    """Path of Vivado. Raises IcsortError where it is missing."""
    path = shutil.which("vivado")
    if path is None:
        raise IcsortError("vivado is not on PATH: source Vivado's settings64.sh first, or route with --family ecp5")
    return path


def place_and_route(build: Build, folder: Path) -> Route:
    """Run boards/vivado.tcl on a build; the checkpoint, the reports and the log go to `folder`.

    Raises IcsortError where Vivado is missing or fails, with the place of its log.
    """
    run(program(), [str(SCRIPT), "-tclargs", str(build.folder.resolve()), str(folder)], folder)
    return read_route(folder)


def run(path: str, script: Sequence[str], folder: Path) -> None:
    """Run a script with its arguments in a folder. Raises IcsortError where Vivado fails, with the place of its log."""
    command = [path, "-mode", "batch", "-nojournal", "-log", LOG_FILE, "-source", *script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        log = Path(tempfile.mkdtemp(prefix="icsort-vivado-")) / LOG_FILE
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
        reason = next((line for line in done.stdout.splitlines() if line.startswith("ERROR")), "no reason given")
        raise IcsortError(f"Vivado failed, see {log}: {reason}")


def read_route(folder: Path) -> Route:
    """From the reports that a script left in its folder. Raises IcsortError where they are missing or say nothing."""
    timing, utilization = (_read(folder / name) for name in (TIMING_FILE, UTILIZATION_FILE))
    return Route(_tool(timing), used(utilization), worst_slack(timing))


def worst_slack(report: str) -> float:
    """WNS in ns of a report_timing_summary. Raises IcsortError where there is none."""
    found = re.search(r"WNS\(ns\).*\n[\s-]*\n\s*(-?\d+\.\d+)", report)
    if found is None:
        raise IcsortError("Vivado's timing report has no worst slack: is the clock constrained?")
    return float(found[1])


def used(report: str) -> Resources:
    """Resources of a report_utilization."""
    result: Resources = {"LUT": 0, "FF": 0, "DSP": 0, "BRAM_18K": 0, "URAM": 0}
    seen = set()
    for name, number in re.findall(r"^\| +([\w/ ]+?)\*? +\| +(\d+) \|", report, re.MULTILINE):
        if name in _SITES and name not in seen:  # some rows come again in a summary
            seen.add(name)
            resource, amount = _SITES[name]
            result[resource] += int(number) * amount
    if not seen:
        raise IcsortError("Vivado's utilization report has none of the rows that are known here; report it")
    return result


def _tool(report: str) -> str:
    found = re.search(r"Vivado v\.?([\d.]+)", report)
    return f"Vivado {found[1]}" if found else "Vivado"


def _read(path: Path) -> str:
    if not path.is_file():
        raise IcsortError(f"Vivado ended without {path.name}")
    return path.read_text(encoding="utf-8", errors="replace")
