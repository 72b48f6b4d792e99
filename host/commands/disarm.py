# SPDX-License-Identifier: Apache-2.0
"""`icsort disarm`."""

from icsort.cli import console
from icsort.cli.options import Json
from icsort.errors import UnconfirmedError
from icsort.host.commands.connection import Baud, Port, Timeout, rates


def disarm(port: Port = None, baud: Baud = None, timeout: Timeout = 1.0, as_json: Json = False) -> None:
    """Stop sorting at once. Also where another program, such as `icsort watch --arm`, has the port open.

    It waits for nobody, and who sorted does not go on by itself. Without a port it stops every board that it finds.
    Where the board does not confirm it, as one whose answers do not come through, it ends with exit code 3: open the
    interlock.

    Example: icsort disarm --port /dev/ttyUSB0
    """
    from icsort.host.session import stop

    try:
        stop(port, bauds=rates(baud), timeout=timeout, told=console.warn)
    except UnconfirmedError:
        if as_json:  # armed null: sent, and nobody knows
            console.show_json({"armed": None, "answered": False})
        raise
    if as_json:
        console.show_json({"armed": False, "answered": True})
    else:
        print("disarmed")
