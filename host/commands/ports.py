# SPDX-License-Identifier: Apache-2.0
"""`icsort ports`."""

from dataclasses import asdict

from icsort.cli import console
from icsort.cli.options import Json
from icsort.host.commands.connection import Baud, Timeout, rates


def ports(baud: Baud = None, timeout: Timeout = 1.0, as_json: Json = False) -> None:
    """List the serial ports of this machine and what is at each: a board, or why none answers.

    As for every program that takes a port: a board that is armed by nobody that lives is disarmed.

    Example: icsort ports
    """
    from icsort.host.session import survey

    findings = survey(bauds=rates(baud), timeout=timeout)
    if as_json:
        console.show_json([asdict(finding) for finding in findings])
        return
    if not findings:
        print("there is no serial port here; connect a board, or run one with `icsort board`")
        return
    table = console.table("port", "device", "what is there", text=("port", "device", "what is there"))
    for finding in findings:
        board = f"build {finding.build_id}" + (f", through {finding.owner}" if finding.owner else "")
        table.add_row(finding.port, finding.device or "", board if finding.build_id else finding.reason)
    console.show(table)
    for finding in findings:
        if finding.latency_ms is not None and finding.latency_ms > 1:
            console.warn(
                f"{finding.port}: its bridge keeps answers for {finding.latency_ms} ms, and may not be told otherwise; "
                f"echo 1 | sudo tee {finding.latency_file}"
            )
