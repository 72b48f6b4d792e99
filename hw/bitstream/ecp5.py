# SPDX-License-Identifier: Apache-2.0
"""A project folder through Yosys, nextpnr-ecp5 and ecppack: a bitstream for a Lattice ECP5, without a vendor's tool.

nextpnr and ecppack are those on PATH, or else those of PyPI (`icsort[hw]`), which run as WebAssembly and are slower.
"""

import json
import re
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from icsort.errors import IcsortError
from icsort.formats.build import FILE_LIST
from icsort.formats.project import BITSTREAM_FILE, Project, Routed
from icsort.hw.bitstream.project import CONSTRAINTS
from icsort.hw.synthesis.yosys import CLEAN, ECP5_PRODUCTS, NotSynthesizedError, run_script, yosys_version

PLACER, PACKER = "nextpnr-ecp5", "ecppack"
NETLIST_FILE, CONFIG_FILE, REPORT_FILE, LOG_FILE = "netlist.json", "sorter.config", "report.json", "nextpnr.log"
_SCRIPT = f"""read_slang --top {{top}} --empty-blackboxes {{files}}{CLEAN}flatten
{ECP5_PRODUCTS}synth_lattice -family ecp5 -top {{top}}
write_json {NETLIST_FILE}
"""
_PART = re.compile(r"LFE5U(M5G|M|)-(12|25|45|85)F-([678])(BG|MG)(256|285|381|554|756)[CI]")
_PACKAGES = {"BG": "CABGA", "MG": "CSFBGA"}


def device(part: str) -> list[str]:
    """nextpnr's options for a part number. Raises IcsortError for one that is none of an ECP5."""
    found = _PART.fullmatch(part)
    if found is None:
        raise IcsortError(f"part {part!r}: no ECP5 that nextpnr knows; such as LFE5U-85F-6BG381C")
    kind = {"": "", "M": "um-", "M5G": "um5g-"}[found[1]]
    return [f"--{kind}{found[2]}k", "--package", f"{_PACKAGES[found[4]]}{found[5]}", "--speed", found[3]]


def tools() -> list[str]:
    """Paths of placer and packer. Raises IcsortError where one is missing."""
    scripts = Path(sysconfig.get_path("scripts"))
    paths = []
    for name in (PLACER, PACKER):
        ours = scripts / f"yowasp-{name}"
        path = shutil.which(name) or (str(ours) if ours.is_file() else None)
        if path is None:
            raise IcsortError(f"{name} is neither on PATH nor installed: pip install 'icsort[hw]'")
        paths.append(path)
    return paths


def build(
    project: Project, folder: Path, *, seed: int, timeout: float, progress: Callable[[str], None] = lambda _: None
) -> Project:
    """Synthesize, place, route and pack the project in `folder`: sorter.bit, and what was reached.

    seed: of placement. timeout: seconds for each of the tools. progress: called with the name of each.

    Raises IcsortError where a tool is missing, refuses or takes longer.
    """
    placer, packer = tools()
    begun = time.monotonic()
    progress("Yosys")
    files = [*(folder / FILE_LIST).read_text(encoding="utf-8").split(), str(_cells())]
    try:
        run_script(_SCRIPT.format(top=project.top, files=" ".join(files)), folder, timeout)
    except NotSynthesizedError:
        raise IcsortError(f"Yosys took longer than {timeout / 60:g} minutes; give it more --minutes") from None
    progress(PLACER)
    options = ["--json", NETLIST_FILE, "--lpf", CONSTRAINTS[project.flow], "--textcfg", CONFIG_FILE]
    options += ["--report", REPORT_FILE, "--log", LOG_FILE, "--seed", str(seed), "--timing-allow-fail", "--quiet"]
    _run([placer, *device(project.part), *options], folder, timeout)
    progress(PACKER)
    _run([packer, "--compress", "--input", CONFIG_FILE, "--bit", BITSTREAM_FILE], folder, timeout)
    report = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    for name in (NETLIST_FILE, CONFIG_FILE, "script.ys"):  # a hundred megabytes
        (folder / name).unlink()
    routed = Routed(
        fmax_mhz=round(fmax(report), 2),
        used={name: number["used"] for name, number in sorted(report["utilization"].items()) if number["used"]},
        tools={"Yosys": yosys_version(), PLACER: _version(placer)},
        seconds=round(time.monotonic() - begun, 1),
    )
    return project.model_copy(update={"routed": routed})


def fmax(report: dict[str, dict[str, dict[str, float]]]) -> float:
    """MHz that the fastest of nextpnr's clocks reaches: the sorter's, as the oscillator drives its PLL alone."""
    clocks = report["fmax"].values()
    if not clocks:
        raise IcsortError("nextpnr reports no clock: does the top level drive board_sorter?")
    return max(clocks, key=lambda clock: clock["constraint"])["achieved"]


def _cells() -> Path:
    """Yosys's Verilog of the ECP5's cells that it does not make by itself."""
    yosys = find_spec("pyosys")
    assert yosys is not None
    assert yosys.origin is not None
    return Path(yosys.origin).parent / "share" / "lattice" / "cells_bb_ecp5.v"


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"Version ([\w.-]+)", done.stdout + done.stderr)
    return found[1] if found else "unknown"


def _run(command: list[str], folder: Path, timeout: float) -> None:
    name = Path(command[0]).name.removeprefix("yowasp-")
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise IcsortError(f"{name} took longer than {timeout / 60:g} minutes; give it more --minutes") from None
    if done.returncode:
        lines = (done.stderr + done.stdout).splitlines()
        reason = next((line for line in lines if line.startswith("ERROR")), (lines or ["no reason given"])[-1])
        raise IcsortError(f"{name}: {reason.removeprefix('ERROR: ')}")
