# SPDX-License-Identifier: Apache-2.0
"""What ends a command that holds a board armed: Ctrl-C, a termination, a terminal that goes away."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = ("SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGBREAK")  # of them, those that the system has


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Whether a signal asked for the end: the block ends in its own time, between two events, and disarms.

    A terminal that hung up takes no more output. What `nohup` started goes on.
    """
    received: list[int] = []
    terminals = [stream for stream in (1, 2) if os.isatty(stream)]

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)
        if number == getattr(signal, "SIGHUP", None):
            for stream in terminals:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)

    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    hangup = getattr(signal, "SIGHUP", None)
    numbers = [n for n in numbers if n != hangup or signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
