# SPDX-License-Identifier: Apache-2.0
"""A sorter for asyncio: nothing blocks the loop, nothing is lost without a count, and what is cancelled ends whole."""

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import icsort
from icsort.errors import IcsortError
from icsort.formats.package import Manifest
from icsort.host import async_sorter
from icsort.host.link.protocol import EventRecord
from icsort.host.link.transport import PortGoneError
from icsort.host.session import connect, stop
from icsort.host.sorter import Sorter
from tests.host.fake_board import ACCEPTED, FakeBoard


@pytest.fixture(autouse=True)
def _runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="icsort-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.delenv("ICSORT_PORT", raising=False)
        yield


async def take(events: async_sorter.EventStream, count: int) -> list[int]:
    """Numbers of the next so many events."""
    numbers: list[int] = []
    async for message in events:
        if isinstance(message, EventRecord):
            numbers.append(message.event_id)
        if len(numbers) == count:
            break
    return numbers


def put(board: FakeBoard, *numbers: int) -> None:
    board.put(b"".join(board.event(number) for number in numbers))


async def armed(sorting: async_sorter.AsyncSorter, model: Manifest, heartbeat: float = 2.0) -> None:
    await sorting.call(Sorter.set_gate, ["S"], 0.5, model)
    await sorting.call(Sorter.arm, model, heartbeat=heartbeat)


def test_two_listeners_and_calls_beside_them(board: FakeBoard, model: Manifest) -> None:
    async def main() -> None:
        async with icsort.connect_async(board.port) as sorting:
            assert sorting.port == board.port
            with sorting.events() as first, sorting.events() as second:
                await armed(sorting, model, heartbeat=0.3)
                listening = asyncio.gather(take(first, 2000), take(second, 2000))
                sending = asyncio.to_thread(put, board, *range(2000))
                identities = await asyncio.gather(sending, *(sorting.call(Sorter.identify) for _ in range(5)))
                assert {identity.model_id for identity in identities[1:]} == {model.model_id}
                assert await listening == [[*range(2000)]] * 2
                assert (first.dropped, second.dropped) == (0, 0)
            await asyncio.sleep(1.0)  # the heartbeat is kept where nobody listens, too
            assert board.armed
            with pytest.raises(IcsortError, match="class"):
                await sorting.call(Sorter.set_gate, ["none"], 0.5, model)
        assert not board.armed
        with pytest.raises(IcsortError, match="is closed; connect again"):
            await sorting.call(Sorter.status)
        with pytest.raises(IcsortError, match="is entered once; connect again"):
            await sorting.__aenter__()
        with pytest.raises(IcsortError, match="is used within its `async with`"):
            await icsort.connect_async(board.port).call(Sorter.status)

    asyncio.run(main())


def test_what_a_slow_listener_has_no_room_for_is_counted(board: FakeBoard) -> None:
    """The others wait for nobody, and the loop is free meanwhile."""

    async def main() -> None:
        async with icsort.connect_async(board.port) as sorting:
            with sorting.events(room=100) as slow, sorting.events() as quick:
                await asyncio.to_thread(put, board, *range(500))
                assert await take(quick, 500) == [*range(500)]
                assert slow.dropped == 400
                assert await take(slow, 100) == [*range(100)]
                put(board, 500)
                assert await take(slow, 1) == [500]
                assert (slow.dropped, quick.dropped) == (400, 0)
                assert (await sorting.call(lambda sorter: sorter.losses.events)) == 0

    asyncio.run(main())


def test_a_listener_that_is_cancelled_loses_nothing(board: FakeBoard) -> None:
    async def main() -> None:
        async with icsort.connect_async(board.port) as sorting:
            with sorting.events() as events:
                for begin in range(0, 100, 10):
                    waiting = asyncio.create_task(take(events, 1000))
                    await asyncio.sleep(0.01)
                    waiting.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await waiting
                    put(board, *range(begin, begin + 10))
                    assert await take(events, 10) == [*range(begin, begin + 10)]
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(take(events, 1), 0.05)
                put(board, 100)
                assert await take(events, 1) == [100]

    asyncio.run(main())


def test_a_call_that_is_cancelled(board: FakeBoard, model: Manifest) -> None:
    """One that waits is not begun, one that has begun goes on, and the next one finds all in order."""
    begun, go_on, late = threading.Event(), threading.Event(), threading.Event()

    def long(sorter: Sorter) -> int:
        begun.set()
        go_on.wait(10)
        return sorter.read("CLOCK_HZ")

    async def main() -> None:
        async with icsort.connect_async(board.port) as sorting:
            running = asyncio.create_task(sorting.call(long))
            waiting = asyncio.create_task(sorting.call(lambda _: late.set()))
            await asyncio.to_thread(begun.wait, 10)
            for task in (running, waiting):
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            go_on.set()
            assert (await sorting.call(Sorter.identify)).model_id == model.model_id
            assert not late.is_set()

    asyncio.run(main())


