# SPDX-License-Identifier: Apache-2.0
"""A sorter for asyncio: a thread has it, does what is asked for one at a time, and gives events to all who listen."""

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Concatenate, Final, ParamSpec, TypeVar

from icsort.errors import IcsortError
from icsort.host.link.protocol import Message
from icsort.host.link.shared import SHARES
from icsort.host.session import stop
from icsort.host.sorter import Sorter

ROOM: Final = 100_000
"""Messages that wait for who listens: 3 s at 30,000 events a second."""
P = ParamSpec("P")
R = TypeVar("R")


class EventStream:
    """What one listener receives, from the `with` on to its end: `async for message in stream`.

    room: messages that wait at most. dropped: messages that came while so many waited, and were left out; the events
    among them are those that `Sorter.losses` counts as received. Ends by the error that ended the events: a
    PortGoneError, or an IcsortError of a board that is not armed any more.
    """

    def __init__(self, listeners: "list[EventStream]", room: int, begin: Callable[[], None]) -> None:
        self.dropped = 0
        self._listeners = listeners
        self._room = room
        self._begin = begin
        self._waiting: deque[Message] = deque()
        self._error: Exception | None = None
        self._lock = threading.Lock()
        self._told = False  # that something waits
        self._something = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> "EventStream":
        self._listeners.append(self)
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ValueError):  # ended by an error
            self._listeners.remove(self)

    def __aiter__(self) -> "EventStream":
        return self

    async def __anext__(self) -> Message:
        while True:
            with self._lock:
                if self._waiting:
                    return self._waiting.popleft()
                if self._error is not None:
                    raise self._error
                self._told = False
                self._something.clear()
            await self._something.wait()

    def put(self, message: Message) -> None:
        """From the sorter's thread."""
        with self._lock:
            if len(self._waiting) >= self._room:
                self.dropped += 1
                return
            self._waiting.append(message)
            told, self._told = self._told, True
        if not told:
            self._tell()

    def end(self, error: Exception) -> None:
        """From the sorter's thread."""
        with self._lock:
            self._error = error
        self._tell()

    def _tell(self) -> None:
        with contextlib.suppress(RuntimeError):  # of a loop that has ended
            self._loop.call_soon_threadsafe(self._something.set)


class AsyncSorter:
    """A `Sorter` in a thread of its own, for `async with`; its end disarms what was armed and gives the port back.

    connect: opens it. Raises IcsortError as that does.
    """

    def __init__(self, connect: Callable[[], Sorter]) -> None:
        self._connect = connect
        self._listeners: list[EventStream] = []
        self._calls: queue.SimpleQueue[Callable[[Sorter], None] | None] = queue.SimpleQueue()
        self._opened: Future[Sorter] = Future()
        self._closed: Future[None] = Future()
        for begun in (self._opened, self._closed):  # who waits for them may be cancelled, they go on
            begun.set_running_or_notify_cancel()
        self._begun = self._closing = False

    async def __aenter__(self) -> "AsyncSorter":
        if self._begun:
            raise IcsortError("a sorter for asyncio is entered once; connect again")
        self._begun = True
        threading.Thread(target=self._work, name="icsort sorter", daemon=True).start()
        try:
            self._sorter = await asyncio.wrap_future(self._opened)
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        await asyncio.wrap_future(self._closed)

    @property
    def port(self) -> str:
        """Name of the port."""
        return self._sorter.port

    async def call(self, method: Callable[Concatenate[Sorter, P], R], /, *words: P.args, **options: P.kwargs) -> R:
        """What a method of the sorter returns: `await board.call(Sorter.set_gate, ["S"], 0.9, manifest)`.

        Calls are done one after the other, between two messages. One that is cancelled is not begun; one that has begun
        goes on, and nobody hears its result.
        """
        result: Future[R] = Future()

        def act(sorter: Sorter) -> None:
            if result.set_running_or_notify_cancel():
                try:
                    result.set_result(method(sorter, *words, **options))
                except BaseException as error:
                    result.set_exception(error)

        if not self._begun:
            raise IcsortError("a sorter for asyncio is used within its `async with`")
        if self._closing:
            raise _closed(self.port)
        self._calls.put(act)
        return await asyncio.wrap_future(result)

    async def disarm(self) -> None:
        """Stop sorting at once, ahead of whatever call is under way (`icsort.host.session.stop`): who armed has to arm
        anew. Goes on where it is cancelled. Raises as that does."""
        if SHARES:
            await asyncio.shield(asyncio.to_thread(stop, self.port))
        else:
            await asyncio.shield(self.call(Sorter.disarm))

    def events(self, room: int = ROOM) -> EventStream:
        """Events, amendments, statistics and pieces of images from now on, each to every listener; nobody waits for one
        that is slow, which has `room` messages of its own and a count of those that were too many."""
        return EventStream(self._listeners, room, lambda: self._calls.put(None))

    def _close(self) -> None:
        self._closing = True
        self._calls.put(None)

    # In the thread that has the sorter

    def _work(self) -> None:
        try:
            sorter = self._connect()
        except BaseException as error:
            self._opened.set_exception(error)
            self._closed.set_result(None)
            return
        self._opened.set_result(sorter)
        while not self._closing:
            try:
                self._listen(sorter)
            except Exception as error:
                self._end(error)
                self._do(sorter, self._calls.get())  # until somebody asks for something, as to reconnect
        while not self._calls.empty():  # who waits for them still hears of them
            self._do(sorter, self._calls.get())
        self._end(_closed(sorter.port))
        try:
            sorter.close()
        except BaseException as error:
            self._closed.set_exception(error)
        else:
            self._closed.set_result(None)

    def _end(self, error: Exception) -> None:
        for listener in tuple(self._listeners):
            listener.end(error)
            with contextlib.suppress(ValueError):  # it has just gone by itself
                self._listeners.remove(listener)

    def _listen(self, sorter: Sorter) -> None:
        """Also where nobody listens: it keeps the heartbeat of what was armed here."""
        for message in sorter.events():
            if message is not None:
                for listener in tuple(self._listeners):
                    listener.put(message)
            while not self._calls.empty():
                self._do(sorter, self._calls.get())
            if self._closing:
                return

    @staticmethod
    def _do(sorter: Sorter, act: Callable[[Sorter], None] | None) -> None:
        if act is not None:
            act(sorter)


def _closed(port: str) -> IcsortError:
    return IcsortError(f"{port}: is closed; connect again")
