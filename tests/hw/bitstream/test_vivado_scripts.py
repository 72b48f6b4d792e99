# SPDX-License-Identifier: Apache-2.0
"""Vivado's scripts in plain Tcl: what they name exists, and what is not Vivado's is refused."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from icsort.formats.board import BOARDS
from icsort.formats.build import Build
from icsort.hw.bitstream.pins import ports
from icsort.hw.synthesis.vivado import SCRIPT
from tests.hw.bitstream.conftest import PLACED

HERE = Path(__file__).parent
STAND_INS = HERE / "vivado.tcl"
FACTS = json.loads((HERE / "pins.json").read_text())
PARTS = ("xc7z020clg400-1", "xczu7ev-ffvc1156-2-e", "xczu48dr-ffvg1517-2-e")
XILINX = [name for name in PLACED if name in ("pynq_z2", "zcu104", "rfsoc4x2")]
pytestmark = pytest.mark.skipif(shutil.which("tclsh") is None, reason="no tclsh: apt-get install tcl")


def tcl_dict(items: dict[str, str]) -> str:
    return " ".join(f"{{{key}}} {{{value}}}" for key, value in items.items())


def source(
    script: Path, facts: dict[str, str], folder: Path, *words: Path, stand_ins: Sequence[Path] = (STAND_INS,)
) -> subprocess.CompletedProcess[str]:
    """A script with its words behind the stand-ins and the facts; `folder` gets what starts it."""
    starter, argv = folder / "start.tcl", " ".join(f"{{{word}}}" for word in words)
    sources = "".join(f"source {{{path}}}\n" for path in (*stand_ins, script))
    starter.write_text(f"set argv [list {argv}]\nset facts {{{tcl_dict(facts)}}}\n{sources}")
    return subprocess.run(["tclsh", starter], capture_output=True, text=True, check=False)


def registers(sources: str) -> dict[str, str]:
    """What each module declares as logic; a register is among it."""
    modules = re.findall(r"^module (\w+)(.*?)^endmodule", sources, re.MULTILINE | re.DOTALL)
    return {name: " ".join(re.findall(r"(\w+)(?= *(?:\[[^\]]*\] *)?[,;\n])", text)) for name, text in modules}


def facts_of(sources: str, ports: dict[str, str], pins: list[str]) -> dict[str, str]:
    """sources: the RTL's text. ports: the direction of each bit. pins: that a board wires."""
    return {
        "parts": " ".join(PARTS),
        "modules": " ".join(re.findall(r"^module (\w+)", sources, re.MULTILINE)),
        "registers": tcl_dict(registers(sources)),
        "memories": " ".join(f"mem/{name}" for name in re.findall(r'MEM_DIR, "([\w.]+)"', sources)),
        "ports": tcl_dict(ports),
        "pins": tcl_dict(dict.fromkeys(pins, "pin")),
    }


def run(project: Path, script: str = "build.tcl") -> subprocess.CompletedProcess[str]:
    """A script of a project folder."""
    sources = "".join(path.read_text() for path in project.rglob("*.sv"))
    top = (project / "rtl/board/board_top.sv").read_text()
    bits = {bit: port.direction for port in ports(top).values() for bit in port.bit_names}
    board = json.loads((project / "board.json").read_text())["name"]
    facts = facts_of(sources, bits, list(FACTS[board]["pins"]))
    return source(project / script, facts, project.parent)


@pytest.mark.parametrize("project", XILINX, indirect=True)
def test_a_project_builds(project: Path) -> None:
    done = run(project)
    assert done.returncode == 0, done.stderr
    calls = done.stdout.splitlines()
    read = [line.removeprefix("read_verilog -sv ") for line in calls if line.startswith("read_verilog")]
    assert read == (project / "files.f").read_text().split()
    assert {path.relative_to(project).as_posix() for path in project.rglob("*.sv")} == set(read)
    part = json.loads((project / "board.json").read_text())["part"]
    assert f"synth_design -top board_top -part {part}" in calls
    for name in ("sorter.bit", "sorter.xsa", "routed.dcp", "timing.rpt", "utilization.rpt", "cdc.rpt"):
        assert (project / name).is_file(), name


@pytest.mark.parametrize("project", XILINX[:1], indirect=True)
def test_a_bitstream_is_loaded(project: Path) -> None:
    missing = run(project, "program.tcl")
    assert "PROGRAM.FILE: there is no sorter.bit" in missing.stderr
    (project / "sorter.bit").write_bytes(b"bits")
    done = run(project, "program.tcl")
    assert done.returncode == 0, done.stderr
    assert "program_hw_devices xc7z020_1" in done.stdout