def test_cancelled_while_armed(board: FakeBoard, model: Manifest) -> None:
    """Whatever the task is in the middle of: the board is disarmed and the port free when the block has ended."""

    async def sort(stage: str) -> None:
        async with icsort.connect_async(board.port) as sorting:
            if stage == "opened":
                await asyncio.sleep(60)
            await armed(sorting, model, heartbeat=20.0)
            with sorting.events() as events:
                await take(events, 1)

    async def main() -> None:
        for stage, seconds in (("opening", 0.0), ("opening", 0.01), ("opened", 0.2), ("armed", None)):
            task = asyncio.create_task(sort(stage))
            if seconds is None:
                while not board.armed:
                    await asyncio.sleep(0.01)
            else:
                await asyncio.sleep(seconds)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            limit = time.monotonic() + 5
            while True:  # a connection that was under way closes in its own time
                with await asyncio.to_thread(connect, board.port) as sorter:
                    if sorter.owns_port:
                        break
                assert time.monotonic() < limit
            assert not sorter.found_armed
        assert not board.armed

    asyncio.run(main())


def test_disarm_waits_for_no_call(board: FakeBoard, model: Manifest) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def long(_: Sorter) -> None:
        begun.set()
        go_on.wait(30)

    async def main() -> None:
        async with icsort.connect_async(board.port) as sorting:
            await armed(sorting, model, heartbeat=6.0)
            with sorting.events() as events:
                running = asyncio.create_task(sorting.call(long))
                await asyncio.to_thread(begun.wait, 10)
                await asyncio.wait_for(sorting.disarm(), 15)
                assert not board.armed
                go_on.set()
                await running
                with pytest.raises(IcsortError, match="stopped it; arm again when it may sort"):
                    await take(events, 1)
            await armed(sorting, model)  # asked for anew
            assert board.armed
            with sorting.events() as events:
                put(board, 7)
                assert await take(events, 1) == [7]

    asyncio.run(main())


def test_a_lost_port_ends_every_stream_and_may_be_reconnected(tmp_path: Path, model: Manifest) -> None:
    link = tmp_path / "board"

    async def main() -> None:
        with FakeBoard(model.model_id, model.network_id) as board:
            link.symlink_to(board.port)
            async with icsort.connect_async(str(link)) as sorting:
                await sorting.call(Sorter.counters)
                with sorting.events() as first, sorting.events() as second:
                    put(board, *range(3))
                    assert await take(first, 3) == [0, 1, 2]
                    await asyncio.to_thread(board.unplug)
                    assert await take(second, 3) == [0, 1, 2]  # what had come is still there
                    for events in (first, second):
                        for _ in range(2):
                            with pytest.raises(PortGoneError, match="the port is gone"):
                                await take(events, 1)
                with sorting.events() as events, pytest.raises(PortGoneError):
                    await take(events, 1)
                with pytest.raises(PortGoneError):
                    await sorting.call(Sorter.status)
                with FakeBoard(model.model_id, model.network_id) as again:
                    again.counters[ACCEPTED] += 5
                    link.unlink()
                    link.symlink_to(again.port)
                    gap = await sorting.call(Sorter.reconnect, 10)
                    assert gap is not None
                    assert gap.counts["ACCEPTED"] == 5
                    with sorting.events() as events:
                        put(again, 7)
                        assert await take(events, 1) == [7]

    asyncio.run(main())


def test_a_port_that_is_none() -> None:
    async def main() -> None:
        async with icsort.connect_async("/dev/ttyNONE"):
            raise AssertionError

    for _ in range(2):
        with pytest.raises(IcsortError, match="there is no such port"):
            asyncio.run(main())


def test_disarm_without_local_sockets(board: FakeBoard, model: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: behind the call that is under way."""
    for module in ("icsort.host.session", "icsort.host.link.shared", "icsort.host.async_sorter"):
        monkeypatch.setattr(f"{module}.SHARES", False)

    async def main() -> None:
        async with icsort.connect_async(board.port) as sorting:
            await armed(sorting, model)
            await sorting.disarm()
            assert not board.armed

    asyncio.run(main())


def test_whoever_is_outside_may_disarm(board: FakeBoard, model: Manifest) -> None:
    async def main() -> None:
        async with icsort.connect_async(board.port) as sorting:
            await armed(sorting, model)
            with sorting.events() as events:
                await asyncio.to_thread(stop, board.port)
                with pytest.raises(IcsortError, match="stopped it; arm again"):
                    await take(events, 1)

    asyncio.run(main())
