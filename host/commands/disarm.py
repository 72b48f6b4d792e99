# SPDX-License-Identifier: Apache-2.0
"""`icsort disarm`."""

from icsort.host.commands.connection import Baud, Port, Timeout, open_sorter


def disarm(port: Port, baud: Baud = 1_000_000, timeout: Timeout = 1.0) -> None:
    """Stop sorting at once.

    Example: icsort disarm --port /dev/ttyUSB0
    """
    with open_sorter(port, baud, timeout) as sorter:
        sorter.disarm()
    print("disarmed")
