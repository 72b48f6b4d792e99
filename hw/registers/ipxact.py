# SPDX-License-Identifier: Apache-2.0
"""The IP-XACT description (IEEE 1685-2014) of icsort_axi_top: its registers by PeakRDL, its parameters, ports and bus
interfaces from its RTL, its files from the FuseSoC cores."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from lxml import etree
from lxml.builder import ElementMaker
from peakrdl_ipxact import IPXACTExporter
from systemrdl.node import AddrmapNode

TOP = "icsort_axi_top"
NAMESPACE = "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"
_E = ElementMaker(namespace=NAMESPACE, nsmap={"ipxact": NAMESPACE})

# Interface -> bus of AMBA's definitions, their version, whether it is the master's end.
BUSES = {
    "s_axil": ("AXI4Lite", "r0p0_0", False),
    "s_axis_line": ("AXI4Stream", "r0p0_1", False),
    "m_axis_record": ("AXI4Stream", "r0p0_1", True),
}
SIGNALS = {"clk": ("clock", "CLK"), "rst": ("reset", "RST")}  # of busdefs of IEEE's signal library

_PARAMETER = re.compile(r"parameter (?:int unsigned|logic \[(?P<left>.+?):0\]) +(?P<name>\w+) *= (?P<value>[^,\s]+)")
_PORT = re.compile(r"(?P<way>input|output) +(?:wire )?logic +(?:\[(?P<left>.+?):0\])? *(?P<name>\w+),?$", re.MULTILINE)


@dataclass(frozen=True)
class Item:
    """A parameter (value) or a port (way: input, output) of the module. left: of its range; None for one bit or int."""

    name: str
    left: str | None
    value: str = ""
    way: str = ""


def read(rtl: Path) -> tuple[list[Item], list[Item]]:
    """Parameters and ports of the module; constants of the package are put in as numbers. rtl: the sorter's folder."""
    package = (rtl / "icsort_pkg.sv").read_text(encoding="utf-8")
    head, _, _ = (rtl / f"{TOP}.sv").read_text(encoding="utf-8").partition("\n);\n")
    for name, value in re.findall(r"localparam int unsigned (\w+) *= (\d+);", package):
        head = head.replace(f"icsort_pkg::{name}", value)
    parameters = [Item(m["name"], m["left"], value=m["value"].replace("_", "")) for m in _PARAMETER.finditer(head)]
    return parameters, [Item(m["name"], m["left"], way=m["way"]) for m in _PORT.finditer(head)]


def write_component(top: AddrmapNode, root: Path, version: str, path: Path) -> None:
    """Write the component. top: of the register map. root: of RTL and cores, the folder that it names files from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    IPXACTExporter(vendor="icsort", library="sorter", version=version).export(top, str(path), component_name=TOP)
    component = etree.parse(path, etree.XMLParser(remove_blank_text=True, remove_comments=True)).getroot()
    memory_maps = component.find(_E.memoryMaps().tag)
    parameters, ports = read(root / "rtl" / "sorter")
    memory_maps.addprevious(_bus_interfaces(memory_maps[0][0].text, ports))
    component.extend(
        (
            _model(parameters, ports),
            _file_sets(root),
            _E.description("Real-time sorter of imaged cells: registers on AXI4-Lite, records as an AXI4-Stream."),
            _E.parameters(*(_parameter(_E.parameter, item, f"set_{item.name}", item.value) for item in parameters)),
        )
    )
    etree.ElementTree(component).write(path, encoding="utf-8", xml_declaration=True, pretty_print=True)


def _bus_interfaces(memory_map: str, ports: Sequence[Item]) -> etree._Element:
    result = _E.busInterfaces()
    for name, (bus, version, is_master) in BUSES.items():
        mine = [item.name for item in ports if item.name.startswith(f"{name}_")]
        end = _E.master() if is_master else _E.slave()
        maps = {port.removeprefix(f"{name}_").upper(): port for port in mine}
        if bus == "AXI4Lite":
            end.append(_E.memoryMapRef(memoryMapRef=memory_map))
        result.append(_interface(name, ("amba.com", "AMBA4", bus, version), maps, end))
    for name, (kind, logical) in SIGNALS.items():
        library = ("ieee.org", "busdef.signal", kind, "1.0")
        result.append(_interface(name, library, {logical: name}, _E.slave()))
    return result


def _interface(
    name: str, bus: tuple[str, str, str, str], maps: Mapping[str, str], end: etree._Element
) -> etree._Element:
    vendor, library, kind, version = bus
    reference = {"vendor": vendor, "library": library, "version": version}
    return _E.busInterface(
        _E.name(name),
        _E.busType(name=kind, **reference),
        _E.abstractionTypes(
            _E.abstractionType(
                _E.abstractionRef(name=f"{kind}_rtl", **reference),
                _E.portMaps(
                    *(
                        _E.portMap(_E.logicalPort(_E.name(logical)), _E.physicalPort(_E.name(physical)))
                        for logical, physical in maps.items()
                    )
                ),
            )
        ),
        end,
    )


def _model(parameters: Sequence[Item], ports: Sequence[Item]) -> etree._Element:
    """Ranges are expressions of the module's parameters, as in the RTL."""
    return _E.model(
        _E.views(_E.view(_E.name("rtl"), _E.componentInstantiationRef("rtl"))),
        _E.instantiations(
            _E.componentInstantiation(
                _E.name("rtl"),
                _E.language("SystemVerilog"),
                _E.moduleName(TOP),
                _E.moduleParameters(
                    *(_parameter(_E.moduleParameter, item, item.name, f"set_{item.name}") for item in parameters)
                ),
                _E.fileSetRef(_E.localName("rtl")),
            )
        ),
        _E.ports(*(_port(item) for item in ports)),
    )


def _port(item: Item) -> etree._Element:
    wire = _E.wire(_E.direction(item.way.removesuffix("put")))
    if item.left is not None:
        left = re.sub(r"\b([A-Z]\w*)\b", r"set_\1", item.left)
        wire.append(_E.vectors(_E.vector(_E.left(left), _E.right("0"))))
    return _E.port(_E.name(item.name), wire)


def _parameter(make: ElementMaker, item: Item, identity: str, value: str) -> etree._Element:
    attributes = {"parameterId": identity, "type": "int" if item.left is None else "bit"}
    parameter = make(**attributes)
    parameter.append(_E.name(item.name))
    if item.left is not None:
        left = re.sub(r"\b([A-Z]\w*)\b", r"set_\1", item.left)
        parameter.append(_E.vectors(_E.vector(_E.left(left), _E.right("0"))))
    parameter.append(_E.value(value))
    return parameter


def _file_sets(root: Path) -> etree._Element:
    """Files in the order of the cores, those that others depend on first."""
    names = []
    for core in ("kernels", "cdc", "sorter"):
        description = yaml.safe_load((root / f"icsort_{core}.core").read_text(encoding="utf-8"))
        names += description["filesets"]["rtl"]["files"]
    files = (_E.file(_E.name(name), _E.fileType("systemVerilogSource")) for name in names)
    return _E.fileSets(_E.fileSet(_E.name("rtl"), *files))
