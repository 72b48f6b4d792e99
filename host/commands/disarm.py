# SPDX-License-Identifier: Apache-2.0
"""`icsort disarm`."""

from icsort.cli import console
from icsort.cli.options import Json
from icsort.host.commands.connection import Baud, Port, Timeout, rates


def disarm(port: Port = None, baud: Baud = None, timeout: Timeout = 1.0, as_json: Json = False) -> None:
    """Stop sorting at once. Also where another program, such as `icsort watch --arm`, has the port open.

    It waits for nobody, and who sorted does not go on by itself. Without a port it stops every board that it finds.

    Example: icsort disarm --port /dev/ttyUSB0
    """
    from icsort.host.session import stop

    answered = bool(stop(port, bauds=rates(baud), timeout=timeout, told=console.warn))
    if as_json:  # armed null: sent, and nobody knows
        console.show_json({"armed": False if answered else None, "answered": answered})
    elif answered:
        print("disarmed")
    else:
        print("DISARM was sent past the program that has the port open; the answer reaches that one, see what it says")
