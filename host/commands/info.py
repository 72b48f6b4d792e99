# SPDX-License-Identifier: Apache-2.0
"""`icsort info`."""

import json

from icsort.host.commands.connection import (
    Baud,
    Json,
    OptionalModel,
    Port,
    Timeout,
    class_names,
    gate_text,
    microseconds,
    open_sorter,
    optional_package,
    plain_table,
)


def info(
    port: Port,
    model: OptionalModel = None,
    baud: Baud = 1_000_000,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Ask a board who it is: build, model, geometry, state, gate, counters.

    Example: icsort info --port /dev/ttyUSB0 --model out/build
    """
    manifest, build_id = optional_package(model)
    with open_sorter(port, baud, timeout) as sorter:
        board = sorter.check_model(manifest, build_id) if manifest else sorter.identify()
        status, gate, counters = sorter.status(), sorter.gate(), sorter.counters()
        delay, pulse = sorter.read("DROP_DELAY"), sorter.read("PULSE_CYCLES")
    if as_json:
        document = {
            "port": port,
            **vars(board),
            **vars(status),
            "gate": {**vars(gate), "classes": class_names(gate.mask, board.classes, manifest)},
            "drop_delay_cycles": delay,
            "pulse_cycles": pulse,
            "counters": counters,
        }
        print(json.dumps(document, indent=2))
        return
    from rich.console import Console

    table = plain_table("", "")
    table.add_row("port", port)
    table.add_row("build id", board.build_id)
    table.add_row("model id", board.model_id + (f" ({manifest.name})" if manifest else ""))
    table.add_row("classes, channels", f"{board.classes}, {board.channels}")
    table.add_row("window", f"{board.height} x {board.width}")
    table.add_row("clock", f"{board.clock_hz / 1e6:g} MHz")
    table.add_row("state", f"{'armed' if status.armed else 'disarmed'}{', idle' if status.idle else ''}")
    table.add_row("gate", gate_text(gate, board.classes, manifest) if status.gate_valid else "none set")
    table.add_row("drop delay, pulse", f"{microseconds(delay, board.clock_hz)}, {microseconds(pulse, board.clock_hz)}")
    for name, value in counters.items():
        table.add_row(name, str(value))
    Console().print(table)
