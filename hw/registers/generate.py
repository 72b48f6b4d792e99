# SPDX-License-Identifier: Apache-2.0
"""Make everything that follows from icsort.rdl: the SystemVerilog register block, the host's table, the page and the
IP-XACT component.

    python -m icsort.hw.registers.generate [--root FOLDER]

writes hw/rtl/sorter/registers/*.sv, host/link/registers.py, docs/registers.md and hw/icsort_axi_top.xml below FOLDER
(default: this repository). The results are committed; tests/hw/link/test_registers.py makes them again and compares.
"""

import argparse
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

from peakrdl_regblock import RegblockExporter
from peakrdl_regblock.cpuif.passthrough import PassthroughCpuif
from peakrdl_regblock.udps import ALL_UDPS
from systemrdl.compiler import RDLCompiler
from systemrdl.node import AddrmapNode, FieldNode, RegfileNode, RegNode

from icsort.hw.registers import ipxact

SOURCE = Path(__file__).resolve().parent / "icsort.rdl"
REPOSITORY = SOURCE.parent.parent.parent
MADE_BY = "Made from hw/registers/icsort.rdl by hw/registers/generate.py; do not edit."
# Generated code is left as the generator writes it; it is not for us to restyle.
WAIVERS = ("MULTIDRIVEN", "UNUSEDPARAM", "UNUSEDSIGNAL", "DECLFILENAME")


def elaborate() -> AddrmapNode:
    """The register map, compiled and elaborated. The compiler prints what is wrong with the source and raises."""
    compiler = RDLCompiler()
    for udp in ALL_UDPS:  # regblock looks its own properties up, also where none is used
        compiler.register_udp(udp)
    compiler.compile_file(str(SOURCE))
    return compiler.elaborate().top


def registers(top: AddrmapNode) -> list[RegNode]:
    """All registers in the order of their addresses."""
    nodes = [node for node in top.descendants() if isinstance(node, RegNode)]
    return sorted(nodes, key=lambda node: node.absolute_address)


def name_of(register: RegNode) -> str:
    """Its name, with that of the files that it is in."""
    top = register.owning_addrmap
    assert top is not None
    return register.get_rel_path(top).replace(".", "_")


def scheduled(top: AddrmapNode) -> list[tuple[int, RegNode]]:
    """Registers that are words of the memory SCHEDULE, each with the address of the first."""
    memory = top.get_child_by_name("SCHEDULE")
    assert isinstance(memory, RegfileNode)
    return [
        (memory.absolute_address, node)
        for node in registers(top)
        if node.get_path().startswith(memory.get_path() + ".")
    ]


def counters(top: AddrmapNode) -> list[RegNode]:
    """Registers that SNAPSHOT latches a counter in; frames of statistics have the counters in this order."""
    latched = [node for node in registers(top) if node.orig_type_name == "latched"]
    return [node for node in latched if not node.inst_name.startswith("TIMESTAMP_")]


def is_readable(register: RegNode) -> bool:
    return any(field.is_sw_readable for field in register.fields())


def is_writable(register: RegNode) -> bool:
    return any(field.is_sw_writable for field in register.fields())


def _reset(field: FieldNode) -> int | None:
    """Reset value or constant; None for a live value, which has none."""
    value = field.get_property("reset")
    return value if isinstance(value, int) else None


def write_systemverilog(top: AddrmapNode, folder: Path) -> None:
    """Module `icsort_registers` and package `icsort_registers_pkg`, behind a plain request/acknowledge bus."""
    folder.mkdir(parents=True, exist_ok=True)
    RegblockExporter().export(
        top,
        str(folder),
        cpuif_cls=PassthroughCpuif,
        address_width=16,  # all of the link's address, so that none aliases
        err_if_bad_addr=True,
        err_if_bad_rw=True,
        reuse_hwif_typedefs=False,
    )
    off = "\n".join(f"/* verilator lint_off {name} */" for name in WAIVERS)
    on = "\n".join(f"/* verilator lint_on {name} */" for name in WAIVERS)
    for path in folder.glob("icsort_registers*.sv"):
        text = path.read_text(encoding="utf-8").rstrip()
        generator = f"peakrdl-regblock {version('peakrdl-regblock')}"
        head = f"// SPDX-License-Identifier: Apache-2.0\n// {MADE_BY}\n// {generator}"
        path.write_text(f"{head}\n{off}\n\n{text}\n\n{on}\n", encoding="utf-8")


