# SPDX-License-Identifier: Apache-2.0
"""A port that several programs use: one at a time arms, each may disarm, and no loss of the link goes unnoticed."""

import contextlib
import json
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError, UnconfirmedError
from icsort.formats import gate_set
from icsort.formats.package import Manifest
from icsort.formats.schedule import Schedule
from icsort.host import session
from icsort.host.commands.snapshot import ImagesBeside
from icsort.host.link import owner, shared, transport
from icsort.host.link.owner import PortOwner
from icsort.host.link.protocol import EventRecord, ImageReason
from icsort.host.link.transport import BAUDS, RARE_BAUDS, PortGoneError, RateError, SerialTransport
from icsort.host.session import connect, stop
from icsort.host.sorter import Sorter, disarm_past
from icsort.sim.bit_true.framing import MessageType
from tests.host import fake_board
from tests.host.fake_board import ACCEPTED, DISARM, FakeBoard

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sockets of this test alone; their paths may not be long."""
    with tempfile.TemporaryDirectory(prefix="icsort-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.delenv("ICSORT_PORT", raising=False)
        yield


@pytest.fixture
def holder(board: FakeBoard) -> Iterator[Sorter]:
    """The program that has the port."""
    with contextlib.suppress(IcsortError), connect(board.port, timeout=0.3) as sorter:
        yield sorter


@pytest.fixture
def other(holder: Sorter) -> Iterator[Sorter]:
    """Another one, through it."""
    with contextlib.suppress(IcsortError), connect(holder.port, timeout=0.3) as sorter:
        assert not sorter.owns_port
        yield sorter


def armed(board: FakeBoard, sorter: Sorter, model: Manifest, heartbeat: float = 2.0) -> None:
    sorter.set_gate(["S"], 0.5, model)
    sorter.arm(model, heartbeat=heartbeat)
    assert board.armed


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.01)


def test_requests_of_several_programs_do_not_mix(board: FakeBoard, holder: Sorter, model: Manifest) -> None:
    """What is chosen by one register and read by another belongs together, and every answer reaches who asked."""
    holder.set_gate(["S", "M"], 0.25, model)
    problems: list[BaseException] = []
    events: list[int] = []

    def use(number: int) -> None:
        try:
            with connect(board.port, timeout=0.5) as sorter:
                for _ in range(6):
                    in_force = sorter.gate()
                    assert (in_force.mask, in_force.posterior) == (0b110, 2**14)
                    assert sorter.counters()["MISSED"] == 100 + 0x84
                    assert sorter.write("LINE_TIMEOUT", number) in range(4)
                    assert sorter.identify().model_id == model.model_id
        except BaseException as error:
            problems.append(error)

    def put() -> None:
        for number in range(200):
            board.put(board.event(number))
            time.sleep(0.002)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    threads.append(threading.Thread(target=put))
    for thread in threads:
        thread.start()
    events = [event.event_id for event in holder.events(count=200) if isinstance(event, EventRecord)]
    for thread in threads:
        thread.join()
    assert problems == []
    assert events == list(range(200))
    assert (holder.losses.events, holder.losses.bad_frames) == (0, 0)


def test_everybody_receives_events(board: FakeBoard, holder: Sorter, other: Sorter) -> None:
    board.put(b"".join(board.event(number) for number in range(5)))
    for sorter in (holder, other):
        assert [event.event_id for event in sorter.events(count=5) if isinstance(event, EventRecord)] == [*range(5)]
    other.listen_only_to(MessageType.STATISTICS)
    board.put(board.event(5) + board.statistics(3, 10**8, {}) + board.event(6))
    (kept,) = [message for message in other.events(idle=1.0) if message]
    assert kept.number == 3
    assert len([message for message in holder.events(idle=0.2) if message]) == 3


def test_who_wants_fewer_events_leaves_out_some_and_nothing_else(
    board: FakeBoard, holder: Sorter, other: Sorter
) -> None:
    """The others get all of them."""
    other.listen_only_to(MessageType.EVENT, MessageType.STATISTICS, events=200)
    time.sleep(0.5)  # a quarter of that at once, after a pause
    board.put(b"".join(board.event(number) for number in range(400)) + board.statistics(3, 10**8, {}))
    messages = [message for message in other.events(idle=1.0) if message]
    events = [message.event_id for message in messages if isinstance(message, EventRecord)]
    assert 50 <= len(events) < 200
    assert events[:50] == list(range(50))
    assert len(messages) == len(events) + 1
    assert sum(isinstance(message, EventRecord) for message in holder.events(count=400)) == 400


def test_one_arms_and_nobody_else_changes_what_it_sorts_by(
    board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest
) -> None:
    armed(board, other, model)
    in_force = dict(board.in_force)
    acts: list[Callable[[], object]] = [
        lambda: holder.arm(model),
        lambda: holder.arm_test(Schedule()),
        holder.claim,
    ]
    for act in acts:
        with pytest.raises(IcsortError, match=r"\(process \d+\) has armed the board or is about to, and one at a time"):
            act()
    refused: list[Callable[[], object]] = [
        lambda: holder.set_gate(["M"], 0.1, model),
        lambda: holder.set_front(model),
        lambda: holder.write("HEARTBEAT", 0),
        lambda: holder.write("ARM", 1),
        holder.clear_faults,
        lambda: holder.set_record(features=True),
    ]
    for act in refused:
        with pytest.raises(IcsortError, match=r"has armed the board, [A-Z_]+ stays as it is; `icsort disarm` first"):
            act()
    assert board.armed
    assert board.in_force == in_force
    holder.set_record(features=False)  # as it is: nothing is written
    holder.set_statistics(0.5)
    assert holder.gate().mask == 0b10
    assert holder.schedule() == other.schedule()
    other.disarm()
    armed(board, holder, model)  # its turn now


def test_everybody_may_disarm_and_it_stays(board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest) -> None:
    for armer, stopper in ((holder, other), (other, holder)):
        armed(board, armer, model)
        stopper.disarm()
        assert not board.armed
        with pytest.raises(IcsortError, match=r"not armed: .*\(process \d+\) stopped it; arm again when it may sort"):
            list(armer.events(idle=2))
        for _ in range(3):  # nothing but `arm`, asked for anew, arms
            with pytest.raises(IcsortError, match="was disarmed meanwhile; arm again when it may sort"):
                armer.write("ARM", 1)
        assert not board.armed
        armer.arm(model)
        assert board.armed
        armer.disarm()


@pytest.mark.parametrize("at", [fake_board.FRONT_COMMIT, fake_board.SCHEDULE_COMMIT, fake_board.HEARTBEAT])
def test_a_disarm_while_another_one_is_about_to_arm_wins(
    board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest, at: int
) -> None:
    holder.set_gate(["S"], 0.5, model)
    disarmed: list[threading.Thread] = []

    def disarm_now() -> None:
        request = board.requests[-1]
        if request[0] == 2 and int.from_bytes(request[2:4], "little") == at and not disarmed:
            disarmed.append(threading.Thread(target=other.disarm))
            disarmed[0].start()
            time.sleep(0.1)  # it is in the owner's hands before this request is answered

    board.on_request = disarm_now
    with pytest.raises(IcsortError, match="it was disarmed meanwhile; arm again when it may sort"):
        holder.arm(model)
    disarmed[0].join()
    assert not board.armed
    board.on_request = lambda: None
    holder.arm(model)
    assert board.armed


def test_a_disarm_while_the_turn_is_waited_for_wins(
    board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest
) -> None:
    """Arming waits for another program's turn, which ends as it began; somebody disarms meanwhile."""
    acts: list[Callable[[], object]] = [lambda: other.arm(model), lambda: other.arm_test(Schedule())]
    for act in acts:
        said: list[str] = []

        def arm(act: Callable[[], object] = act, said: list[str] = said) -> None:
            try:
                act()
            except IcsortError as error:
                said.append(str(error))

        arming = threading.Thread(target=arm)
        own = holder._transport
        assert isinstance(own, owner._OwnTransport)
        with holder.turn():
            arming.start()
            wait_for(lambda own=own: bool(own.port_owner._turns))  # type: ignore[misc]
            holder.set_gate(["S"], 0.5, model)
            stop(board.port)
        arming.join()
        assert not board.armed
        assert not board.registers[fake_board.STATUS] & fake_board.TESTING
        assert "it was disarmed meanwhile; arm again when it may sort" in "".join(said)
    other.arm(model)
    assert board.armed


