# SPDX-License-Identifier: Apache-2.0
"""Arming for a browser: two steps of one browser, and a thread that keeps the heartbeat for as long as that one asks.

A browser that is closed, sleeps or loses its network asks no more, and the board is disarmed.
"""

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from icsort.errors import IcsortError

if TYPE_CHECKING:
    from icsort.host.page.state import Acts
    from icsort.host.sorter import Sorter

STEP_SECONDS: Final = 10.0
"""Between the two steps, at most."""
ABSENT_SECONDS: Final = 3.0
"""Without a question of the browser that armed, after which the board is disarmed."""
END_SECONDS: Final = 5.0


@dataclass(frozen=True)
class _Step:
    """The first step. gate_set: identity of the one in force then."""

    ticket: str
    who: str
    moment: float
    gate_set: str


class Arming:
    """What one run of `icsort serve` may arm with.

    schedule: in words. connect: the board, as a program of its own. arm: arms it with that schedule, unless what it is
    given says that it was stopped meanwhile; raises IcsortError as Sorter.arm. acts: the log.
    """

    def __init__(
        self,
        schedule: str,
        connect: "Callable[[], Sorter]",
        arm: "Callable[[Sorter, Callable[[], bool]], None]",
        acts: "Acts",
    ) -> None:
        self.schedule = schedule
        self._connect = connect
        self._arm = arm
        self._acts = acts
        self._lock = threading.Lock()
        self._step: _Step | None = None
        self._seen: dict[str, float] = {}
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def see(self, who: str) -> None:
        """That browser is there and asks."""
        self._seen[who] = time.monotonic()

    def ask(self, who: str) -> dict[str, Any]:
        """The first step: what would be armed, and the ticket of the second one. Raises IcsortError where no gate is
        set, or the board cannot be asked."""
        with self._connect() as sorter:
            gate_set = _gate_set(sorter)
        with self._lock:
            self._step = _Step(secrets.token_urlsafe(16), who, time.monotonic(), gate_set)
            return {
                "ticket": self._step.ticket,
                "seconds": STEP_SECONDS,
                "schedule": self.schedule,
                "gate_set": gate_set,
            }

    def arm(self, ticket: str, who: str) -> None:
        """The second step; returns once the board is armed. Raises IcsortError where it is not: another browser's step,
        or too late, or another gate set since, or as Sorter.arm."""
        with self._lock:
            step, self._step = self._step, None
            if step is None or step.who != who or not secrets.compare_digest(step.ticket.encode(), ticket.encode()):
                raise IcsortError("not armed: that step is none of this page any more; begin again with Arm")
            if time.monotonic() - step.moment > STEP_SECONDS:
                raise IcsortError(f"not armed: more than {STEP_SECONDS:g} s have passed; begin again with Arm")
            if self._thread is not None and self._thread.is_alive():
                raise IcsortError("not armed: this page has armed the board already; disarm it first")
            armed: Future[None] = Future()
            self._stop = threading.Event()
            self._thread = threading.Thread(
                target=self._hold, args=(step, armed, self._stop), name="icsort arming", daemon=True
            )
            self._thread.start()
        armed.result()

    def stop(self) -> None:
        """Whoever wants to stop: what is under way is armed no more, and no step is left. Waits for no board."""
        with self._lock:  # else a second step that begins in this moment would be missed
            self._step = None
            self._stop.set()

    def close(self) -> None:
        """The server ends: what it armed is disarmed."""
        self.stop()
        if self._thread is not None:
            self._thread.join(END_SECONDS)

    def _hold(self, step: _Step, armed: "Future[None]", stop: threading.Event) -> None:
        try:
            with self._connect() as sorter:  # disarms at its end
                _check(sorter, step)
                self._arm(sorter, stop.is_set)
                _check(sorter, step)  # nobody changes it while it is armed
                self._acts.add(step.who, f"armed: {self.schedule}; gate set {step.gate_set}", grave=True)
                armed.set_result(None)
                for _ in sorter.events():
                    if stop.is_set():
                        break
                    if time.monotonic() - self._seen.get(step.who, 0.0) > ABSENT_SECONDS:
                        self._acts.add(step.who, "is silent; what it armed is disarmed", grave=True)
                        break
                sorter.disarm()
        except Exception as error:
            if armed.done():
                self._acts.add(step.who, str(error), grave=True)
            else:
                self._acts.add(step.who, f"not armed: {error}", grave=True)
                armed.set_exception(error)


def _gate_set(sorter: "Sorter") -> str:
    if not sorter.status().gate_valid:
        raise IcsortError("no gate is set: commit a gate set first")
    return sorter.gate().identity


def _check(sorter: "Sorter", step: _Step) -> None:
    if _gate_set(sorter) != step.gate_set:
        raise IcsortError("not armed: the gate set has changed since; begin again with Arm")
