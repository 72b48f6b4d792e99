# SPDX-License-Identifier: Apache-2.0
"""The sorter as a Vivado IP and beside a processor: the IP's face elaborates and its interfaces are whole; the scripts
run in plain Tcl, where what they name exists and what they connect fits."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from icsort.errors import IcsortError
from icsort.formats.build import Build
from icsort.formats.project import Kind, load_project
from icsort.hw.bitstream.ip import ip_files
from icsort.hw.bitstream.project import board_of, write_project
from icsort.sim.verilator import verilate
from icsort.sim.verilator.bench import run_bench
from tests.hw.bitstream.test_project import command
from tests.hw.bitstream.test_vivado_scripts import FACTS, PARTS, STAND_INS, XILINX, source, tcl_dict

HERE = Path(__file__).parent
BLOCK_DESIGN = HERE / "block_design.tcl"
BOARD_PARTS = (
    "tul.com.tw:pynq-z2:part0:1.0 xilinx.com:zcu104:part0:1.0 xilinx.com:zcu104:part0:1.1 "
    "realdigital.org:rfsoc4x2:part0:1.0"
)
# Of the AMBA buses: what a master drives, and what it gets.
BUSES = {
    "aximm": (
        {"AWADDR", "AWPROT", "AWVALID", "WDATA", "WSTRB", "WVALID", "BREADY", "ARADDR", "ARPROT", "ARVALID", "RREADY"},
        {"AWREADY", "WREADY", "BRESP", "BVALID", "ARREADY", "RDATA", "RRESP", "RVALID"},
    ),
    "axis": ({"TDATA", "TVALID", "TLAST", "TUSER"}, {"TREADY"}),
}
PORT = re.compile(r"((?:\(\*.*?\*\)\s*)*)(input|output)\s+wire\s+(?:\[(\d+):0\])?\s*(\w+)")
tcl = pytest.mark.skipif(shutil.which("tclsh") is None, reason="no tclsh: apt-get install tcl")


def module_of(text: str) -> tuple[dict[str, tuple[str, str, int]], dict[str, tuple[str, str]], str]:
    """Pins (direction, kind, bits) and interfaces (mode, bus) that Vivado sees on the face of a Verilog module, and the
    frequency of its clock."""
    head = re.sub(r"//[^\n]*", "", text).partition("\nmodule ")[2].partition(");")[0]
    pins: dict[str, tuple[str, str, int]] = {}
    logical: dict[str, dict[str, str]] = {}
    buses: dict[str, str] = {}
    for attributes, direction, high, name in PORT.findall(head):
        bits = int(high or 0) + 1
        info = re.search(r'X_INTERFACE_INFO = "xilinx\.com:(\w+):(\w+):1\.0 (\w+) (\w+)"', attributes)
        if info and info[1] == "interface":
            logical.setdefault(info[3], {})[info[4]] = direction
            buses[info[3]] = info[2]
            continue
        kind = {"clock": "clk", "interrupt": "intr", "reset": "rstn"}[info[2]] if info else "data"
        assert not info or info[3] == name
        assert kind != "rstn" or "POLARITY ACTIVE_LOW" in attributes
        assert kind != "intr" or "SENSITIVITY LEVEL_HIGH" in attributes
        pins[name] = (direction[0].upper(), kind, bits)
    interfaces = {}
    for name, directions in logical.items():
        driven, taken = BUSES[buses[name]]
        mode = "slave" if directions[min(driven & directions.keys())] == "input" else "master"
        ways = ("input", "output") if mode == "slave" else ("output", "input")
        assert directions == dict.fromkeys(driven & directions.keys(), ways[0]) | dict.fromkeys(taken, ways[1])
        assert directions.keys() >= driven - {"TUSER"}
        interfaces[name] = (mode, buses[name])
    frequency = re.search(r"FREQ_HZ (\d+)", head)
    return pins, interfaces, frequency[1] if frequency else ""


def cell(text: str) -> str:
    pins, interfaces, frequency = module_of(text)
    shown = {name: " ".join(map(str, pin)) for name, pin in pins.items()}
    # Lines may come in, or not.
    ends = {name: " ".join(end) + " optional" * (name == "s_axis_line") for name, end in interfaces.items()}
    entries = {"parameters": "", "pins": tcl_dict(shown), "interfaces": tcl_dict(ends), "freq_hz": frequency}
    return tcl_dict(entries)


def run(project: Path, script: str) -> subprocess.CompletedProcess[str]:
    sources = [path for path in project.rglob("*") if path.suffix in (".sv", ".v")]
    text = "".join(path.read_text() for path in sources)
    own = {path.stem: cell(path.read_text()) for path in sources if path.suffix == ".v"}
    board = json.loads((project / "build.json").read_text())["board"]
    facts = {
        "parts": " ".join(PARTS),
        "board_parts": BOARD_PARTS,
        "modules": " ".join(re.findall(r"^module (\w+)", text, re.MULTILINE)),
        "memories": " ".join(f"ip/src/{name}" for name in re.findall(r'MEM_DIR, "([\w.]+)"', text)),
        "own": tcl_dict(own),
        "sources": " ".join(path.relative_to(project).as_posix() for path in sources),
        "pins": tcl_dict(dict.fromkeys(FACTS[board]["pins"], "pin")),
    }
    return source(project / script, facts, project.parent, stand_ins=(STAND_INS, BLOCK_DESIGN))


def lint(project: Path, folder: str, top: str) -> str:
    files = [path for path in (project / "files.f").read_text().split() if path.startswith(folder)]
    words = ["--lint-only", "--quiet", "-Wall", "-Wno-fatal", "-Wno-PINCONNECTEMPTY", "-Wno-SYMRSVDWORD"]
    cells = [] if folder == "ip/" else [str(HERE / "cells.sv")]
    done = subprocess.run(
        ["verilator", *words, "--top-module", top, *cells, *files],
        cwd=project, capture_output=True, text=True, check=False, env=verilate.environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return "\n".join(line for line in done.stderr.splitlines() if line.startswith("%") and "cells.sv" not in line)


ZYNQ = [(board, Kind.PROCESSOR) for board in XILINX]
IP = [(XILINX[0], Kind.IP)]


@pytest.mark.parametrize("project", IP, indirect=True)
def test_an_ip_is_whole(project: Path) -> None:
    listed = (project / "files.f").read_text().split()
    names = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert {name for name in names if name.endswith((".sv", ".v"))} == set(listed)
    net = (project / "ip/src/icsort_net.sv").read_text()
    memories = re.findall(r'MEM_DIR, "([\w.]+)"', net)
    assert memories
    assert {f"ip/src/{name}" for name in memories} == {name for name in names if name.endswith(".dat")}
    assert 'parameter MEM_DIR = "./"' in net  # beside the source that reads them, where Vivado looks
    made = load_project(project)
    assert (made.kind, made.top, made.flow) == (Kind.IP, "icsort_sorter", "vivado")
    assert lint(project, "ip/", "icsort_sorter") == ""


@pytest.mark.parametrize("project", IP, indirect=True)
def test_the_face_of_the_ip_has_whole_interfaces(project: Path) -> None:
    text = (project / "ip/src/icsort_sorter.v").read_text()
    pins, interfaces, frequency = module_of(text)
    assert interfaces == {
        "s_axil": ("slave", "aximm"), "s_axis_line": ("slave", "axis"), "m_axis_batch": ("master", "axis"),
    }  # fmt: skip
    kinds = {kind: name for name, (_, kind, _) in pins.items() if kind != "data"}
    assert kinds == {"clk": "aclk", "rstn": "aresetn", "intr": "interrupt"}
    assert f"ASSOCIATED_BUSIF {':'.join(interfaces)}, ASSOCIATED_RESET aresetn" in text
    assert int(frequency) == 1e6 * json.loads((project / "build.json").read_text())["clock_mhz"]


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_an_ip_works(build_for: Callable[[str], Build], seed: int, tmp_path: Path) -> None:
    """The files that Vivado gets, in Verilator."""
    build = build_for("pynq_z2")
    files = ip_files(build)
    for name, contents in files.items():
        (tmp_path / name).write_bytes(contents)
    sources = [tmp_path / name for name in files if name.endswith((".sv", ".v"))]
    environment = {"ICSORT_BUILD": str(build.folder), "ICSORT_IP": str(tmp_path)}
    run_bench("icsort_sorter", "tests.hw.bitstream.bench_ip", sources, environment=environment, seed=seed)


@pytest.mark.parametrize("project", ZYNQ, indirect=True)
def test_what_is_around_the_sorter_elaborates(project: Path) -> None:
    assert lint(project, "rtl/board/", "board_io") == ""
    assert lint(project, "rtl/board/", "board_oscillator") == ""
    assert "uart" not in (project / "board.xdc").read_text()
    assert not (project / "rtl/board/board_top.sv").exists()


@tcl
@pytest.mark.parametrize("project", IP, indirect=True)
def test_an_ip_is_packaged(project: Path) -> None:
    done = run(project, "ip.tcl")
    assert done.returncode == 0, done.stderr
    assert (project / "ip/component.xml").is_file()
    added = next(line for line in done.stdout.splitlines() if line.startswith("add_files"))
    assert [name for name in (project / "files.f").read_text().split() if name not in added] == []


@tcl
@pytest.mark.parametrize("project", ZYNQ, indirect=True)
def test_a_processor_gets_a_sorter(project: Path) -> None:
    done = run(project, "processor.tcl")
    assert done.returncode == 0, done.stderr
    for name in ("sorter.bit", "sorter.hwh", "sorter.xsa", "timing.rpt", "utilization.rpt", "cdc.rpt"):
        assert (project / name).is_file(), name


@tcl
@pytest.mark.parametrize("project", IP, indirect=True)
@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("ip.tcl", "add_files [lsort [glob ip/src/*.dat]]\n", "", "which the project does not have"),
        ("ip.tcl", "ip/src/*]\nadd", "ip/src/*_pkg.sv]\nadd", "the project does not have ip/src/"),
        ("ip.tcl", "-taxonomy /UserIP", "-category /UserIP", "there is no option -category"),
        ("ip.tcl", "ipx::check_integrity", "ipx::check_integrety", "Vivado has no command"),
        ("ip.tcl", "ipx::check_integrity $core\n", "", "ipx::save_core: not checked"),
        ("ip.tcl", "top icsort_sorter", "top icsort_sort", "there is no module icsort_sort"),
        ("ip.tcl", "-fileset constrs_1 ", "", "is in the wrong fileset"),
        ("ip.tcl", "range 65536", "range 4096", "the registers are 64 KiB"),
        ("ip.tcl", "used_in_synthesis", "used_in_synth", "a file has no used_in_synth"),
        ("ip/src/icsort_sorter.v", ":1.0 interrupt INT", ":1.0 irq INT", "AssertionError"),
        ("files.f", "ip/src/rom.sv", "ip/src/room.sv", "there is no file ip/src/room.sv"),
        ("project.json", "xc7z020clg400-1", "xc7z020clg484-1", "xc7z020clg484-1 is none of the parts"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_ip_is_caught(project: Path, file: str, old: str, new: str, message: str) -> None:
    changed(project, file, old, new)
    try:
        done = run(project, "ip.tcl")
    except AssertionError:
        assert "AssertionError" in message
        return
    assert done.returncode != 0
    assert re.search(message, done.stderr), done.stderr
    assert not (project / "ip/component.xml").exists()


def changed(project: Path, file: str, old: str, new: str) -> None:
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new, 1))


@tcl
@pytest.mark.parametrize("project", ZYNQ[:1], indirect=True)
@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("board.xdc", "PACKAGE_PIN D19", "PACKAGE_PIN D99", "the board wires nothing to D99"),
        ("board.xdc", "get_ports {led[3]}", "get_ports {led[4]}", r"there is no port led\[4\]"),
        ("project.json", "tul.com.tw:pynq-z2", "tul.com.tw:pynq-z3", "no board files for tul.com.tw:pynq-z3"),
        ("processor.tcl", "xilinx.com:ip:axi_dma", "xilinx.com:ip:axi_dmas", "Vivado has no IP xilinx.com:ip:axi_dmas"),
        ("processor.tcl", "icsort:ip:icsort_sorter", "icsort:ip:sorter", "Vivado has no IP icsort:ip:sorter"),
        ("processor.tcl", "-reference board_io io", "-reference board_ios io", "there is no module board_ios"),
        ("processor.tcl", "PCW_USE_S_AXI_HP0 1", "PCW_USE_S_AXI_HP0 2", "PCW_USE_S_AXI_HP0: there is no 2"),
        ("processor.tcl", "PCW_USE_S_AXI_HP0 1", "PCW_USE_S_AXI_HP0 0", "ps/S_AXI_HP0: is not there"),
        ("processor.tcl", "PCW_IRQ_F2P_INTR", "PCW_IRQ_F2P_INT", "processing_system7:5.5 has no PCW_IRQ_F2P_INT"),
        ("processor.tcl", "c_include_mm2s 0", "c_include_mm2s 1", "(?i)mm2s(_aclk)? is not connected"),
        ("processor.tcl", "c_include_sg 0", "c_include_sg 1", "dma/(M_AXI_SG|m_axi_sg_aclk) is not connected"),
        ("processor.tcl", "c_sg_length_width 26", "c_sg_length_width 14", "dma has no room for a batch"),
        ("processor.tcl", "wait_on_run impl_1\n", "", "no bitstream"),
        ("processor.tcl", "rtl/board/*", "rtl/board/*.v", "the project does not have rtl/board/board_"),
        ("processor.tcl", "set_property board_part [", "list [", "of which board"),
        ("processor.tcl", "NUM_MI 3", "NUM_MI 1", "registers/M01_AXI: is not there"),
        ("processor.tcl", "registers/M00_AXI sorter/s_axil", "registers/M00_AXI sorter/s_axis_line", "aximm axis"),
        ("processor.tcl", "m_axis_batch fifo/S_AXIS", "m_axis_batch fifo/M_AXIS", "a master master"),
        ("processor.tcl", "bus fifo/M_AXIS dma/S_AXIS_S2MM\n", "", "S_AXIS_S2MM is not|fifo/M_AXIS is not"),
        ("processor.tcl", "dma/s2mm_introut", "dma/s2mm_intr", "cell dma has no s2mm_intr among its pins"),
        ("processor.tcl", "fifo/s_axis_aclk", "fifo/s_axis_aresetn", "a net of clk rstn"),
        ("processor.tcl", "sorter/aclk io/clk", "io/clk", "sorter/aclk is not connected"),
        ("processor.tcl", "wire io/closed sorter/interlock\n", "", "sorter/interlock is not connected"),
        ("processor.tcl", "port sort_out O io/sort_out 6", "port sort_out O io/sort_out 4", "widths 4 6"),
        ("processor.tcl", "port led O io/led 4", "port led I io/led 4", "2 drivers"),
        ("processor.tcl", "assign_bd_address\n", "", "interfaces have no addresses"),
        ("processor.tcl", "validate_bd_design\n", "", "comes behind validate_bd_design"),
        ("processor.tcl", "apply_board_preset \"1\"", "apply_preset \"1\"", "the rule has no apply_preset"),
        ("processor.tcl", "system_wrapper [current", "system [current", "there is no module system"),
        ("processor.tcl", "-to_step write_bitstream", "-to_step bitstream", "there is no step bitstream"),
        ("processor.tcl", "connect_bd_intf_net [", "connect_bd_intf [", "Vivado has no command connect_bd_intf"),
        ("processor.tcl", "-dir $direction $name", "-direction $direction $name", "there is no option -direction"),
        ("rtl/board/board_oscillator.v", "FREQ_HZ 100000000", "FREQ_HZ 125000000", "FREQ_HZ of sorter/aclk is another"),
        ("rtl/board/board_io.v", "wire       button", "wire       knob", "cell io has no button among its pins"),
    ],
)  # fmt: skip
def test_what_is_wrong_beside_a_processor_is_caught(project: Path, file: str, old: str, new: str, message: str) -> None:
    changed(project, file, old, new)
    done = run(project, "processor.tcl")
    assert done.returncode != 0
    assert re.search(message, done.stderr), done.stderr
    assert not (project / "sorter.xsa").exists()


def test_the_command_makes_each_kind(build_for: Callable[[str], Build], tmp_path: Path) -> None:
    build = build_for("pynq_z2")
    for kind, script in ((Kind.IP, "ip.tcl"), (Kind.PROCESSOR, "processor.tcl")):
        made = command(build.folder, "--kind", kind, "--out", tmp_path / kind, "--no-run")
        assert made.exit_code == 0, made.output
        assert f"-source {script}" in made.output
        assert load_project(tmp_path / kind).kind is kind


def test_an_ip_is_made_where_vivado_is(
    build_for: Callable[[str], Build], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/vivado"
    program.write_text(
        '#!/bin/sh\ncase "$*" in *"-source ip.tcl") test -f ip.tcl && touch ip/component.xml;; *) exit 3;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    made = command(build_for("pynq_z2").folder, "--kind", "ip", "--out", tmp_path / "ip")
    assert made.exit_code == 0, made.output
    assert "the IP is packaged" in made.output
    assert load_project(tmp_path / "ip").routed is None


def test_boards_without_a_processor(build_for: Callable[[str], Build]) -> None:
    with pytest.raises(IcsortError, match="place has no `board_part`"):
        board_of(build_for("ulx3s"), None, Kind.PROCESSOR)
    with pytest.raises(IcsortError, match="an IP is for Vivado, which knows no part LFE5U"):
        board_of(build_for("ulx3s"), None, Kind.IP)


def test_a_board_of_ones_own_brings_its_pins(build_for: Callable[[str], Build], tmp_path: Path) -> None:
    """A board_io.v of the board's folder is in place of ours."""
    build = build_for("pynq_z2")
    board, folder = board_of(build, None, Kind.PROCESSOR)
    mine = tmp_path / "mine"
    shutil.copytree(folder, mine)
    (mine / "board_io.v").write_text("// mine\n")
    (tmp_path / "project").mkdir()
    write_project(build, board, mine, tmp_path / "project", Kind.PROCESSOR)
    assert (tmp_path / "project/rtl/board/board_io.v").read_text() == "// mine\n"