def test_arming_that_is_refused_leaves_who_armed_as_it_was(
    board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest
) -> None:
    """Its next disarm ends its leave, so that another one may arm."""
    armed(board, other, model)
    with pytest.raises(IcsortError, match="the folder is build 1"):
        other.arm(model, build_id="1")
    assert board.armed
    other.disarm()
    holder.arm(model)
    assert board.armed


def test_a_disarm_waits_for_nobody(
    board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for the turn of another program, nor for a request that the board does not answer."""
    armed(board, holder, model)
    with holder.turn():
        begun = time.monotonic()
        assert other.write("DISARM", 1) == 0
        assert time.monotonic() - begun < 2
        assert not board.armed
    holder.arm(model)
    monkeypatch.setattr(owner, "ANSWER_SECONDS", 2.0)
    holder._timeout = 2.0
    board.damage = ["drop"]  # the answer to this one, which is asked for again in 2 s
    asking = threading.Thread(target=lambda: holder.read("CLOCK_HZ"), daemon=True)
    asking.start()
    wait_for(lambda: not board.damage)
    stopping = threading.Thread(target=lambda: stop(board.port))
    begun = time.monotonic()
    stopping.start()
    wait_for(lambda: not board.armed)
    assert time.monotonic() - begun < 1.5
    stopping.join()
    asking.join()


def test_a_disarm_is_repeated_until_it_is_confirmed(
    board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest
) -> None:
    armed(board, holder, model)
    board.forgets = {DISARM}
    stopping = threading.Thread(target=other.disarm)
    board.damage = ["drop"] * 3
    stopping.start()
    wait_for(lambda: not board.damage)
    board.forgets = set()
    stopping.join()
    assert not board.armed
    assert other.retries == 0  # by the owner, in much less than a timeout each


def test_the_end_of_who_armed_disarms(board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest) -> None:
    """Also an end without a word, as `kill -9` makes it, however lively the others are."""
    armed(board, other, model)
    transport = other._transport
    assert isinstance(transport, shared.SharedTransport)
    transport._end.close()
    wait_for(lambda: not board.armed)
    assert holder.status().disarmed_by.name == "HOST"
    holder.arm(model)


def test_the_end_of_who_is_about_to_arm_anew_disarms(
    board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest
) -> None:
    """Between the leave that it asked for and the disarm that arming begins with."""
    armed(board, other, model)
    other.claim()
    assert holder.status().armed
    transport = other._transport
    assert isinstance(transport, shared.SharedTransport)
    transport._end.close()
    wait_for(lambda: not board.armed)


def test_a_disarm_behind_a_claim_is_no_matter_of_the_past(
    board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest
) -> None:
    """Who prepares to arm, and only then arms, does not where somebody disarmed in between; asked for anew it does."""
    other.set_gate(["S"], 0.5, model)
    other.claim()
    other.disarm()  # its own, as arming begins with
    holder.disarm()
    for arm in (lambda: other.arm(model), lambda: other.arm_test(Schedule())):
        with pytest.raises(IcsortError, match="it was disarmed meanwhile; arm again when it may sort"):
            arm()
        assert not board.armed
        other.claim()
        stop(board.port)
    other.claim()
    other.disarm()
    other.arm(model)
    assert board.armed


def test_a_disarm_past_the_owner_counts_as_well(
    board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest
) -> None:
    """Who finds no way through sends it past the program that has the port: nobody who was about to arm does."""
    for armer in (holder, other):
        armer.set_gate(["S"], 0.5, model)
        armer.claim()
        armer.disarm()  # its own, as arming begins with
        disarm_past(board.port)
        with pytest.raises(IcsortError, match="it was disarmed meanwhile; arm again when it may sort"):
            armer.arm(model)
        assert not board.armed
        time.sleep(0.5)  # all of its answers have come
        armer.arm(model)
        assert board.armed
        disarm_past(board.port)
        with pytest.raises(IcsortError, match=r"`icsort disarm`, past the program that has the port, stopped it"):
            list(armer.events(idle=20))
        time.sleep(0.5)


def test_a_disarm_past_the_owner_wins_over_an_arm_that_is_under_way(
    board: FakeBoard, holder: Sorter, model: Manifest
) -> None:
    """The board takes it first, then the ARM that the owner had sent before it heard of that."""
    holder.set_gate(["S"], 0.5, model)
    past: list[bytes] = []

    def disarm_first() -> None:
        request = board.requests[-1]
        if request[0] == 2 and int.from_bytes(request[2:4], "little") == fake_board.ARM and not past:
            past.append(request)
            board.put(board.frame(bytes([0x82, 0]) + DISARM.to_bytes(2, "little") + bytes(4)))

    board.on_request = disarm_first
    with contextlib.suppress(IcsortError):
        holder.arm(model, heartbeat=20.0)
    wait_for(lambda: bool(past) and not board.armed)


def test_late_answers_to_a_disarm_take_nothing_from_who_arms(board: FakeBoard, holder: Sorter, model: Manifest) -> None:
    """One that was repeated is answered more than once."""
    holder.set_gate(["S"], 0.5, model)

    def twice() -> None:
        board.damage = ["repeat"]

    board.on_request = twice
    for _ in range(2):
        holder.arm(model)
        assert board.armed


def test_a_disarm_is_tried_until_the_board_hears_it(
    board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that takes: nobody arms, or changes what is sorted by, until it is confirmed."""
    monkeypatch.setattr(owner, "STOP_SECONDS", 0.2)
    armed(board, other, model, heartbeat=20.0)
    before = board.registers[fake_board.HEARTBEAT]
    board.on_request = lambda: setattr(board, "deaf", board.requests[-1][2:4] == DISARM.to_bytes(2, "little"))
    transport = other._transport
    assert isinstance(transport, shared.SharedTransport)
    transport._end.close()  # killed

    def asked() -> bool:
        with contextlib.suppress(IcsortError):
            return holder.status().armed
        return False

    wait_for(lambda: board.deaf)
    wait_for(asked, 60)
    for act in (holder.claim, lambda: holder.write("HEARTBEAT", 1 << 31), lambda: holder.write("ARM", 1)):
        with pytest.raises(IcsortError, match="the board has not confirmed DISARM, which is tried on"):
            act()
    holder.set_statistics(0.5)
    assert board.registers[fake_board.HEARTBEAT] == before
    board.on_request = lambda: None
    board.deaf = False
    wait_for(lambda: not board.armed, 60)
    holder.status()  # behind it
    holder.arm(model)
    assert board.armed


def test_the_silence_of_who_armed_disarms(board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest) -> None:
    """The board hears the others' requests, so its own heartbeat does not end."""
    armed(board, other, model, heartbeat=0.2)
    begun = time.monotonic()
    while board.armed:
        holder.read("CLOCK_HZ")
        time.sleep(0.01)
    assert owner.LEAST_SILENCE <= time.monotonic() - begun < owner.LEAST_SILENCE + 4
    with pytest.raises(IcsortError, match="heard nothing from here, stopped it; arm again"):
        other.check_armed()


def test_who_keeps_asking_stays_armed(board: FakeBoard, other: Sorter, model: Manifest) -> None:
    armed(board, other, model, heartbeat=1.0)
    list(other.events(idle=1.5))
    assert board.armed


def test_the_end_of_the_owner_disarms_and_is_told(board: FakeBoard, model: Manifest) -> None:
    with connect(board.port, timeout=0.3) as holder:
        other = connect(board.port, timeout=0.3)
        armed(board, other, model)
        holder.close()
        assert not board.armed
        with pytest.raises(PortGoneError, match=r"\(process \d+\), which held the port, has ended; connect again"):
            list(other.events(idle=1))
        with connect(board.port) as again:
            assert again.owns_port
        with pytest.raises(IcsortError):
            other.close()


def test_a_turn_is_lost_by_who_does_nothing(
    board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "TURN_SILENCE", 0.2)
    with contextlib.ExitStack() as stack:
        stack.enter_context(holder.turn())
        holder.write("SCHEDULE_VIEW", 1)
        begun = time.monotonic()
        other.set_gate(["S"], 0.5, model)
        assert time.monotonic() - begun > 0.15
        assert board.registers[fake_board.SCHEDULE_VIEW] == 0  # as nobody leaves it
        monkeypatch.setattr(owner, "TURN_SILENCE", 5.0)
        with other.turn(), pytest.raises(IcsortError, match=r"it is the turn of .*; do it again"):
            holder.write("GATE_INDEX", 0)


OTHER_GATES = """
format = "icsort-gate-set"
version = 1
tests = [{name = "long", kind = "range", x = {value = "event length", min = 5.5}}]
gates = [{name = "sort", all = ["not long"]}]
directions = [{output = 1, gate = "sort"}]
"""


@pytest.mark.parametrize("at", [1, 3, 9, 14])
def test_a_lost_turn_mixes_no_gate_sets(
    holder: Sorter, other: Sorter, model: Manifest, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Who stalls in the middle of one does not go on with it behind somebody else's."""
    gates, whole = gate_set.parse(OTHER_GATES, "other"), other.write
    indices: list[int] = []

    def stalls(name: str, value: int) -> int:
        if name == "GATE_INDEX":
            indices.append(value)
            if len(indices) == at:
                monkeypatch.setattr(owner, "TURN_SILENCE", 0.2)
                wait_for(lambda: own.port_owner._turn is None)
                monkeypatch.setattr(owner, "TURN_SILENCE", 30.0)
                holder.set_gates(gates, model)
        return whole(name, value)

    own = holder._transport
    assert isinstance(own, owner._OwnTransport)
    monkeypatch.setattr(other, "write", stalls)
    with pytest.raises(IcsortError, match="and its turn is over; do it again from the start"):
        other.set_gate(["S", "M"], 0.25, model)
    holder.check_gates(gates, model)
    assert len(indices) == at
    other.disarm()
    assert other.set_gate(["S", "M"], 0.25, model).mask == 0b110  # again, in a turn of its own


def test_a_lost_turn_keeps_nobody_from_disarming(
    board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    armed(board, other, model, heartbeat=20.0)
    own = holder._transport
    assert isinstance(own, owner._OwnTransport)
    with other.turn():
        monkeypatch.setattr(owner, "TURN_SILENCE", 0.2)
        wait_for(lambda: own.port_owner._turn is None)
        with pytest.raises(IcsortError, match="and its turn is over"):  # it may be of what somebody else chose
            other.read("GATE_DATA")
        other.disarm()
        assert not board.armed
    other.read("GATE_DATA")


def test_garbage_of_a_program_reaches_no_board(board: FakeBoard, holder: Sorter, seed: int) -> None:
    draw = random.Random(seed)
    before = len(board.requests)
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(str(shared.socket_path(board.port)))
        for _ in range(200):
            end.sendall(draw.randbytes(draw.randrange(1, 300)) + b"\0")
        for message in ({"op": "what"}, {"op": "claim"}, {"op": "claim", "heartbeat": "x"}, {"op": "only", "kinds": 3}):
            end.sendall(shared.control(message))
        end.sendall(shared.encode(bytes([shared.CONTROL, 0]) + b"[1]"))
        end.sendall(shared.encode(bytes([2, 1])))  # a request without an address
        end.settimeout(2)
        assert b"not understood" in end.recv(10_000)
        assert holder.read("LINE_TIMEOUT") == 0
    assert [request for request in board.requests[before:] if request[0] != 1] == []
    assert len(board.requests) == before + 1


def test_sockets_are_their_owners(board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shared.runtime_folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    path = shared.socket_path(board.port)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))  # of a program that was killed
    with connect(board.port) as sorter:
        assert sorter.owns_port
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        link = folder.parent / "board"
        link.symlink_to(board.port)
        with connect(str(link)) as through:
            assert not through.owns_port
        monkeypatch.setattr(shared, "peer_user", lambda _: os.getuid() + 1)
        with pytest.raises(IcsortError, match="listens there and not you; remove it"):
            connect(board.port)
        monkeypatch.undo()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder.parent))
    assert not path.exists()
    folder.chmod(0o755)
    with pytest.raises(
        IcsortError, match=r"is not a folder that you alone may enter.*remove it, or set XDG_RUNTIME_DIR"
    ):
        connect(board.port)
    stop(board.port)  # to disarm needs no socket
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder.parent / ("x" * 100)))
    assert shared.runtime_folder().parent == Path(tempfile.gettempdir())


