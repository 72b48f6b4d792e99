# SPDX-License-Identifier: Apache-2.0
"""The gate set that is drawn on the page: read from a file, previewed on the last events, put in force and saved."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from icsort.errors import IcsortError
from icsort.formats.fcs import parameter_name
from icsort.formats.recording import Recording, posterior
from icsort.host.page.kept import Kept

if TYPE_CHECKING:
    from icsort.formats.compile_gate import Compiled
    from icsort.formats.gate_set import GateSet
    from icsort.formats.package import Manifest
    from icsort.formats.page_request import Drawn
    from icsort.host.sorter import Gate

EVENTS: Final = 20_000
"""The last ones, which a preview is of: more would keep who draws waiting."""


class GateDesk:
    """One gate set for all browsers.

    path, file: of its file, which need not be there yet, and its name; None: it can be drawn and previewed, but not
    committed. features:
    whether the board's build has them. put: puts a set in force; None where there is no board. revision: of the set,
    one more with each commit. Raises IcsortError for a file that is none, or not of this model.
    """

    def __init__(
        self,
        path: Path | None,
        manifest: "Manifest",
        clock_hz: int,
        features: bool,
        put: "Callable[[GateSet], Gate] | None",
    ) -> None:
        from icsort.formats.compile_gate import board_values
        from icsort.formats.gate_set import load, order

        self.path = path
        self.file = path.name if path is not None else None
        self.revision = 0
        self._manifest = manifest
        self._features = features
        self._board = board_values(manifest, clock_hz, features)
        self._put = put
        self._order = order
        self._lock = threading.Lock()
        self._gates = load(path) if path is not None and path.exists() else None
        self._identity = self._compiled(self._gates).identity if self._gates else None

    @property
    def gates(self) -> "GateSet | None":
        """As it was read or committed last; None before there is one."""
        return self._gates

    def names(self, identity: str) -> tuple[str, ...]:
        """Names of the gates of the set that has this identity, in the order of records; none where it is another."""
        gates = self._gates
        if gates is None or identity != self._identity:
            return ()
        return tuple(gate.name for gate in self._order(gates.gates))

    def to_json(self) -> dict[str, Any]:
        """For a page: the set, and what gates may name."""
        with self._lock:
            return {
                "gates": self._gates.to_json() if self._gates else None,
                "identity": self._identity,
                "revision": self.revision,
                "file": self.file,
                "board": self._put is not None,
            }

    def axis(self, name: str) -> dict[str, Any] | None:
        """How a gate names the value of a recording that has this name; None where none may."""
        for value in self._board.values:
            if parameter_name(value) == parameter_name(name):
                return {"value": value}
        for one in self._manifest.classes:
            if parameter_name(posterior(one)) == parameter_name(name):
                return {"classes": [one]}
        return None

    def preview(self, drawn: "Drawn", kept: Kept) -> dict[str, Any]:
        """What the gate engine makes of the last events with this set. Raises IcsortError where it cannot hold it, with
        the reason."""
        from icsort.formats.gate_set import to_toml
        from icsort.host.preview import preview

        compiled = self._compiled(drawn.gates)
        document: dict[str, Any] = {
            "identity": compiled.identity,
            "changes": list(compiled.changes),
            "toml": to_toml(drawn.gates),
            "events": 0,
        }
        last = kept.last(EVENTS)
        if not last.events:
            return document
        seen = preview(drawn.gates, [Recording(last, self._manifest)], self._manifest, self._features)
        return document | {
            "events": seen.events,
            "left_out": seen.left_out,
            "ambiguous": seen.ambiguous,
            "changed": seen.changed,
            "gates": {name: vars(counted) for name, counted in seen.gates.items()},
            "directions": {
                str(output): {"gate": seen.gate_of[output], **vars(counted)}
                for output, counted in seen.directions.items()
            },
        }

    def commit(self, drawn: "Drawn") -> dict[str, Any]:
        """Put the set in force, where there is a board, and save it. Raises IcsortError where it is not in force, which
        leaves file and board as they were, or in force and not saved, which it says."""
        from icsort.formats.document import replace
        from icsort.formats.gate_set import to_toml

        with self._lock:
            if self.path is None:
                raise IcsortError("no file was named for the gates; start `icsort serve --page` with --gates FILE")
            if drawn.revision != self.revision:
                raise IcsortError("another browser has committed gates meanwhile; load those, and draw again")
            compiled = self._compiled(drawn.gates)
            gate = self._put(drawn.gates) if self._put is not None else None
            self._gates, self._identity = drawn.gates, compiled.identity
            self.revision += 1
            try:
                replace(self.path, to_toml(drawn.gates))
            except OSError as error:
                where = "in force" if gate else "held by this page"
                raise IcsortError(f"{self.path}: cannot be written ({error.strerror}); the set is {where}") from None
        return {"identity": compiled.identity, "serial": gate.serial if gate else None, "revision": self.revision}

    def _compiled(self, gates: "GateSet") -> "Compiled":
        from icsort.formats.compile_gate import compile_gate

        return compile_gate(gates, self._board)
