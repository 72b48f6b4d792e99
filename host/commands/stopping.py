# SPDX-License-Identifier: Apache-2.0
"""What ends a command that holds a board armed: Ctrl-C, a termination, a terminal that goes away."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

SIGNALS = ("SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGBREAK")  # of them, those that the system has
ASKED = ("SIGINT", "SIGTERM")  # how a command that goes on until it is stopped is stopped
SIGNALLED = 128  # exit codes of what a signal ended begin here, as in shells


class Stopped:
    """Whether a signal asked for the end."""

    def __init__(self) -> None:
        self.received: list[int] = []

    def __call__(self) -> bool:
        return bool(self.received)

    def end(self) -> None:
        """At the end of the command: a terminal that went away, or a Ctrl-\\, is no end that somebody planned."""
        unplanned = [number for number in self.received if signal.Signals(number).name not in ASKED]
        if unplanned:
            sys.exit(SIGNALLED + unplanned[0])


@contextlib.contextmanager
def stop_signals() -> Iterator[Stopped]:
    """What says whether a signal asked for the end: the block ends in its own time, between two events, and disarms.

    A terminal that hung up takes no more output. What `nohup` started goes on.
    """
    stopped = Stopped()
    terminals = [stream for stream in (1, 2) if os.isatty(stream)]

    def note(number: int, _: FrameType | None) -> None:
        stopped.received.append(number)
        if number == getattr(signal, "SIGHUP", None):
            for stream in terminals:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)

    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    hangup = getattr(signal, "SIGHUP", None)
    numbers = [n for n in numbers if n != hangup or signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
