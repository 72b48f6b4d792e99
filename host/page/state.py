# SPDX-License-Identifier: Apache-2.0
"""What the page shows: taken in by the one thread that hears the board, or plays a recording; told to any.

Nothing here waits for a browser. Who asks gets the state of that moment, however long ago it asked last.
"""

import base64
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from icsort.errors import IcsortError
from icsort.formats.event_record import Group
from icsort.formats.fcs import Parameter
from icsort.formats.recording import CLASS, EVENT, GATES, OUTCOME, TIMING, Layout, posterior
from icsort.host.images import Image, ImageAssembler
from icsort.host.link.protocol import EventRecord, ImagePiece, Message, Statistics
from icsort.host.page import view as views
from icsort.host.page.kept import Kept, Last
from icsort.host.recorder import EventRows
from icsort.host.sorter import DisarmedBy
from icsort.host.statistics import ABORTS, StatisticsLog
from icsort.sim.bit_true.event_flag import EventFlag
from icsort.sim.bit_true.scheduler import Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from icsort.formats.package import Manifest
    from icsort.formats.page_request import View
    from icsort.host.sorter import Gap, Gate

BATCH: Final = 512
"""Events that are made rows together, or as many as came in BATCH_SECONDS."""
BATCH_SECONDS: Final = 0.05
STALE_SECONDS: Final = 3.0
"""Without a frame of statistics, after which nobody knows whether the board is armed."""
POINTS: Final = 1800
"""Of the curves of rates."""
ACTS: Final = 500
IMAGES: Final = 24
IMAGE_SECONDS: Final = 1.0
"""In which the record of an image comes, or was lost."""
LATENCIES: Final = 10_000
"""Events whose latencies are told."""
QUANTILES: Final = (0.5, 0.99, 1.0)
DECISIONS: Final = tuple(parameter.name for parameter in TIMING[1:])


class Acts:
    """Log of what was done, by whom and when; each is told to `say` as well."""

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque(maxlen=ACTS)
        self._number = 0

    def add(self, who: str, what: str, grave: bool = False) -> None:
        """grave: stands out."""
        with self._lock:
            self._number += 1
            moment = datetime.now().astimezone().isoformat(timespec="milliseconds")
            entry = {"number": self._number, "time": moment, "who": who, "what": what, "grave": grave}
            self._entries.append(entry)
        self._say(entry)

    def since(self, number: int) -> list[dict[str, Any]]:
        """Those behind the one of this number, oldest first."""
        with self._lock:
            return [entry for entry in self._entries if entry["number"] > number]


