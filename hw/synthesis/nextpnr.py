# SPDX-License-Identifier: Apache-2.0
"""Place and route for a Lattice ECP5 by nextpnr, without a vendor's tool.

nextpnr and ecppack are those on PATH, or else those of PyPI (`icsort[hw]`), which run as WebAssembly and are slower.
"""

import json
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from icsort.errors import IcsortError
from icsort.hw.synthesis.yosys import CLEAN, ECP5_PRODUCTS, NotSynthesizedError, run_script

PLACER, PACKER = "nextpnr-ecp5", "ecppack"
NETLIST_FILE, REPORT_FILE, LOG_FILE = "netlist.json", "report.json", "nextpnr.log"
_READ = "read_slang --top {top} --empty-blackboxes {parameters} {files}"
_MAP = f"""flatten
{ECP5_PRODUCTS}synth_lattice -family ecp5 -top {{top}}
write_json {NETLIST_FILE}
"""
_PART = re.compile(r"LFE5U(M5G|M|)-(12|25|45|85)F-([678])(BG|MG)(256|285|381|554|756)[CI]")
_PACKAGES = {"BG": "CABGA", "MG": "CSFBGA"}


@dataclass(frozen=True)
class Arc:
    """A piece of a path: ns, what it is (as nextpnr says: logic, routing, clk-to-q, setup), its net or cell."""

    ns: float
    kind: str
    what: str


@dataclass(frozen=True)
class Placed:
    """One place and route. fmax_mhz: of the clock with the tightest constraint. path: what limits it. used: cells."""

    fmax_mhz: float
    path: tuple[Arc, ...]
    used: dict[str, int]


def device(part: str) -> list[str]:
    """nextpnr's options for a part number. Raises IcsortError for one that is none of an ECP5."""
    found = _PART.fullmatch(part)
    if found is None:
        raise IcsortError(f"part {part!r}: no ECP5 that nextpnr knows; such as LFE5U-85F-6BG381C")
    kind = {"": "", "M": "um-", "M5G": "um5g-"}[found[1]]
    return [f"--{kind}{found[2]}k", "--package", f"{_PACKAGES[found[4]]}{found[5]}", "--speed", found[3]]


def tool(name: str) -> str:
    """Path of PLACER or PACKER. Raises IcsortError where it is missing."""
    ours = Path(sysconfig.get_path("scripts")) / f"yowasp-{name}"
    path = shutil.which(name) or (str(ours) if ours.is_file() else None)
    if path is None:
        raise IcsortError(f"{name} is neither on PATH nor installed: pip install 'icsort[hw]'")
    return path


def tool_version(program: str) -> str:
    """As it tells it."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"Version ([\w.-]+)", done.stdout + done.stderr)
    return found[1] if found else "unknown"


def map_to_ecp5(top: str, sources: Sequence[str], folder: Path, timeout: float, parameters: str = "") -> None:
    """Yosys: sources, relative to `folder` or absolute, become NETLIST_FILE there.

    timeout: seconds. parameters: options of read_slang. Raises IcsortError where Yosys refuses or takes longer.
    """
    files = " ".join([*sources, str(_cells())])
    script = (_READ + CLEAN + _MAP).format(top=top, parameters=parameters, files=files)
    try:
        run_script(script, folder, timeout)
    except NotSynthesizedError:
        raise IcsortError(f"Yosys took longer than {timeout / 60:g} minutes; give it more --minutes") from None


def place_and_route(folder: Path, part: str, options: Sequence[str], *, seed: int, timeout: float) -> Placed:
    """nextpnr: NETLIST_FILE of `folder`, placed with `seed` and routed; REPORT_FILE and LOG_FILE stay there.

    options: more of nextpnr's. timeout: seconds. Raises IcsortError where nextpnr refuses or takes longer.
    """
    files = ["--json", NETLIST_FILE, "--report", REPORT_FILE, "--log", LOG_FILE]
    command = [tool(PLACER), *device(part), *files, *options, "--seed", str(seed), "--timing-allow-fail", "--quiet"]
    run(command, folder, timeout)
    return read_report(json.loads((folder / REPORT_FILE).read_text(encoding="utf-8")))


def read_report(report: dict[str, dict]) -> Placed:  # type: ignore[type-arg]
    """From nextpnr's report. Raises IcsortError where it tells of no clock."""
    if not report["fmax"]:
        raise IcsortError("nextpnr reports no clock: does the top level drive the sorter's?")
    # The oscillator drives its PLL alone; the sorter's clock is the fast one.
    clock, reached = max(report["fmax"].items(), key=lambda entry: entry[1]["constraint"])
    edge = f"posedge {clock}"
    paths = [path["path"] for path in report.get("critical_paths", ()) if path["from"] == path["to"] == edge]
    arcs = [Arc(arc["delay"], arc["type"], arc.get("net") or arc["from"]["cell"]) for path in paths for arc in path]
    used = {name: number["used"] for name, number in sorted(report["utilization"].items()) if number["used"]}
    return Placed(reached["achieved"], tuple(arcs), used)


def run(command: Sequence[str], folder: Path, timeout: float) -> None:
    """Run a tool in a folder. timeout: seconds. Raises IcsortError with its reason where it fails or takes longer."""
    name = Path(command[0]).name.removeprefix("yowasp-")
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise IcsortError(f"{name} took longer than {timeout / 60:g} minutes; give it more --minutes") from None
    if done.returncode:
        lines = (done.stderr + done.stdout).splitlines()
        reason = next((line for line in lines if line.startswith("ERROR")), (lines or ["no reason given"])[-1])
        raise IcsortError(f"{name}: {reason.removeprefix('ERROR: ')}")


def _cells() -> Path:
    """Yosys's Verilog of the ECP5's cells that it does not make by itself."""
    yosys = find_spec("pyosys")
    if yosys is None or yosys.origin is None:
        raise IcsortError("Yosys is not installed: pip install 'icsort[hw]'")
    return Path(yosys.origin).parent / "share" / "lattice" / "cells_bb_ecp5.v"
