# SPDX-License-Identifier: Apache-2.0
"""`icsort info`."""

from typing import TYPE_CHECKING

from icsort.cli import console
from icsort.cli.options import Json
from icsort.host.commands.connection import (
    Baud,
    OptionalModel,
    Port,
    Timeout,
    duration,
    gate_json,
    gate_text,
    open_sorter,
    optional_target,
    schedule_json,
    schedule_text,
)

if TYPE_CHECKING:
    from icsort.formats.package import Manifest


def info(
    port: Port = None,
    model: OptionalModel = None,
    baud: Baud = None,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Ask a board who it is: build, model, geometry, state, gate, counters.

    Example: icsort info --port /dev/ttyUSB0 --model out/build
    """
    target = optional_target(model)
    manifest = target.manifest if target else None
    with open_sorter(port, baud, timeout, target, share=False) as sorter:
        board = sorter.check_model(target.manifest, target.build_id) if target else sorter.identify()
        status, gate, counters = sorter.status(), sorter.gate(), sorter.counters()
        schedule = sorter.schedule() if status.schedule_valid else None
        faults = sorter.faults()
        heartbeat = sorter.read("HEARTBEAT")
    if as_json:
        document = {
            "port": sorter.port,
            "owner": sorter.owner,
            **vars(board),
            **vars(status),
            "disarmed_by": status.disarmed_by.name,
            "gate": gate_json(gate, board.classes, manifest),
            "schedule": schedule_json(schedule) if schedule else None,
            "faults": faults,
            "heartbeat_cycles": heartbeat,
            "counters": counters,
        }
        console.show_json(document)
        return
    state = "armed" if status.armed else "test mode" if status.testing else "disarmed"
    if state == "disarmed" and status.disarmed_by:
        state += f" by {status.disarmed_by.name.lower()}"
    table = console.table("", "")
    table.add_row("port", sorter.port + (f", through {sorter.owner}" if sorter.owner else ""))
    table.add_row("build id", board.build_id)
    table.add_row("model id", board.model_id + _name(board.model_id, manifest))
    table.add_row("network id", board.network_id)
    settings = board.settings_id
    table.add_row("settings", "none set" if settings is None else f"of model {settings}{_name(settings, manifest)}")
    table.add_row("classes, channels", f"{board.classes}, {board.channels}")
    table.add_row("window", f"{board.height} x {board.width}")
    table.add_row("clock", f"{board.clock_hz / 1e6:g} MHz")
    table.add_row("state", state + (", idle" if status.idle else ""))
    table.add_row("gate", gate_text(gate, board.classes, manifest) if status.gate_valid else "none set")
    table.add_row("schedule", schedule_text(schedule, board.clock_hz) if schedule else "none set")
    table.add_row("faults", ", ".join(faults) or "none")
    table.add_row("heartbeat", duration(heartbeat, board.clock_hz))
    for name, value in counters.items():
        table.add_row(name, str(value))
    console.show(table)


def _name(model_id: str, manifest: "Manifest | None") -> str:
    """The name of a model that is the one given."""
    return f" ({manifest.name})" if manifest and manifest.model_id == model_id else ""
