# SPDX-License-Identifier: Apache-2.0
"""What is committed is what the register description gives, and the host's table is the hardware's."""

import subprocess
import sys
from pathlib import Path

import pytest
from systemrdl import RDLCompiler
from systemrdl.node import RegNode

from icsort.host.link.registers import REGISTERS
from icsort.hw.synthesis.yosys import run_script
from icsort.sim.verilator.bench import REPOSITORY

GENERATED = [
    "hw/rtl/sorter/registers/icsort_registers.sv",
    "hw/rtl/sorter/registers/icsort_registers_pkg.sv",
    "hw/rtl/sorter/registers/icsort_statistics_pkg.sv",
    "host/link/registers.py",
    "docs/registers.md",
    "hw/icsort_axi_top.xml",
]


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("registers")
    subprocess.run([sys.executable, "-m", "icsort.hw.registers.generate", "--root", root], check=True)
    return root


@pytest.mark.parametrize("name", GENERATED)
def test_committed_is_regenerated(regenerated: Path, name: str) -> None:
    assert (REPOSITORY / name).read_text() == (regenerated / name).read_text(), (
        "run `make registers` and commit what it writes"
    )


def test_host_table_is_the_description() -> None:
    compiler = RDLCompiler()
    compiler.compile_file(str(REPOSITORY / "hw/registers/icsort.rdl"))
    top = compiler.elaborate().top
    nodes = [node for node in top.descendants() if isinstance(node, RegNode)]
    elaborated = {node.get_rel_path(top).replace(".", "_"): node for node in nodes}
    assert set(REGISTERS) == set(elaborated)
    for name, node in elaborated.items():
        register = REGISTERS[name]
        assert register.name == name
        assert register.address == node.absolute_address
        assert (register.readable, register.writable) == (node.has_sw_readable, node.has_sw_writable)
        fields = {field.inst_name: (field.low, field.width) for field in node.fields()}
        assert {field: (f.low, f.bits) for field, f in register.fields.items()} == fields


def test_yosys_reads_link_and_registers(tmp_path: Path) -> None:
    sources = [REPOSITORY / "hw/rtl/sorter/icsort_pkg.sv", *sorted((REPOSITORY / "hw/rtl/sorter/link").glob("*.sv"))]
    sources += [REPOSITORY / "hw/rtl/sorter/registers/icsort_registers_pkg.sv"]
    sources += [REPOSITORY / "hw/rtl/sorter/registers/icsort_registers.sv"]
    sources += [REPOSITORY / "hw/rtl/sorter/scheduler/schedule_settings.sv"]
    sources += [REPOSITORY / "hw/rtl/sorter/arming.sv", REPOSITORY / "tests/hw/link/link_registers.sv"]
    read = f"read_slang --top link_registers {' '.join(map(str, sources))}"
    run_script(f"{read}\nhierarchy -check\ncheck -assert\n", tmp_path, timeout=500)