class PageState:
    """What is known of a board, or of a recording that is played.

    name: of the port or file. replay: there is no board. set_up: changes with what `set_up_json` says. gate: in force;
    None before it is known. asks_gate: another one is in force than `gate`, so that the board is to be asked.
    """

    def __init__(self, manifest: "Manifest", layout: Layout, name: str, acts: Acts, replay: bool = False) -> None:
        self.manifest = manifest
        self.clock_hz = layout.clock_hz
        self.name = name
        self.replay = replay
        self.acts = acts
        self.set_up = 0
        self.board: dict[str, Any] = {}
        self.armed_by: str | None = None
        self.gate: Gate | None = None
        self.gate_names: tuple[str, ...] = ()
        self.asks_gate = False
        self.progress: tuple[int, int] | None = None  # of a recording that is played
        self._lock = threading.Lock()
        self._statistics = StatisticsLog(layout.clock_hz)
        self._told = 0.0  # when the last frame of statistics came
        self._state: dict[str, int] = {}
        self._faults: tuple[str, ...] = ()
        self._lost: str | None = None
        self._points: deque[dict[str, Any]] = deque(maxlen=POINTS)
        self._point = 0
        self._classes: Counter[int] = Counter()
        self._images: deque[tuple[int, float, Image]] = deque(maxlen=IMAGES)
        self._image = 0
        shape = manifest.input
        self._assembler = ImageAssembler(shape.height * shape.width * shape.channels)
        self._pending: list[EventRecord] = []
        self._handed = time.monotonic()
        self._newest = 0.0  # when the newest event came
        self.use(layout)

    def use(self, layout: Layout) -> None:
        """From here on, events have the columns of this layout; those kept so far go."""
        self._layout = layout
        self._rows = EventRows(layout)
        self.begin(layout.parameters, layout.keywords())

    def begin(self, parameters: tuple[Parameter, ...], keywords: dict[str, str]) -> None:
        """Keep events of these columns, none so far."""
        self.kept = Kept(parameters, keywords)
        self.set_up += 1

    # What the thread says that hears the board

    def see(self, message: Message | None) -> None:
        """Take what `Sorter.events` gives; None says that time passes."""
        if isinstance(message, EventRecord):
            self._pending.append(message)
            if len(self._pending) < BATCH:
                return
        elif isinstance(message, Statistics):
            self._see_statistics(message)
        elif isinstance(message, ImagePiece):
            image = self._assembler.see(message)
            if image is not None:
                with self._lock:
                    self._image += 1
                    self._images.append((self._image, time.monotonic(), image))
        if self._pending and (len(self._pending) >= BATCH or time.monotonic() - self._handed >= BATCH_SECONDS):
            self._hand()

    def see_rows(self, rows: "NDArray[Any]") -> None:
        """Take events of a recording, (E, P)."""
        import numpy as np

        self.kept.add(rows)
        names = [parameter.name for parameter in self.kept.parameters]
        counts = np.bincount(rows[:, names.index(CLASS)].astype(np.int64))
        with self._lock:
            self._classes.update({index: int(number) for index, number in enumerate(counts) if number})
            self._newest = time.time()

    def add_point(self, moment: float, rates: dict[str, Any]) -> None:
        """A point of the curves. moment: seconds since 1970. rates: events, sorted, aborts by cause, a second."""
        with self._lock:
            self._point += 1
            self._points.append({"number": self._point, "time": moment} | rates)

    def lost(self, why: str) -> None:
        """The port is gone."""
        with self._lock:
            self._lost, self._told = why, 0.0
            self._statistics = StatisticsLog(self.clock_hz)
        self.armed_by = None
        self.acts.add(self.name, f"{why}; what was armed disarms by its heartbeat", grave=True)

    def back(self, gap: "Gap") -> None:
        """The port is back."""
        with self._lock:
            self._lost = None
        self.asks_gate = True
        self.acts.add(self.name, f"back; {gap.text()}", grave=True)

    def found_gate(self, gate: "Gate", names: tuple[str, ...]) -> None:
        """The set that is in force now. names: of its gates, as far as they are known."""
        if self.gate is not None and gate.identity != self.gate.identity:
            self.acts.add(self.name, f"gate set {gate.identity} is in force")
        self.gate, self.gate_names, self.asks_gate = gate, names, False

    def _see_statistics(self, statistics: Statistics) -> None:
        with self._lock:
            before, faults = self._state, self._faults
            self._statistics.see(statistics)
            self._told = time.monotonic()
            self._state, self._faults = statistics.state, statistics.faults
            rates = self._statistics.rates
        if rates is not None:
            self.add_point(time.time(), rates.to_json())
        state = statistics.state
        for name, on in (("armed", "armed"), ("testing", "in test mode")):
            if state[name] and not before.get(name):
                self.acts.add(self.armed_by or "another program", f"the board is {on}", grave=True)
        if before and (before["armed"] or before["testing"]) and not (state["armed"] or state["testing"]):
            cause = DisarmedBy(state["disarmed_by"]).name.lower()
            self.acts.add(self.name, f"the board is disarmed, by its {cause}", grave=True)
        for fault in set(statistics.faults) - set(faults):
            self.acts.add(self.name, f"fault: {fault}", grave=True)
        for fault in set(faults) - set(statistics.faults):
            self.acts.add(self.name, f"fault cleared: {fault}")

    def _hand(self) -> None:
        """Make rows of the events that wait."""
        events, self._pending, self._handed = self._pending, [], time.monotonic()
        groups = self._groups(events)
        if groups != self._layout.groups:
            self.use(Layout(self.manifest, self.clock_hz, groups))
        if Group.FEATURES in groups:  # those before a change have none
            events = [one for one in events if one.features or EventFlag.FEATURELESS in one.flags]
        try:
            rows = self._rows.of(events)
        except IcsortError:  # their fields were changed among them: the next ones are all alike
            return
        serial = events[-1].timing.gate_serial if events[-1].timing else None
        if self.gate is not None and serial is not None and serial != self.gate.serial:
            self.asks_gate = True
        self.see_rows(rows)

    def _groups(self, events: list[EventRecord]) -> Group:
        """Of these events' records."""
        groups = Group.BASE
        last = events[-1]
        if last.timing is not None:
            groups |= Group.TIMING
        if last.logits is not None:
            groups |= Group.LOGITS
        # Events without features say nothing of the records of others.
        blind = all(EventFlag.FEATURELESS in event.flags for event in events)
        if any(event.features for event in events) or (blind and Group.FEATURES in self._layout.groups):
            groups |= Group.FEATURES
        return groups

    # What browsers are told

    def set_up_json(self) -> dict[str, Any]:
        """What changes seldom."""
        return {
            "set_up": self.set_up,
            "name": self.name,
            "replay": self.replay,
            "model": self.manifest.name,
            "model_id": self.manifest.model_id,
            "classes": [] if self.manifest.values else list(self.manifest.classes),
            "channels": list(self.manifest.channels),
            "height": self.manifest.input.height,
            "width": self.manifest.input.width,
            "clock_hz": self.clock_hz,
            "values": [{"name": parameter.name, "unit": parameter.unit} for parameter in self.kept.parameters],
            "board": self.board,
        }

    def live_json(self, view: "View") -> dict[str, Any]:
        """The state of this moment, and the plots that the view asks for. Raises nothing for a value that is not there:
        the plot says so."""
        events = self.kept.last()
        with self._lock:
            age = time.monotonic() - self._told if self._told else None
            document: dict[str, Any] = {
                "set_up": self.set_up,
                "time": time.time(),
                "newest": self._newest,
                "lost": self._lost,
                "progress": self.progress,
                "known": self.replay or (self._lost is None and age is not None and age < STALE_SECONDS),
                "age": age,
                "state": dict(self._state),
                "faults": list(self._faults),
                "counters": self._statistics.latest.counters if self._statistics.latest else {},
                "history": [point for point in self._points if point["number"] > view.history],
                "classes": [self._classes[index] for index in range(len(self.manifest.classes))],
            }
            images = [entry for entry in self._images if entry[0] > view.images]
        document |= {
            "armed_by": self.armed_by,
            "event": int(events.column(EVENT)[-1]) if events.events else None,
            "events": {"kept": events.events, "seen": self.kept.added},
            "outcomes": _outcomes(events),
            "latency": self._latency(events),
            "acts": self.acts.since(view.acts),
            "gate": vars(self.gate) if self.gate is not None else None,
            "gates": self._gates(events),
            "images": self._images_json(images, events),
        }
        chosen = views.Chosen(view.gate, self.gate.serial if self.gate is not None else None)
        for key, plot in (("density", _density), ("histogram", _histogram)):
            try:
                document[key] = plot(events, view, chosen) if events.events else None
            except IcsortError as error:
                document[key] = {"error": str(error)}
        return document

    def _latency(self, events: Last) -> dict[str, list[float]] | None:
        """Median, 99th percentile and most of the last events' latencies, us."""
        import numpy as np

        if not events.events or not all(map(events.has, DECISIONS)):
            return None
        us = 1e6 / self.clock_hz
        return {name: (np.quantile(events.column(name)[-LATENCIES:], QUANTILES) * us).tolist() for name in DECISIONS}

    def _gates(self, events: Last) -> list[dict[str, Any]]:
        """Events that each gate in force passed, as the board said, of those since it was put in force."""
        import numpy as np

        if not events.events or (self.gate is None and not self.replay):
            return []
        bits = events.column(GATES).astype(np.int64)
        if self.gate is not None and events.has(views.SERIAL):
            bits = bits[events.column(views.SERIAL) == self.gate.serial]
        number = self.gate.gates if self.gate is not None else int(bits.max(initial=0)).bit_length()
        names = self.gate_names if len(self.gate_names) == number else tuple(f"gate {index}" for index in range(number))
        return [
            {"name": name, "events": int((bits >> index & 1).sum()), "of": len(bits)}
            for index, name in enumerate(names)
        ]

    def _images_json(self, images: list[tuple[int, float, Image]], events: Last) -> list[dict[str, Any]]:
        """Images with what their records say, where those are among the events kept; not beyond one that may still get
        its record."""
        documents = []
        for number, came, image in images:
            document: dict[str, Any] = {
                "number": number,
                "event": image.event_id,
                "pixels": base64.b64encode(image.pixels).decode(),
                "class": None,
            }
            if events.events and len(found := (events.column(EVENT) == image.event_id).nonzero()[0]):
                at = found[-1]
                name = self.manifest.classes[int(events.column(CLASS)[at])]
                alone = posterior(name)  # of its class, where the records have logits; else of the gates' first set
                shown = float(events.column(alone if events.has(alone) else "posterior")[at])
                answer = f"{name} · {shown:.3f}"
                if self.manifest.values:
                    answer = f"{name} · {events.column(name)[at]:,.0f}" if events.has(name) else name
                document |= {
                    "class": name,
                    "answer": answer,
                    "outcome": Outcome(int(events.column(OUTCOME)[at])).name.lower(),
                    "gates": int(events.column(GATES)[at]),
                }
            elif time.monotonic() - came < IMAGE_SECONDS:
                break
            documents.append(document)
        return documents