@pytest.mark.parametrize("project", XILINX[:1], indirect=True)
@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("board.xdc", "PACKAGE_PIN H16", "PACKAGE_PIN H26", "the board wires nothing to H26"),
        ("board.xdc", "PACKAGE_PIN P14", "PACKAGE_PIN R14", r"R14 is that of led\[0\]"),
        ("board.xdc", "LVCMOS33", "LVCMOS34", "there is no LVCMOS34"),
        ("board.xdc", "{led[3]}", "{lamp[3]}", r"there is no port lamp\[3\]"),
        ("board.xdc", "IOSTANDARD LVCMOS33", "", "has no IOSTANDARD"),
        ("board.xdc", "PULLTYPE", "PULL", "there is no property PULL"),
        ("board.xdc", "-from [get_ports {uart_rx}]", "-to [get_ports {uart_rx}]", "uart_rx is no output"),
        ("board.xdc", "create_clock -name oscillator -period 8.000 [get_ports {sysclk}]\n", "", "no clock is defined"),
        ("build.tcl", "place_design", "place_desing", "Vivado has no command place_desing"),
        ("build.tcl", "-details", "-detail", "report_cdc: there is no option -detail"),
        ("build.tcl", "route_design\n", "", "write_bitstream: comes behind route_design"),
        ("build.tcl", "glob *.xdc", "glob *.xcd", "no files matched"),
        ("build.tcl", "-top $top", "-top sorter", "sorter is none of the modules"),
        ("files.f", "rtl/board/board_top.sv", "rtl/board/tip.sv", "there is no file rtl/board/tip.sv"),
        ("cdc/synchronizer.xdc", "sync_q_reg", "synced_q_reg", "synchronizer has no synced_q"),
        ("cdc/reset_synchronizer.xdc", "/CLR", "/CLEAR", "is no pin of a register"),
        ("cdc/async_fifo.xdc", "-datapath_only", "-datapath", "there is no option -datapath"),
        ("build.tcl", "[file rootname [file tail $constraints]]", "sorter", "read_xdc -ref: there is no module sorter"),
        ("project.json", "xc7z020clg400-1", "xc7z020clg484-1", "xc7z020clg484-1 is none of the parts"),
        ("project.json", '"part"', '"device"', "project.json has no part"),
    ],
)
def test_what_is_wrong_is_caught(project: Path, file: str, old: str, new: str, message: str) -> None:
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new, 1))
    done = run(project)
    assert done.returncode != 0
    assert re.search(message, done.stderr), done.stderr
    assert not (project / "sorter.xsa").exists()


@pytest.mark.parametrize("project", XILINX[:1], indirect=True)
def test_a_memory_file_that_is_not_there_is_caught(project: Path) -> None:
    memory = sorted((project / "mem").iterdir())[0]
    memory.unlink()
    assert f"the RTL reads mem/{memory.name}, which is not there" in run(project).stderr


def out_of_context(build: Build, folder: Path, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    """boards/vivado.tcl, which `icsort synth --route` runs, on a build."""
    text = "".join(path.read_text() for path in build.sources())
    return source(script, facts_of(text, {"clk": "input"}, []), folder, build.folder, folder / "out")


def test_a_build_is_routed_out_of_context(build: Build, tmp_path: Path) -> None:
    done = out_of_context(build, tmp_path)
    assert done.returncode == 0, done.stderr
    calls, out = done.stdout.splitlines(), tmp_path / "out"
    read = [Path(line.removeprefix("read_verilog -sv ")) for line in calls if line.startswith("read_verilog")]
    assert read == [path.resolve() for path in build.sources()]
    assert f"synth_design -top icsort_build -part {build.part} -mode out_of_context" in calls
    assert "create_clock -name clk -period 10.000 clk" in calls
    assert {"timing.rpt", "utilization.rpt", "icsort_build.dcp"} <= {path.name for path in out.iterdir()}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("get_ports clk", "get_ports clock", "there is no port clock"),
        ("-mode out_of_context\nopt", "-context none\nopt", "synth_design: there is no option -context"),
        ("opt_design\n", "", "place_design: comes behind opt_design"),
        ("[file join $build mem]", "[file join $build memory]", "could not create new link|could not link|no such"),
        ("-top icsort_build", "-top icsort_built", "icsort_built is none of the modules"),
    ],
)
def test_what_is_wrong_out_of_context_is_caught(build: Build, old: str, new: str, message: str, tmp_path: Path) -> None:
    text = SCRIPT.read_text()
    assert old in text
    (tmp_path / "script.tcl").write_text(text.replace(old, new, 1))
    done = out_of_context(build, tmp_path, tmp_path / "script.tcl")
    assert done.returncode != 0
    assert re.search(message, done.stderr), done.stderr


def test_every_script_is_run() -> None:
    """Here, and in test_block_design.py."""
    scripts = {path.name for path in BOARDS.glob("*.tcl")}
    assert scripts == {"build.tcl", "program.tcl", SCRIPT.name} | {"ip.tcl", "processor.tcl"}
