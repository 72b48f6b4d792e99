# SPDX-License-Identifier: Apache-2.0
"""The way to a board, whoever holds its port: `connect`, and `stop`, which disarms whatever happens.

docs/session.md has the rules.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from serial.tools import list_ports

from icsort.errors import IcsortError, UnconfirmedError
from icsort.host.link.owner import PortOwner
from icsort.host.link.shared import SHARES, join, shared_ports, socket_path
from icsort.host.link.transport import BAUDS, PYNQ, RARE_BAUDS, PortBusyError, PortGoneError, latency_file, open_port
from icsort.host.sorter import DEFAULT_TIMEOUT, Sorter, disarm_blindly, disarm_past

BUSY_SECONDS: Final = 2.0
"""That a port may be held by a program that does not share it, or not yet: who only asks something ends by then."""
STOP_SECONDS: Final = 0.5
"""That a program which has the port has to answer who disarms; then the board is told past it."""
PORT_VARIABLE: Final = "ICSORT_PORT"


def connect(
    port: str | None = None,
    *,
    bauds: Sequence[int] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    share: bool = True,
) -> Sorter:
    """The board at a port, through the program that has it open, or else as that program.

    port: a serial one, or `pynq://` and the path of an overlay; None for that of the environment (ICSORT_PORT), of
    `icsort.toml`, or the only one at which a board answers.
    bauds: rates to try; None for that of `icsort.toml`, or the usual ones. share: let other programs of this user
    through, which takes threads; what only asks something does without. Raises IcsortError where no board answers.
    """
    port, bauds = _configured(port, bauds)
    if port is not None:
        return _open(port, bauds, timeout, share)
    return _the_only_one(bauds, timeout, share)


def stop(
    port: str | None = None,
    *,
    bauds: Sequence[int] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    told: Callable[[str], None] = lambda _: None,
) -> None:
    """Disarm: through the program that has the port open, or past it where that one does not answer; without a port,
    every board that can be found. Returns once the board has confirmed it.

    Where no program has the port, DISARM is first sent at every rate at which boards are built, and only then is asked
    who is there: a board whose answers do not come through is stopped all the same.

    told: is called with what was wrong and went without, as an `icsort.toml` that cannot be read. Raises
    UnconfirmedError where DISARM was sent and nobody confirmed it, IcsortError where nothing could be sent.
    """
    said: list[str] = []
    try:
        port, bauds = _configured(port, bauds)
    except (IcsortError, OSError) as error:  # of the file, of which a stop is no matter
        port, bauds = port or os.environ.get(PORT_VARIABLE) or None, bauds or BAUDS
        said = _said_port()
        told(f"{error}; disarmed without it, {port or 'whatever board is found'}")
    if port is not None:
        _stop(port, bauds, timeout)
        return
    stopped: list[str] = []
    held: list[str] = []
    unheard: list[str] = []
    reasons: list[str] = []

    def attempt(name: str) -> None:
        try:
            _stop(name, bauds, timeout)
        except _HeldError as error:
            held.append(str(error))
        except UnconfirmedError as error:
            unheard.append(str(error))
        except IcsortError as error:
            reasons.append(str(error))
        else:
            stopped.append(name)

    ports = {os.path.realpath(name): name for name in [*said, *_all_ports()]}.values()
    if ports:
        with ThreadPoolExecutor(len(ports)) as pool:
            list(pool.map(attempt, ports))
    if held:
        raise UnconfirmedError("; ".join(held))
    if not stopped and unheard:
        raise UnconfirmedError("; ".join(unheard + reasons))
    if not stopped:
        raise IcsortError(_none_found(reasons))


class _HeldError(UnconfirmedError):
    """Another program has the port, and keeps the answer."""


def _stop(port: str, bauds: Sequence[int], timeout: float) -> None:
    limit = time.monotonic() + BUSY_SECONDS
    while not _stopped_by_holder(port, timeout):
        try:
            transport = open_port(port, bauds)
        except PortBusyError:
            if disarm_past(port):
                return
            if time.monotonic() > limit:  # until then it may share the port, or have ended
                raise _HeldError(
                    f"{port}: DISARM was sent past the program that has the port open; the answer reaches that one, "
                    "see what it says, or open the interlock"
                ) from None
            continue
        rates = tuple(dict.fromkeys([*bauds, *BAUDS]))
        disarm_blindly(transport, tuple(dict.fromkeys([*rates, *RARE_BAUDS])))
        try:
            with Sorter.over(transport, rates, timeout) as sorter:
                sorter.disarm()
        except IcsortError as error:
            raise UnconfirmedError(
                f"{error}; DISARM was sent at every rate, and nobody has confirmed it: open the interlock, or switch "
                "the sorter off"
            ) from None
        return


def _stopped_by_holder(port: str, timeout: float) -> bool:
    """Through the program that has the port. Nothing is waited for: one that does not answer is passed by."""
    with suppress(Exception):
        transport = join(port, STOP_SECONDS)
        if transport is not None:
            with Sorter(transport, min(timeout, STOP_SECONDS)) as sorter:
                sorter.write("DISARM", 1)  # which the board answers
                with suppress(PortGoneError):  # who armed may end at once, and the port with it
                    sorter.disarm()
            return True
    return False


def _configured(port: str | None, bauds: Sequence[int] | None) -> tuple[str | None, Sequence[int]]:
    from icsort.formats.lab import load_lab

    port = port or os.environ.get(PORT_VARIABLE) or None
    if port is None or bauds is None:
        lab = load_lab(Path())
        port, bauds = port or lab.port, bauds or ((lab.baud,) if lab.baud else BAUDS)
    if port is not None and port.startswith(PYNQ):  # one name of an overlay, wherever it is said
        port = PYNQ + os.path.realpath(port.removeprefix(PYNQ))
    return port, bauds


def _said_port() -> list[str]:
    """That of an `icsort.toml` in which something else is wrong."""
    import tomllib

    from icsort.formats.lab import LAB_FILE

    with suppress(OSError, ValueError):
        port = tomllib.loads(Path(LAB_FILE).read_text(encoding="utf-8")).get("port")
        return [port] if isinstance(port, str) and port else []
    return []


def _joined(port: str, timeout: float) -> Sorter | None:
    """Through the program that has the port; None where none shares it."""
    transport = join(port)
    if transport is None:
        return None
    sorter = Sorter(transport, timeout)
    try:
        sorter.check_protocol()
    except PortGoneError:  # that program ends in this very moment
        transport.close()
        return None
    except BaseException:
        transport.close()
        raise
    return sorter


def _open(port: str, bauds: Sequence[int], timeout: float, share: bool, may_own: bool = True) -> Sorter:
    limit = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            joined = _joined(port, timeout)
            if joined is None and not may_own:
                raise IcsortError(f"{port}: the program that held it has not opened it again; it is waited for")
            sorter = joined or _owned(port, bauds, timeout, share)
        except PortBusyError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)
            continue
        sorter.opened_by(lambda may_own: _open(port, bauds, timeout, share, may_own))
        return sorter


def _owned(port: str, bauds: Sequence[int], timeout: float, share: bool) -> Sorter:
    """As the program that holds the port."""
    sorter = Sorter.open(port, bauds, timeout)
    try:
        sorter.take_over()
        if not (share and SHARES):
            return sorter
        sorter.share(lambda transport: PortOwner(transport, socket_path(port)).local())
    except BaseException:
        sorter.close()
        raise
    return sorter


def _the_only_one(bauds: Sequence[int], timeout: float, share: bool) -> Sorter:
    """The board that is found. Raises IcsortError where there is none, or more than one, with what each port said."""
    ports = _all_ports()
    reasons: list[str] = []
    found: list[Sorter] = []

    def attempt(port: str) -> Callable[[], None]:
        try:
            sorter = _open(port, bauds, timeout, share)
        except IcsortError as error:
            reason = str(error)
            return lambda: reasons.append(reason)
        return lambda: found.append(sorter)

    if ports:
        with ThreadPoolExecutor(len(ports)) as pool:
            for result in pool.map(attempt, ports):
                result()
    if len(found) == 1:
        return found[0]
    for sorter in found:
        with suppress(IcsortError):
            sorter.close()
    if found:
        names = ", ".join(sorter.port for sorter in found)
        raise IcsortError(f"boards answer at several ports, {names}; say which one with --port")
    raise IcsortError(_none_found(reasons))


@dataclass(frozen=True)
class PortFinding:
    """A port of this machine. device: as the system calls what is there. build_id, owner: of the board that answers,
    and the program that has it open; None: none. reason: why no board answers. latency_ms: for which its bridge keeps
    bytes, and the file that says so; None where the system does not tell."""

    port: str
    device: str | None
    build_id: str | None = None
    owner: str | None = None
    reason: str | None = None
    latency_ms: int | None = None
    latency_file: str | None = None


def survey(*, bauds: Sequence[int] | None = None, timeout: float = DEFAULT_TIMEOUT) -> list[PortFinding]:
    """Every port that can be found, and what answers there; all are asked at once."""
    known = [entry for entry in list_ports.comports() if entry.hwid != "n/a"]
    devices = {os.path.realpath(entry.device): entry.description for entry in known}

    def ask(port: str) -> PortFinding:
        build_id = owner = reason = None
        try:
            with _open(port, bauds or BAUDS, timeout, share=False) as sorter:
                build_id, owner = sorter.identify().build_id, sorter.owner
        except IcsortError as error:
            reason = str(error).removeprefix(f"{port}: ")
        file = latency_file(port)  # once it was open, and told to keep nothing
        kept = None
        with suppress(OSError, ValueError):  # it was unplugged meanwhile
            kept = int(file.read_text()) if file else None
        device = devices.get(os.path.realpath(port))
        return PortFinding(port, device, build_id, owner, reason, kept, str(file) if file else None)

    if not (ports := _all_ports()):
        return []
    with ThreadPoolExecutor(len(ports)) as pool:
        return list(pool.map(ask, ports))


def _all_ports() -> list[str]:
    """Those that programs share, and the others that there are."""
    shared: list[str] = []
    with suppress(IcsortError):  # of the folder of sockets, without which a port can be opened or passed by
        shared = [name for name, _ in shared_ports()]
    known = {os.path.realpath(name) for name in shared}
    return shared + [e.device for e in list_ports.comports() if os.path.realpath(e.device) not in known]


def _none_found(reasons: Sequence[str]) -> str:
    tried = "; ".join(reasons) or "there is no serial port here"
    return f"no board was found ({tried}); connect one, or give --port, {PORT_VARIABLE} or port in icsort.toml"