def test_other_users_are_not_let_in(board: FakeBoard, holder: Sorter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "peer_user", lambda _: os.getuid() + 1)
    with pytest.raises(IcsortError, match="busy, another program has it open"):
        connect(board.port)
    assert holder.read("LINE_TIMEOUT") == 0


def test_a_program_that_does_not_answer(board: FakeBoard, model: Manifest) -> None:
    """It is told of, and to disarm goes past it."""
    with Sorter.open(board.port) as sorter, socket.socket(socket.AF_UNIX) as hung:
        armed(board, sorter, model)
        hung.bind(str(shared.socket_path(board.port)))
        hung.listen()
        with pytest.raises(IcsortError, match="has the port open and does not answer; end that program"):
            connect(board.port)
        begun = time.monotonic()
        with pytest.raises(UnconfirmedError, match="sent past the program that has the port open"):
            stop(board.port)
        assert time.monotonic() - begun < 5
        assert not board.armed


def test_a_port_that_is_soon_free_is_waited_for(board: FakeBoard) -> None:
    brief = SerialTransport(board.port)
    threading.Timer(0.5, brief.close).start()
    with connect(board.port) as sorter:
        assert sorter.owns_port


@contextlib.contextmanager
def replugged(port: Path, model: Manifest) -> Iterator[tuple[FakeBoard, Callable[[dict[int, int]], FakeBoard]]]:
    """A board behind a link, and what pulls it out and plugs one with these counters in its place."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(FakeBoard(model.model_id, model.network_id))
        port.symlink_to(first.port)

        def plug(counters: dict[int, int]) -> FakeBoard:
            first.unplug()
            second = FakeBoard(model.model_id, model.network_id)
            second.counters |= counters
            port.unlink()
            port.symlink_to(second.port)
            return stack.enter_context(second)

        yield first, plug


def test_a_gap_is_told_exactly(tmp_path: Path, model: Manifest) -> None:
    with replugged(tmp_path / "board", model) as (board, plug), connect(str(tmp_path / "board")) as sorter:
        other = connect(str(tmp_path / "board"), timeout=0.3)
        armed(board, sorter, model)
        board.put(board.event(7))
        assert [event.event_id for event in sorter.events(count=1) if event] == [7]
        sorter.counters()
        again = plug({ACCEPTED: 100 + ACCEPTED + 41, 0x88: 100 + 0x88 + 5})
        with pytest.raises(PortGoneError, match="the port is gone"):
            list(sorter.events())
        with pytest.raises(PortGoneError, match="the port is gone"):
            list(other.events())
        gap = sorter.reconnect(5)
        assert gap is not None
        assert (gap.restarted, gap.seconds) == (False, 0.0)
        assert {name: count for name, count in gap.counts.items() if count} == {"ACCEPTED": 41, "SORTED": 5}
        assert gap.text() == "meanwhile, in 0.000 s of its clock: 41 accepted, 5 sorted"
        assert not again.armed  # nothing arms by itself
        again.event_seq = 200
        again.put(again.event(60))
        assert [event.event_id for event in sorter.events(count=1) if event] == [60]
        assert (sorter.losses.events, sorter.losses.restarts) == (52, 0)
        assert other.reconnect(5) is not None
        assert other.owner == sorter.owner
        other.close()


def test_a_restart_is_noticed(tmp_path: Path, model: Manifest) -> None:
    with replugged(tmp_path / "board", model) as (board, plug), connect(str(tmp_path / "board")) as sorter:
        board.put(board.statistics(5, 2**40, {ACCEPTED: 1000}))
        list(sorter.events(idle=0.1))
        plug({ACCEPTED: 3})
        with pytest.raises(PortGoneError):
            list(sorter.events())
        gap = sorter.reconnect(5)
        assert gap is not None
        assert gap.restarted
        assert gap.counts["ACCEPTED"] == 3
        assert gap.text().startswith("the board was reset meanwhile; since then, in 42.950 s of its clock: 3 accepted")
        sorter._reopen = None
        with pytest.raises(IcsortError, match="is not opened again"):
            sorter.reconnect()
    with (
        Sorter.open(FakeBoard(model.model_id, model.network_id).__enter__().port) as alone,
        pytest.raises(IcsortError, match="not opened"),
    ):
        alone.reconnect()


def test_another_board_in_its_place(tmp_path: Path, model: Manifest) -> None:
    with replugged(tmp_path / "board", model) as (_, plug), connect(str(tmp_path / "board")) as sorter:
        sorter.identify()
        plug({}).registers[fake_board.BUILD_ID] ^= 1
        with pytest.raises(PortGoneError):
            list(sorter.events())
        with pytest.raises(IcsortError, match="answers there now, it was 0123456789abcdef; begin anew"):
            sorter.reconnect(5)


def test_a_board_that_does_not_come_back(board: FakeBoard, holder: Sorter) -> None:
    board.unplug()
    with pytest.raises(PortGoneError):
        list(holder.events())
    with pytest.raises(IcsortError, match="there is no such port"):
        holder.reconnect(0.3)
    assert holder.reconnect(stopped=lambda: True) is None


def found(monkeypatch: pytest.MonkeyPatch, *ports: str) -> None:
    monkeypatch.setattr(session.list_ports, "comports", lambda: [SimpleNamespace(device=port) for port in ports])


def test_search_over_all_ports(
    board: FakeBoard, model: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    noisy, deaf = FakeBoard(model.model_id, model.network_id), FakeBoard(model.model_id, model.network_id)
    noisy.deaf = deaf.deaf = True
    noisy.chatter = b"[INFO] boot ok\r\n"
    found(monkeypatch)
    with pytest.raises(IcsortError, match=r"no board was found \(there is no serial port here\); connect one, or give"):
        connect()
    with pytest.raises(IcsortError, match=r"no board was found \(there is no serial port here\)"):
        stop()
    with noisy, deaf:
        found(monkeypatch, noisy.port, deaf.port, "/dev/ttyNONE")
        begun = time.monotonic()
        with pytest.raises(IcsortError) as refusal:
            connect()
        assert time.monotonic() - begun < 6
        assert f"{noisy.port}: " in str(refusal.value)
        assert "bytes arrived but no frame of an icsort board" in str(refusal.value)
        assert f"{deaf.port}: no answer" in str(refusal.value)
        assert "/dev/ttyNONE: there is no such port" in str(refusal.value)
        found(monkeypatch, noisy.port, board.port)
        with connect() as sorter:
            assert sorter.port == board.port
            assert next(iter(shared.shared_ports()))[0] == board.port
            with connect() as through:
                assert through.owner == sorter.owner
    with FakeBoard(model.model_id, model.network_id) as second:
        found(monkeypatch, second.port, board.port)
        with pytest.raises(IcsortError, match=r"boards answer at several ports, .*; say which one with --port"):
            connect()
        for each in (board, second):
            each.registers[fake_board.STATUS] |= fake_board.ARMED
        stop()  # in doubt all of them
        assert not board.armed
        assert not second.armed


def test_the_ports_of_this_machine(
    board: FakeBoard, holder: Sorter, model: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is at each, or why none is; and of a bridge that keeps bytes, for how long and where that is said."""
    monkeypatch.setattr(transport, "TTY_FOLDER", tmp_path)
    with FakeBoard(model.model_id, model.network_id) as deaf:
        deaf.deaf = True
        (tmp_path / Path(deaf.port).name / "device").mkdir(parents=True)
        latency = tmp_path / Path(deaf.port).name / "device" / "latency_timer"
        latency.write_text("16\n")
        entries = [
            SimpleNamespace(device=board.port, description="USB <-> Serial", hwid="USB VID:PID=0403:6014"),
            SimpleNamespace(device=deaf.port, description="n/a", hwid="n/a"),
        ]
        monkeypatch.setattr(session.list_ports, "comports", lambda: entries)
        findings = {finding.port: finding for finding in session.survey(timeout=0.1)}
        result = CliRunner().invoke(app, ["ports", "--timeout", "0.1"])
    of_board, of_deaf = findings[board.port], findings[deaf.port]
    assert (of_board.build_id, of_board.owner) == ("0123456789abcdef", holder.owner)
    assert (of_board.device, of_board.reason, of_board.latency_ms) == ("USB <-> Serial", None, None)
    assert (of_deaf.device, of_deaf.build_id, of_deaf.latency_ms) == (None, None, 16)
    assert of_deaf.reason is not None
    assert of_deaf.reason.startswith("no answer to requests at 12000000")
    assert of_deaf.latency_file == str(latency)
    assert result.exit_code == 0
    assert "build 0123456789abcdef, through" in result.output
    assert f"keeps answers for 16 ms, and may not be told otherwise; echo 1 | sudo tee {latency}" in result.stderr
    monkeypatch.setattr(session.list_ports, "comports", list)
    holder.close()
    assert session.survey() == []
    assert "there is no serial port here" in CliRunner().invoke(app, ["ports"]).output


