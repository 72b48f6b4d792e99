# SPDX-License-Identifier: Apache-2.0
"""One module through Yosys in a process of its own, its cells counted, the result kept by content.

Yosys comes from PyPI (`icsort[hw]`), with the slang front end that reads our SystemVerilog.
"""

import contextlib
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from icsort.cache import cache_entry
from icsort.errors import IcsortError
from icsort.hw.folding.resources import RESOURCES, Resources

_RUN = "from pyosys import libyosys; libyosys.Design().run_pass('script script.ys')"
# `check` inside synth_xilinx takes quadratic time on the wide vectors that `proc` leaves, so they are cleaned up first:
# the cells are the same, and 576 multipliers take one minute instead of four. Assertions are for simulation. The last
# steps of synth_xilinx only check and write.
CLEAN = """
hierarchy -check -top {top}
chformal -remove
proc
opt -nodffe -nosdff
opt_clean -purge
"""
"""Yosys commands behind the reading of a module `top` and before it is mapped, whatever to."""
_READ = "read_slang --keep-hierarchy --top top {options} {files}"
_MAP = """
synth_xilinx -run begin:check -family {family} -flatten -top {top} -noiopad -noclkbuf
tee -q -o stat.json stat -json
"""
# An ECP5 multiplies 18 bits in one of few slices, and synth_lattice would put every product there. Those of 8 bits or
# less, and those whose register says so (two cells behind them: a multiplexer and itself), become sums before; those by
# a constant as Yosys does it.
_IN_LUTS = "t:$mul r:Y_WIDTH<=8 %i t:$mul a:use_dsp=no %ci6 %i %u"
ECP5_PRODUCTS = f"""wreduce
opt_clean
techmap -map {Path(__file__).with_name("ecp5_products.v")} {_IN_LUTS}
opt_clean
alumacc {_IN_LUTS}
"""
_ECP5_MAP = f"""
{ECP5_PRODUCTS}synth_lattice -run begin:check -family {{family}} -top {{top}}
tee -q -o stat.json stat -json
"""
_LUTS = {  # of memories and shift registers; logic is LUT1 to LUT6
    "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1,
    "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8,
    "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8,
    "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM64X8SW": 8, "RAM32X16DR8": 8,
    "TRELLIS_DPR16X4": 6, "CCU2C": 2,  # and of an ECP5's carry chains, which are two LUTs each
}  # fmt: skip
_OTHERS = {
    "DSP48E1": ("DSP", 1), "DSP48E2": ("DSP", 1), "URAM288": ("URAM", 1),
    "MULT18X18D": ("DSP", 1), "DP16KD": ("BRAM_18K", 1), "PDPW16KD": ("BRAM_18K", 1),
    "RAMB18E1": ("BRAM_18K", 1), "RAMB18E2": ("BRAM_18K", 1), "RAMB36E1": ("BRAM_18K", 2), "RAMB36E2": ("BRAM_18K", 2),
}  # fmt: skip
_FREE = re.compile(r"CARRY\d|MUXF\d|PFUMX|L6MUX21|INV|VCC|GND")


@dataclass(frozen=True)
class Module:
    """A module to synthesize with these parameters (a string is a name of a file in `files` or any other string).

    files: sources and memory files, by name. blackbox: a module inside that is left out.
    """

    name: str
    parameters: Mapping[str, int | str]
    files: Mapping[str, bytes]
    blackbox: str = ""

    def wrapper(self) -> str:
        """A module `top` around it: the front end takes strings as parameters only from a source."""
        values = (f".{key}({_literal(value)})" for key, value in self.parameters.items())
        return f"module top; {self.name} #({', '.join(values)}) u (); endmodule\n"


class NotSynthesizedError(Exception):
    """Yosys took longer than the limit."""


def yosys_version() -> str:
    """Of the installed package. Raises IcsortError where there is none."""
    try:
        return version("pyosys")
    except PackageNotFoundError:
        raise IcsortError("Yosys is not installed: pip install 'icsort[hw]'") from None


def synthesize(module: Module, family: str, timeout: float) -> Resources:
    """Resources of a module after mapping to a family, from the cache where it is known.

    timeout: seconds. Raises NotSynthesizedError after that, and IcsortError where Yosys is missing or refuses.
    """
    key = [yosys_version(), _script(family), family, module.blackbox, module.wrapper()]
    contents = [part for name, data in sorted(module.files.items()) for part in (name.encode(), data)]
    with cache_entry("synth", [*(part.encode() for part in key), *contents]) as folder:
        kept = folder / "cells.json"
        with contextlib.suppress(FileNotFoundError, ValueError):  # not there yet, or damaged
            return count(json.loads(kept.read_text(encoding="utf-8")))
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as scratch:
            cells = _run(module, family, Path(scratch), timeout)
            result = count(cells)
            partial = Path(scratch) / "cells.json"
            partial.write_text(json.dumps(cells), encoding="utf-8")
            partial.replace(kept)
    return result


def run_script(script: str, folder: Path, timeout: float) -> None:
    """Run Yosys commands, a line each, in a folder, in a process of its own: an error ends the process it happens in.

    timeout: seconds. Raises NotSynthesizedError after that, and IcsortError with Yosys's message where it refuses.
    """
    (folder / "script.ys").write_text(script, encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-c", _RUN], cwd=folder, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotSynthesizedError from None
    if done.returncode:
        lines = (done.stderr + done.stdout).splitlines()
        reason = next((line for line in lines if "error" in line.lower()), f"exit code {done.returncode}")
        raise IcsortError(reason.strip())


def _script(family: str) -> str:
    return _READ + CLEAN + (_ECP5_MAP if family == "ecp5" else _MAP)


def _run(module: Module, family: str, folder: Path, timeout: float) -> dict[str, int]:
    """Cells of the mapped module by type."""
    for name, data in module.files.items():
        (folder / name).write_bytes(data)
    (folder / "top.sv").write_text(module.wrapper(), encoding="utf-8")
    sources = " ".join(["top.sv", *(name for name in module.files if name.endswith(".sv"))])
    options = f"--blackboxed-module {module.blackbox}" if module.blackbox else ""
    top = f"{module.name}$top.u"
    script = _script(family).format(top=top, family=family, options=options, files=sources)
    try:
        run_script(script, folder, timeout)
    except IcsortError as error:
        raise IcsortError(f"Yosys could not synthesize {module.name}: {error}") from None
    # What is mapped by itself stands beside the module; Yosys's own sum leaves out some of their cells.
    cells: Counter[str] = Counter()
    for mapped in json.loads((folder / "stat.json").read_text(encoding="utf-8"))["modules"].values():
        cells.update(mapped["num_cells_by_type"])
    return dict(cells)


def count(cells: Mapping[str, int]) -> Resources:
    """Resources of mapped cells: a LUT is one whatever its inputs, memory in LUTs counts as the LUTs it fills."""
    result = dict.fromkeys(RESOURCES, 0)
    for cell, number in cells.items():
        if re.fullmatch(r"LUT[1-6]", cell):
            result["LUT"] += number
        elif cell in _LUTS:
            result["LUT"] += number * _LUTS[cell]
        elif re.fullmatch(r"FD[RSCP]E|TRELLIS_FF", cell):
            result["FF"] += number
        elif cell in _OTHERS:
            resource, amount = _OTHERS[cell]
            result[resource] += number * amount
        elif cell[0].isupper() and not _FREE.fullmatch(cell):
            raise IcsortError(f"Yosys mapped to a cell that is not known here: {cell}; report it")
    return result


def _literal(value: int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
