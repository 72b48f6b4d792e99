# SPDX-License-Identifier: Apache-2.0
"""The sorter as a Vivado IP: a Verilog face with the names of its interfaces around icsort_axi_top, the build's RTL and
memories in one folder, and constraints of the pins that have their own clock.

Vivado takes neither SystemVerilog nor ports of any width on the face of an IP (UG1118: top-level HDL requirements), and
finds a memory file beside the source that reads it.
"""

import re
from collections.abc import Iterable

from icsort.formats.build import Build

TOP = "icsort_sorter"
BATCHES_A_SECOND = 1000  # a record waits no longer for others
_NOT_BESIDE_AXI = re.compile(r"rtl/(sorter/link/.*|sorter/icsort_top\.sv|icsort_build\.sv)")
_PARAMETERS = re.compile(r"icsort_top #\(\n(.*?)\n  \) u_top", re.DOTALL)
_LINE_BITS = re.compile(r"\[(\d+):0\] +s_axis_line_tdata")
_AXIL = (
    ("awaddr", "input", 16), ("awprot", "input", 3), ("awvalid", "input", 1), ("awready", "output", 1),
    ("wdata", "input", 32), ("wstrb", "input", 4), ("wvalid", "input", 1), ("wready", "output", 1),
    ("bresp", "output", 2), ("bvalid", "output", 1), ("bready", "input", 1),
    ("araddr", "input", 16), ("arprot", "input", 3), ("arvalid", "input", 1), ("arready", "output", 1),
    ("rdata", "output", 32), ("rresp", "output", 2), ("rvalid", "output", 1), ("rready", "input", 1),
)  # fmt: skip
_LINE = (("tvalid", "input", 1), ("tready", "output", 1), ("tlast", "input", 1), ("tuser", "input", 64))
_BATCH = (("tdata", "output", 32), ("tvalid", "output", 1), ("tready", "input", 1), ("tlast", "output", 1))
_RECORD = (("tdata", 32), ("tvalid", 1), ("tready", 1), ("tlast", 1), ("tuser", 8))
_UNUSED = ("idle", "decision", "record_tdata", "record_tvalid", "record_tlast", "stream_line", "stream_net_in",
           "stream_net_out")  # fmt: skip
_BATCH_WORDS = 4096

CONSTRAINTS = """# Pins of any clock: the first flip-flop of each synchronizer waits for nobody.
set_false_path -to [get_cells -hierarchical -filter {NAME =~ *interlock_pin/sync_q_reg?0?}]
set_false_path -to [get_cells -hierarchical -filter {NAME =~ *drop_pin/sync_q_reg?0?}]
"""


def ip_files(build: Build) -> dict[str, bytes]:
    """All files of the IP's src folder, by name: the RTL in the order of files.f, the face, memories, constraints."""
    files = {}
    for path in build.sources():
        if not _NOT_BESIDE_AXI.fullmatch(path.relative_to(build.folder).as_posix()):
            files[path.name] = path.read_bytes()
    net = files["icsort_net.sv"].decode()
    net = net.replace('MEM_DIR = "mem/"', 'MEM_DIR = "./"', 1).replace('.hex"})', '.dat"})')
    files["icsort_net.sv"] = net.encode()
    files[f"{TOP}.v"] = face(build).encode()
    files |= {path.with_suffix(".dat").name: path.read_bytes() for path in build.memories_of_rtl()}
    files[f"{TOP}.xdc"] = CONSTRAINTS.encode()
    return files


