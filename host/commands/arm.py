# SPDX-License-Identifier: Apache-2.0
"""`icsort arm`."""

import json

from icsort.host.commands.connection import (
    Baud,
    DropDelay,
    Json,
    Model,
    Port,
    Pulse,
    Timeout,
    class_names,
    gate_text,
    microseconds,
    open_sorter,
    package_and_build,
)


def arm(
    port: Port,
    model: Model,
    drop_delay_us: DropDelay = 500.0,
    pulse_us: Pulse = 5.0,
    baud: Baud = 1_000_000,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Check that the board runs this model, set trigger and timing, then let it sort.

    Example: icsort arm --port /dev/ttyUSB0 --model out/build --drop-delay-us 500
    """
    manifest, build_id = package_and_build(model)
    with open_sorter(port, baud, timeout) as sorter:
        delay, pulse = sorter.arm(manifest, drop_delay_us, pulse_us, build_id)
        board, gate = sorter.identify(), sorter.gate()
    if as_json:
        names = class_names(gate.mask, board.classes, manifest)
        document = {
            "armed": True,
            "drop_delay_cycles": delay,
            "pulse_cycles": pulse,
            "gate": {**vars(gate), "classes": names},
        }
        print(json.dumps(document))
        return
    print(
        f"armed: {manifest.name}, gate {gate_text(gate, board.classes, manifest)}, "
        f"drop delay {microseconds(delay, board.clock_hz)}, pulse {microseconds(pulse, board.clock_hz)}"
    )