def write_counters(top: AddrmapNode, path: Path) -> None:
    """Package `icsort_statistics_pkg`: all counters side by side, by the names of their registers."""
    names = [name_of(node) for node in counters(top)]
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        f"// {MADE_BY}",
        "//",
        "// icsort_statistics_pkg: the counters of the register map, in the order of their addresses.",
        "`default_nettype none",
        "",
        "package icsort_statistics_pkg;",
        "",
        f"  localparam int unsigned COUNTERS = {len(names)};",
        "",
        f"  // Counter 0, {names[0]}, at the LSB.",
        "  /* verilator lint_off UNUSEDSIGNAL */  // the other registers",
        "  function automatic logic [COUNTERS*32-1:0] counters_of(icsort_registers_pkg::icsort_registers__in_t hwif);",
        "  /* verilator lint_on UNUSEDSIGNAL */",
        "    return {",
        ",\n".join(f"      hwif.{name}.value.next" for name in reversed(names)),
        "    };",
        "  endfunction",
        "",
        "endpackage",
        "",
        "`default_nettype wire",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_python(top: AddrmapNode, path: Path) -> None:
    """Table of registers by name for the host."""
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        f"# {MADE_BY}",
        '"""Registers of the sorter: addresses, access, fields and reset values."""',
        "",
        "from dataclasses import dataclass",
        "",
        "",
        "@dataclass(frozen=True)",
        "class Field:",
        '    """`bits` bits of a register from bit `low` up; `reset`: constant or reset value, None if live."""',
        "",
        "    low: int",
        "    bits: int",
        "    reset: int | None",
        "",
        "",
        "@dataclass(frozen=True)",
        "class Register:",
        '    """A 32-bit register at a byte address. One that is not readable is a strobe: writing 1 acts, once."""',
        "",
        "    name: str",
        "    address: int",
        "    readable: bool",
        "    writable: bool",
        "    fields: dict[str, Field]",
        "",
        "",
        "REGISTERS: dict[str, Register] = {",
        "    register.name: register",
        "    for register in (",
    ]
    for node in registers(top):
        lines += [
            "        Register(",
            f'            "{name_of(node)}",',
            f"            0x{node.absolute_address:02X},",
            f"            {is_readable(node)},",
            f"            {is_writable(node)},",
            "            {",
        ]
        for field in node.fields():
            reset = _reset(field)
            shown = "None" if reset is None else f"0x{reset:X}"
            lines.append(f'                "{field.inst_name}": Field({field.low}, {field.width}, {shown}),')
        lines += ["            },", "        ),"]
    lines += ["    )", "}", ""]
    lines += [
        "SCHEDULE_WORDS: dict[int, str] = {",
        *(f'    {(node.absolute_address - base) // 4}: "{name_of(node)}",' for base, node in scheduled(top)),
        "}",
        '"""Words of the scheduler\'s memory: index and the register that it is."""',
        "",
        "COUNTERS: tuple[str, ...] = (",
        *(f'    "{name_of(node)}",' for node in counters(top)),
        ")",
        '"""Counters in the order in which a frame of statistics has them."""',
        "",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")


def write_page(top: AddrmapNode, path: Path) -> None:
    """The page that people read."""

    def reset(field: FieldNode) -> str:
        if not field.is_sw_readable:
            return ""
        value = _reset(field)
        return "live" if value is None else f"0x{value:X}"

    def where(field: FieldNode) -> str:
        return str(field.low) if field.width == 1 else f"{field.high}:{field.low}"

    def text(node: RegNode | FieldNode) -> str:
        description = node.get_property("desc")
        assert description, f"{node.get_path()}: give it a desc in {SOURCE.name}"
        return re.sub(r"\s+", " ", description).replace("|", "\\|")

    lines = [
        "# Registers",
        "",
        MADE_BY,
        "",
        "32-bit words at byte addresses. Names that end in `_LO` and `_HI` are the halves of one 64-bit value.",
        "An address that is not listed, a write to a register that is read only, and a read of one that is write only,",
        "are answered with NACK 3.",
        "",
        "| address | register | access | bits | field | reset | meaning |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for node in registers(top):
        access = ", ".join(["read"] * is_readable(node) + ["write"] * is_writable(node))
        fields = list(node.fields())
        single = len(fields) == 1 and fields[0].inst_name in ("value", "strobe")
        bits = f"{where(fields[0])} | | {reset(fields[0])}" if single else "| |"
        lines.append(f"| 0x{node.absolute_address:02X} | `{name_of(node)}` | {access} | {bits} | {text(node)} |")
        if not single:
            for field in fields:
                lines.append(f"| | | | {where(field)} | `{field.inst_name}` | {reset(field)} | {text(field)} |")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Regenerate what follows from icsort.rdl.")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="write below this folder")
    root: Path = parser.parse_args().root
    top = elaborate()
    rtl = root / "hw" / "rtl" / "sorter" / "registers"
    write_systemverilog(top, rtl)
    write_counters(top, rtl / "icsort_statistics_pkg.sv")
    write_python(top, root / "host" / "link" / "registers.py")
    write_page(top, root / "docs" / "registers.md")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ipxact.write_component(top, REPOSITORY / "hw", project["version"], root / "hw" / f"{ipxact.TOP}.xml")


if __name__ == "__main__":
    main()
