# SPDX-License-Identifier: Apache-2.0
"""Vivado, where it is on PATH: a build placed and routed out of context, its timing and its resources.

Written after Vivado's manuals and reports that others published; not run against a real Vivado yet.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icsort.errors import IcsortError
from icsort.hw.compile import BOARDS, Build
from icsort.hw.folding.resources import Resources
from icsort.output import result_folder

SCRIPT = BOARDS / "vivado.tcl"
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

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {"tool": self.tool, "used": self.used, "slack_ns": self.slack_ns}


def find_vivado() -> str | None:
    """Path of the program, None where it is not on PATH."""
    return shutil.which("vivado")


def place_and_route(build: Build, out: Path) -> Route:
    """Run boards/vivado.tcl on a build; the checkpoint and the reports go to the folder `out`, whole or not at all.

    An earlier result in `out` is replaced. Raises IcsortError where Vivado fails, with the place of its log.
    """
    program = find_vivado()
    if program is None:
        raise IcsortError("vivado is not on PATH: source Vivado's settings64.sh first")
    with result_folder(out, "timing.rpt", force=True) as folder:
        log = out.with_name(f"{out.name}.log")
        command = [program, "-mode", "batch", "-nojournal", "-log", str(log), "-source", str(SCRIPT)]
        done = subprocess.run(
            [*command, "-tclargs", str(build.folder), str(folder)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = next((line for line in done.stdout.splitlines() if line.startswith("ERROR")), "no reason given")
            raise IcsortError(f"Vivado failed, see {log}: {reason}")
        timing, utilization = (_read(folder / name) for name in ("timing.rpt", "utilization.rpt"))
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
