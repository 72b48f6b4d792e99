# SPDX-License-Identifier: Apache-2.0
"""When an event is decided, from a build's predicted cycles: about so, and not exact."""

from dataclasses import dataclass
from typing import Final, Self

from icsort.formats.build import Build

FRONT_CYCLES: Final = 40  # from the last beat of a line to its pixel, or to what the trigger makes of it
POSTERIOR_CYCLES: Final = 23  # from the logits to the last of an event's values, beside 2 a class
GATE_CYCLES: Final = 16  # from there to the decision, beside one a test and one a gate
FEATURE_CYCLES: Final = 80  # from the last line to the last feature, about those of 3 channels


@dataclass(frozen=True)
class Latency:
    """Cycles of a build. line: beats of a line; network: from an accepted event's last beat to its decision; behind:
    from an ended event's last beat to there; gate: for which an event is in the gate engine."""

    line: int
    network: int
    behind: int
    gate: int

    @classmethod
    def of(cls, build: Build, tests_and_gates: int) -> Self:
        """With a gate set of so many tests and gates."""
        engine = tests_and_gates + GATE_CYCLES
        gate = 2 * len(build.manifest.classes) + POSTERIOR_CYCLES + engine
        return cls(
            line=build.line_beats,
            network=build.net_latency_cycles + FRONT_CYCLES + gate,
            behind=FRONT_CYCLES + (FEATURE_CYCLES if build.features else 0) + engine,
            gate=gate,
        )

    def decided(self, read: int, ended: int) -> int:
        """Cycle of the decision of an event whose window is read from cycle `read` on and of which the last line began
        in `ended`."""
        return max(read + self.network, ended + self.line + self.behind)