@pytest.mark.parametrize("bauds", [[4_000_000], None])
def test_noise_is_told_within_three_seconds(board: FakeBoard, bauds: list[int] | None) -> None:
    board.deaf, board.chatter = True, b"[INFO] boot ok, temp 31.2C\r\n"
    begun = time.monotonic()
    with pytest.raises(IcsortError, match=r"bytes arrived but no frame of an icsort board.*the wrong --baud"):
        connect(board.port, bauds=bauds)
    assert time.monotonic() - begun < 3


def test_where_the_port_is_said(board: FakeBoard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    lab = tmp_path / "icsort.toml"
    lab.write_text(f'port = "{board.port}"\nbaud = 4000000\n')
    connect().close()
    monkeypatch.setenv("ICSORT_PORT", "/dev/ttyENV")
    with pytest.raises(IcsortError, match="/dev/ttyENV: there is no such port"):
        connect()
    with pytest.raises(IcsortError, match="/dev/ttyARG: there is no such port"):
        connect("/dev/ttyARG")
    monkeypatch.delenv("ICSORT_PORT")
    for content, problem in (
        ('prot = "/dev/ttyUSB0"', r"icsort\.toml: unknown key prot; docs/session\.md says"),
        ("port = 3", r"icsort\.toml: port is 3: it must be a valid string"),
        ("port = ", r"icsort\.toml: not a TOML file \("),
        ("baud = 0", r"icsort\.toml: baud is 0"),
    ):
        lab.write_text(content)
        with pytest.raises(IcsortError, match=problem):
            connect()


@pytest.mark.parametrize(
    "content", ['baud = "8M"', 'port = "/dev/ttyNONE"\nbaud = "8M"', "port = ", 'prot = "x"', "\xff", None]
)
def test_a_stop_does_without_what_is_wrong_with_the_settings(
    board: FakeBoard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    """The port that is given, that of the environment, or all there are, at the usual rates; and it is told."""
    monkeypatch.chdir(tmp_path)
    if content is None:
        (tmp_path / "icsort.toml").mkdir()
    else:
        (tmp_path / "icsort.toml").write_bytes(content.encode("latin-1"))
    found(monkeypatch, board.port)
    told: list[str] = []
    for port, environment in ((board.port, ""), (None, board.port), (None, "")):
        monkeypatch.setenv("ICSORT_PORT", environment)
        board.registers[fake_board.STATUS] |= fake_board.ARMED
        stop(port, told=told.append)
        assert not board.armed
    if content == 'baud = "8M"':
        (tmp_path / "icsort.toml").write_text(f'port = "{board.port}"\n{content}')
        found(monkeypatch)  # as a virtual board, which is in no list
        board.registers[fake_board.STATUS] |= fake_board.ARMED
        stop(told=told.append)
        assert not board.armed
    assert len(told) >= 3
    assert all("icsort.toml" in line and "; disarmed without it, " in line for line in told)


@pytest.mark.parametrize("held", [False, True])
def test_a_stop_does_without_the_folder_of_sockets(
    board: FakeBoard, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    """Where it can neither be made nor entered all ports are tried, also past a program that has one."""
    found(monkeypatch, board.port)
    with contextlib.ExitStack() as stack:
        if held:
            stack.enter_context(connect(board.port))
        monkeypatch.setenv("XDG_RUNTIME_DIR", "/proc/nothing")
        board.registers[fake_board.STATUS] |= fake_board.ARMED
        with pytest.raises(UnconfirmedError) if held else contextlib.nullcontext():
            stop()
        wait_for(lambda: not board.armed)


def mute(board: FakeBoard) -> None:
    """It hears everything, and none of its answers comes through."""
    board.damage = ["drop"] * 10_000


@pytest.mark.quick(4)
@pytest.mark.parametrize("noise", [b"", b"[INFO] boot ok\r\n" * 50], ids=["silence", "noise"])
@pytest.mark.parametrize("rate", [None, *reversed(BAUDS), *RARE_BAUDS])
def test_a_board_that_cannot_be_heard_is_stopped(
    board: FakeBoard, monkeypatch: pytest.MonkeyPatch, rate: int | None, noise: bytes
) -> None:
    """Whatever rate it was built for, and whatever floods the port: who asked is told that nobody has confirmed it."""
    set_to: list[int] = [0]
    monkeypatch.setattr(SerialTransport, "baud", property(lambda _: set_to[-1], lambda _, baud: set_to.append(baud)))
    if rate is not None:
        board.on_request = lambda: setattr(board, "deaf", set_to[-1] != rate)
    found(monkeypatch, board.port)
    board.chatter = noise
    for port, bauds in ((board.port, (115_200,)), (None, None)):
        mute(board)
        board.registers[fake_board.STATUS] |= fake_board.ARMED
        begun = time.monotonic()
        with pytest.raises(UnconfirmedError, match="nobody has confirmed it: open the interlock, or switch the sorter"):
            stop(port, bauds=bauds, timeout=0.1)
        assert not board.armed
        assert time.monotonic() - begun < 6


def test_boards_have_rates_that_are_tried() -> None:
    """The virtual one has no rate: a pseudo-terminal is as fast as it is."""
    boards = {path.parent.name: json.loads(path.read_text()) for path in (REPOSITORY / "boards").glob("*/board.json")}
    assert len(boards) > 3
    assert {board["baud"] for name, board in boards.items() if name != "virtual"} <= set(BAUDS)


def test_a_stop_passes_over_rates_that_the_port_does_not_make(
    board: FakeBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: SerialTransport, baud: int) -> None:
        if baud > 1_000_000:
            raise RateError(f"{baud} is not made")

    monkeypatch.setattr(SerialTransport, "baud", property(lambda _: 0, refuse))
    for confirmed in (True, False):
        if not confirmed:
            mute(board)
        board.registers[fake_board.STATUS] |= fake_board.ARMED
        with contextlib.nullcontext() if confirmed else pytest.raises(UnconfirmedError):
            stop(board.port)
        assert not board.armed


def test_a_board_that_stays_armed_is_told(board: FakeBoard) -> None:
    board.registers[fake_board.STATUS] |= fake_board.ARMED
    board.forgets = {DISARM}
    with pytest.raises(UnconfirmedError, match=r"the board stays armed; switch the sorter off; .* open the interlock"):
        stop(board.port)
    with pytest.raises(IcsortError, match="the board stays armed; switch the sorter off"):
        connect(board.port)  # whoever takes the port answers for it
    board.forgets = set()
    stop(board.port)
    assert not board.armed


def test_a_program_that_is_about_to_share_its_port_is_waited_for(board: FakeBoard, model: Manifest) -> None:
    """It may have begun to arm before others can reach it: its answer confirms that it does not."""
    with Sorter.open(board.port) as sorter:
        armed(board, sorter, model)
        share = threading.Timer(
            0.8, lambda: sorter.share(lambda port: PortOwner(port, shared.socket_path(board.port)).local())
        )
        share.start()
        stop(board.port)
        share.join()
        assert not board.armed


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("state", [fake_board.ARMED, fake_board.TESTING])
def test_who_takes_the_port_of_a_program_that_was_killed_disarms(board: FakeBoard, state: int, share: bool) -> None:
    """Each of its requests would keep alive what nobody answers for."""
    board.registers[fake_board.STATUS] |= state | fake_board.GATE_VALID
    with connect(board.port, share=share) as sorter:
        assert not board.registers[fake_board.STATUS] & state
        assert sorter.found_armed
    with connect(board.port, share=share) as sorter:
        assert not sorter.found_armed


def test_a_killed_program_arms_no_longer_than_until_the_next_one(board: FakeBoard) -> None:
    """However long the heartbeat is, and though it had let others through."""
    code = (
        "import sys, time; from icsort.host.session import connect; from tests.host.recordings import example\n"
        "sorter = connect(sys.argv[1]); sorter.set_gate(['S'], 0.5, example()); sorter.arm(example(), heartbeat=40)\n"
        "print('armed', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, board.port], stdout=subprocess.PIPE, cwd=REPOSITORY)
    assert process.stdout is not None
    assert process.stdout.readline() == b"armed\n"
    with connect(board.port) as other:
        assert (other.owns_port, other.found_armed) == (False, False)
        assert other.status().armed
        process.kill()
        process.wait()
        process.stdout.close()
        assert board.armed
        with pytest.raises(PortGoneError):
            list(other.events())
        assert other.reconnect(10) is not None
        assert other.found_armed
        assert not board.armed


def test_a_cable_that_is_back_before_the_heartbeat_ends_arms_nothing(tmp_path: Path, model: Manifest) -> None:
    with replugged(tmp_path / "board", model) as (board, plug), connect(str(tmp_path / "board")) as sorter:
        armed(board, sorter, model, heartbeat=40.0)
        again = plug({})
        again.registers[fake_board.STATUS] |= fake_board.ARMED
        with pytest.raises(PortGoneError, match="the port is gone"):
            list(sorter.events())
        assert sorter.reconnect(5) is not None
        assert sorter.found_armed
        assert not again.armed


@pytest.mark.parametrize("act", ["sorter.arm(example(), heartbeat=40)", "sorter.arm_test(Schedule(), heartbeat=40)"])
def test_the_end_of_a_program_that_closes_nothing_disarms(board: FakeBoard, act: str) -> None:
    code = (
        "import sys; from icsort.host.session import connect; from tests.host.recordings import example\n"
        "from icsort.formats.schedule import Schedule\n"
        f"sorter = connect(sys.argv[1]); sorter.set_gate(['S'], 0.5, example()); {act}; {act}\n"
        "status = sorter.status(); assert status.armed or status.testing"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, board.port], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not board.registers[fake_board.STATUS] & (fake_board.ARMED | fake_board.TESTING)


def test_disarm_warns_of_what_it_did_without(board: FakeBoard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "icsort.toml").write_text('baud = "8M"')
    board.registers[fake_board.STATUS] |= fake_board.ARMED
    done = subprocess.run(
        [sys.executable, "-m", "icsort", "disarm", "--port", board.port],
        text=True, capture_output=True, check=False, env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "disarmed\n")
    assert "icsort.toml: baud is 8M" in done.stderr.replace("\n", " ").replace("'", "")
    assert not board.armed


def test_without_local_sockets(board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: a port has one program."""
    for module in (session, shared):
        monkeypatch.setattr(module, "SHARES", False)
    with connect(board.port) as sorter:
        assert sorter.owner is None
        assert sorter.owns_port
        with pytest.raises(IcsortError, match="busy, another program has it open"):
            connect(board.port)
        sorter.claim()
        sorter.release()
        sorter.listen_only_to(MessageType.STATISTICS)


def test_a_slow_program_costs_the_others_nothing(
    board: FakeBoard, holder: Sorter, other: Sorter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does not read is dropped for it, and it sees how much."""
    monkeypatch.setattr(owner, "BACKLOG_BYTES", 1000)
    frames = [board.event(number) for number in range(8000)]
    for first in range(0, 8000, 40):
        board.put(b"".join(frames[first : first + 40]))
        got = [event for event in holder.events(count=40) if event]
        assert len(got) == 40
    assert holder.losses.events == 0
    received = [event for event in other.events(idle=1.0) if event]
    assert len(received) < 8000
    board.put(board.event(8000))
    list(other.events(count=1))
    assert other.losses.events == 8000 - len(received)


def test_images_are_of_one_program_at_a_time(board: FakeBoard, holder: Sorter, other: Sorter, tmp_path: Path) -> None:
    """Another one's rule is not replaced, nor ended; one event's image may be asked for beside it."""
    mine = ImagesBeside(tmp_path / "mine", other, None, (ImageReason.EVERY, 3))
    rule = 3 << 8 | ImageReason.EVERY
    assert board.registers[fake_board.IMAGE_RULE] == rule
    with pytest.raises(
        IcsortError, match=r"the images that .*\(process \d+\) asked for, by one rule at a time; end that"
    ):
        ImagesBeside(tmp_path / "theirs", holder, None, (ImageReason.GATE, 1))
    assert not (tmp_path / "theirs").exists()
    single, by_rule = (
        start("snapshot", "--port", board.port, "--idle", "0.2", "--out", str(tmp_path / f"single{len(words)}"), *words)
        for words in ((), ("--every", "1"))
    )
    assert "no image came" in single.communicate(timeout=60)[1]
    assert "by one rule at a time" in by_rule.communicate(timeout=60)[1]
    requested = fake_board.IMAGE_REQUEST.to_bytes(2, "little")
    assert [request[0] for request in board.requests if request[2:4] == requested] == [2]
    assert board.registers[fake_board.IMAGE_RULE] == rule
    holder.set_images(ImageReason.EVERY, 7)  # it knows what it does
    mine.end()
    assert board.registers[fake_board.IMAGE_RULE] == 7 << 8 | ImageReason.EVERY


def test_the_end_of_who_had_images_sent_ends_them(
    board: FakeBoard, holder: Sorter, other: Sorter, tmp_path: Path
) -> None:
    """Also an end without a word; and what was there before anybody came is nobody's."""
    board.registers[fake_board.IMAGE_RULE] = 9 << 8 | ImageReason.EVERY
    ImagesBeside(tmp_path / "a", other, None, (ImageReason.EVERY, 3))
    transport = other._transport
    assert isinstance(transport, shared.SharedTransport)
    transport._end.close()
    wait_for(lambda: not board.registers[fake_board.IMAGE_RULE])
    own = ImagesBeside(tmp_path / "b", holder, None, (ImageReason.GATE, 1))
    assert board.registers[fake_board.IMAGE_RULE] == 1 << 8 | ImageReason.GATE
    own.end()
    assert not board.registers[fake_board.IMAGE_RULE]


def start(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "icsort", *words],
        cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def line_of(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    return dict(json.loads(process.stdout.readline()))


def test_serve_and_watch_through_a_pulled_cable(tmp_path: Path, model: Manifest) -> None:
    port = tmp_path / "board"
    with replugged(port, model) as (board, plug):
        serve = start("serve", "--port", str(port), "--json")
        assert line_of(serve)["build_id"] == "0123456789abcdef"
        second = start("serve", "--port", str(port))
        _, errors = second.communicate(timeout=20)
        assert second.returncode == 2
        assert "icsort serve (process " in errors
        assert "holds it already" in errors
        watch = start("watch", "--port", str(port), "--json", "--reconnect", "--count", "2")
        with connect(str(port)) as sorter:
            assert sorter.owner == f"icsort serve (process {serve.pid})"
            transport = sorter._transport
            assert isinstance(transport, shared.SharedTransport)
            wait_for(lambda: "icsort watch" in transport.ask("programs")["programs"])
            time.sleep(0.3)
        board.put(board.event(3))
        assert line_of(watch)["event"] == 3
        again = plug({ACCEPTED: 100 + ACCEPTED + 41, 0x88: 100 + 0x88 + 5})
        assert "the port is gone" in line_of(serve)["lost"]
        back = line_of(serve)
        assert back["restarted"] is False
        assert {name: count for name, count in back["counts"].items() if count} == {"ACCEPTED": 41, "SORTED": 5}
        with connect(str(port)) as sorter:
            transport = sorter._transport
            assert isinstance(transport, shared.SharedTransport)
            wait_for(lambda: "icsort watch" in transport.ask("programs")["programs"])
            time.sleep(0.3)
        again.put(again.event(9))
        assert line_of(watch)["event"] == 9
        summary, warnings = watch.communicate(timeout=20)
        assert json.loads(summary.splitlines()[-1])["summary"]["lost_events"] == 5
        assert "waiting for it" in warnings
        assert "back; " in warnings
        again.put(again.statistics(900, 2**40, {}) + again.statistics(1, 2**20, {}))
        assert line_of(serve) == {"restarted": True}
        serve.send_signal(signal.SIGINT)
        assert serve.communicate(timeout=20)[1] == ""
        assert (serve.returncode, watch.returncode) == (0, 0)


def test_disarm_is_not_a_matter_of_luck(board: FakeBoard, holder: Sorter, other: Sorter, model: Manifest) -> None:
    """One program arms again and again as fast as it can, one disarms: it is never armed behind that."""
    holder.set_gate(["S"], 0.5, model)
    done = threading.Event()

    def arm_on() -> None:
        while not done.is_set():
            with contextlib.suppress(IcsortError):
                holder.write("ARM", 1)  # without asking for leave first

    with contextlib.suppress(IcsortError):
        holder.arm(model)
    arming = threading.Thread(target=arm_on)
    arming.start()
    other.disarm()
    for _ in range(50):
        assert not board.armed
        time.sleep(0.005)
    done.set()
    arming.join()


def test_a_recording_beside_a_sort_takes_records_as_they_are(
    board: FakeBoard, holder: Sorter, model: Manifest, package: Path, tmp_path: Path
) -> None:
    """The sort goes on as it was armed; what insists on other records is refused."""
    armed(board, holder, model)
    board.registers[fake_board.GATE_VALUES] = 20
    words = (
        "record",
        str(tmp_path / "a.fcs"),
        "--port",
        board.port,
        "--model",
        str(package),
        "--idle",
        "0.2",
        "--json",
    )
    kept, insists = start(*words), start(*words, "--features")
    for _ in holder.events():  # alive as long as they are
        if kept.poll() is not None and insists.poll() is not None:
            break
    assert kept.communicate(timeout=20)[0].splitlines()[-1].startswith('{"files"')
    assert "RECORD_FIELDS stays as it is; `icsort disarm` first" in insists.communicate(timeout=20)[1]
    assert board.registers[fake_board.RECORD_FIELDS] == 0b1011
    assert board.armed


def test_a_holder_that_ends_while_it_is_joined(board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes in that moment opens the port as if it had come a moment later."""
    first, check = connect(board.port), Sorter.check_protocol

    def ends(sorter: Sorter) -> None:
        monkeypatch.setattr(Sorter, "check_protocol", check)
        first.close()
        check(sorter)

    monkeypatch.setattr(Sorter, "check_protocol", ends)
    with connect(board.port) as second:
        assert second.owns_port
