# SPDX-License-Identifier: Apache-2.0
"""`icsort arm`."""

from icsort.cli import console
from icsort.cli.options import Json
from icsort.host.commands.connection import (
    Baud,
    ClearFaults,
    Coincidence,
    DropDelay,
    Heartbeat,
    Mode,
    Model,
    Port,
    Pulse,
    ScheduleFile,
    SortMode,
    SortTarget,
    Timeout,
    disarmed,
    gate_json,
    gate_text,
    open_sorter,
    read_schedule,
    read_target,
    schedule_json,
    schedule_text,
)
from icsort.host.commands.stopping import stop_signals


def arm(
    model: Model,
    port: Port = None,
    drop_delay_us: DropDelay = 500.0,
    pulse_us: Pulse = 5.0,
    mode: Mode = SortMode.PURITY,
    coincidence_us: Coincidence = None,
    target_sorts: SortTarget = 0,
    schedule_file: ScheduleFile = None,
    clear_faults: ClearFaults = False,
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
    schedule = read_schedule(schedule_file, drop_delay_us, pulse_us, mode, coincidence_us, target_sorts)
    with stop_signals() as stopped, open_sorter(port, baud, timeout, target) as sorter:
        if clear_faults:
            sorter.clear_faults()
        settings = sorter.arm(manifest, schedule, target.build_id, heartbeat, stopped=stopped)
        board, gate = sorter.identify(), sorter.gate()
        if as_json:
            document = {
                "armed": True,
                "schedule": schedule_json(settings),
                "gate": gate_json(gate, board.classes, manifest),
            }
            console.show_json(document, lines=False)
        else:
            print(
                f"armed: {manifest.name}, gate {gate_text(gate, board.classes, manifest)}, "
                f"{schedule_text(settings, board.clock_hz)}; "
                "Ctrl-C disarms",
                flush=True,
            )
        for _ in sorter.events():
            if stopped():
                break
        sorter.disarm()
        counters = sorter.counters()
    if as_json:
        console.show_json({"armed": False, "counters": counters}, lines=False)
    else:
        print(disarmed(counters))
    stopped.end()