def face(build: Build) -> str:
    """The text of icsort_sorter.v, with the parameters of the build's icsort_build.sv."""
    wrapper = (build.folder / "rtl/icsort_build.sv").read_text(encoding="utf-8")
    parameters, line = _PARAMETERS.search(wrapper), _LINE_BITS.search(wrapper)
    assert parameters is not None
    assert line is not None
    bindings = ",\n".join(text for text in parameters[1].split(",\n") if ".CLKS_PER_BIT" not in text)
    line_bits = int(line[1]) + 1
    line_bytes = -(-line_bits // 8)
    clock_hz = round(build.clock_mhz * 1e6)
    ports = [
        _port("input", 1, "aclk", "signal:clock:1.0 aclk CLK", "ASSOCIATED_BUSIF s_axil:s_axis_line:m_axis_batch",
              "ASSOCIATED_RESET aresetn", f"FREQ_HZ {clock_hz}"),
        _port("input", 1, "aresetn", "signal:reset:1.0 aresetn RST", "POLARITY ACTIVE_LOW"),
        *_bus("aximm", "s_axil", _AXIL, "PROTOCOL AXI4LITE", "ADDR_WIDTH 16", "DATA_WIDTH 32"),
        *_bus("axis", "s_axis_line", (("tdata", "input", 8 * line_bytes), *_LINE), f"TDATA_NUM_BYTES {line_bytes}",
              "TUSER_WIDTH 64", "HAS_TREADY 1", "HAS_TLAST 1"),
        *_bus("axis", "m_axis_batch", _BATCH, "TDATA_NUM_BYTES 4", "TUSER_WIDTH 0", "HAS_TREADY 1", "HAS_TLAST 1"),
        _port("output", 1, "interrupt", "signal:interrupt:1.0 interrupt INTERRUPT", "SENSITIVITY LEVEL_HIGH"),
        '    (* X_INTERFACE_IGNORE = "true" *)\n' + _port("input", 1, "drop_clock"),  # a pin, no block design's clock
        _port("input", 1, "interlock"), _port("output", 6, "sort_out"), _port("output", 48, "timestamp"),
        _port("output", 1, "armed"), _port("output", 1, "fault"), _port("output", 1, "one_event"),
    ]  # fmt: skip
    same = [f"s_axil_{pin}" for pin, _, _ in _AXIL] + [f"s_axis_line_{pin}" for pin, _, _ in _LINE]
    same += ["timestamp", "interlock", "drop_clock", "sort_out", "interrupt"]
    sorter = {"clk": "aclk", "rst": "!aresetn", "s_axis_line_tdata": f"s_axis_line_tdata[{line_bits - 1}:0]"}
    sorter |= {name: name for name in same} | {f"m_axis_record_{pin}": f"record_{pin}" for pin, _ in _RECORD}
    sorter |= {"mon_armed": "armed", "mon_fault": "fault", "mon_event": "one_event"}
    sorter |= {f"mon_{name}": "" for name in _UNUSED}
    batches = {"clk": "aclk", "rst": "!aresetn"} | {f"s_axis_{pin}": f"record_{pin}" for pin, _ in _RECORD}
    batches |= {f"m_axis_{pin}": f"m_axis_batch_{pin}" for pin, _, _ in _BATCH}
    limits = f"      .WORDS ({_BATCH_WORDS}),\n      .PERIOD ({clock_hz // BATCHES_A_SECOND})"
    wires = "".join(f"  wire {_range(bits)}record_{pin};\n" for pin, bits in _RECORD)
    declarations = ",\n".join(ports)
    return f"""// SPDX-License-Identifier: Apache-2.0
//
// {TOP}: the sorter of build {build.build_id} as an IP: icsort_axi_top, its records in batches for a DMA.
// Generated by `icsort build`.
//
//   aclk         {clock_hz} Hz, which the build counts in.
//   s_axil       registers, 64 KiB.
//   s_axis_line  lines: see icsort_core. All zero where there are none but the line source's.
//   m_axis_batch records: see record_batches.
//   interrupt    see icsort_core. interlock, drop_clock: of any clock.
`default_nettype none

module {TOP} (
{declarations}
);

{wires}
  icsort_axi_top #(
{bindings}
  ) sorter (
{_connected(sorter)}
  );

  record_batches #(
{limits}
  ) batches (
{_connected(batches)}
  );

endmodule

`default_nettype wire
"""


def _range(bits: int) -> str:
    return f"[{bits - 1}:0] " if bits > 1 else ""


def _port(direction: str, bits: int, name: str, interface: str = "", *parameters: str) -> str:
    """A port's declaration. interface: bus definition, interface and what the port is in it (UG994: X_INTERFACE_INFO);
    parameters: of the interface, with the first of its ports."""
    lines = [f'    (* X_INTERFACE_INFO = "xilinx.com:{interface}" *)'] if interface else []
    if parameters:
        of = ", ".join((f"XIL_INTERFACENAME {interface.split()[1]}", *parameters))
        lines.append(f'    (* X_INTERFACE_PARAMETER = "{of}" *)')
    return "\n".join([*lines, f"    {direction} wire {_range(bits)}{name}"])


def _bus(kind: str, name: str, pins: Iterable[tuple[str, str, int]], *parameters: str) -> list[str]:
    """Ports of an interface, the first with its parameters."""
    return [
        _port(direction, bits, f"{name}_{pin}", f"interface:{kind}:1.0 {name} {pin.upper()}", *parameters * (not index))
        for index, (pin, direction, bits) in enumerate(pins)
    ]


def _connected(connections: dict[str, str]) -> str:
    return ",\n".join(f"      .{port} ({signal})" for port, signal in connections.items())