def rates_of(outcomes: "NDArray[Any]", events: int, seconds: float) -> dict[str, Any]:
    """Rates of recorded events, as `Rates.to_json` names them. outcomes: of the events, (E,)."""
    import numpy as np

    counts = np.bincount(outcomes.astype(np.int64), minlength=len(Outcome))
    by_name = {outcome.name: int(counts[outcome]) / seconds for outcome in Outcome}
    return {
        "events": events / seconds,
        "sorted": by_name[Outcome.SORTED.name],
        "aborts": {name: rate for name, rate in by_name.items() if name in ABORTS and rate},
    }


def _outcomes(events: Last) -> dict[str, int]:
    """Events by how they ended, of those kept."""
    import numpy as np

    if not events.events:
        return {}
    counts = np.bincount(events.column(OUTCOME).astype(np.int64), minlength=len(Outcome))
    return {outcome.name.lower(): int(counts[outcome]) for outcome in Outcome if counts[outcome]}


def _density(events: Last, view: "View", chosen: views.Chosen) -> dict[str, Any] | None:
    return views.plot_json(events, view.x, view.y, chosen) if view.x and view.y else None


def _histogram(events: Last, view: "View", chosen: views.Chosen) -> dict[str, Any] | None:
    return views.histogram_json(events, view.single, chosen) if view.single else None
