# SPDX-License-Identifier: Apache-2.0
"""`icsort disarm`."""

from icsort.cli import console
from icsort.cli.options import Json
from icsort.host.commands.connection import Baud, Port, Timeout, open_sorter


def disarm(port: Port, baud: Baud = None, timeout: Timeout = 1.0, as_json: Json = False) -> None:
    """Stop sorting at once. Also where another program, such as `icsort watch --arm`, has the port open.

    Example: icsort disarm --port /dev/ttyUSB0
    """
    from icsort.host.link.transport import PortBusyError
    from icsort.host.sorter import disarm_past

    try:
        with open_sorter(port, baud, timeout) as sorter:
            sorter.disarm()
    except PortBusyError:
        disarm_past(port)
        answered = False
    else:
        answered = True
    if as_json:  # armed null: sent, and nobody knows
        console.show_json({"armed": False if answered else None, "answered": answered})
    elif answered:
        print("disarmed")
    else:
        print("DISARM was sent past the program that has the port open; the answer reaches that one, see what it says")
