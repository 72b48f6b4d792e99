# SPDX-License-Identifier: Apache-2.0
"""`icsort arm`."""

import json

from icsort.cli.options import Json
from icsort.host.commands.connection import (
    Baud,
    DropDelay,
    Heartbeat,
    Model,
    Port,
    Pulse,
    Timeout,
    class_names,
    gate_text,
    microseconds,
    open_sorter,
    read_target,
)
from icsort.host.commands.stopping import stop_signals


def arm(
    port: Port,
    model: Model,
    drop_delay_us: DropDelay = 500.0,
    pulse_us: Pulse = 5.0,
    heartbeat: Heartbeat = 2.0,
    baud: Baud = None,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Check that the board runs this model, set trigger and timing, and let it sort until Ctrl-C.

    An armed board needs a live host: it disarms when this command ends, and by itself where this command falls silent.
    Events are not recorded; `icsort watch --arm` records them.

    Example: icsort arm --port /dev/ttyUSB0 --model out/build --drop-delay-us 500
    """
    target = read_target(model)
    manifest = target.manifest
    with stop_signals() as stopped, open_sorter(port, baud, timeout, target) as sorter:
        delay, pulse = sorter.arm(manifest, drop_delay_us, pulse_us, target.build_id, heartbeat)
        board, gate = sorter.identify(), sorter.gate()
        if as_json:
            names = class_names(gate.mask, board.classes, manifest)
            document = {
                "armed": True,
                "drop_delay_cycles": delay,
                "pulse_cycles": pulse,
                "gate": {**vars(gate), "classes": names},
            }
            print(json.dumps(document), flush=True)
        else:
            print(
                f"armed: {manifest.name}, gate {gate_text(gate, board.classes, manifest)}, "
                f"drop delay {microseconds(delay, board.clock_hz)}, pulse {microseconds(pulse, board.clock_hz)}; "
                "Ctrl-C disarms",
                flush=True,
            )
        for _ in sorter.events():
            if stopped():
                break
        sorter.disarm()
        counters = sorter.counters()
    if as_json:
        print(json.dumps({"armed": False, "counters": counters}), flush=True)
    else:
        print(f"disarmed: {counters['ACCEPTED']} events, {counters['SORTED']} sorted since the board was reset")
