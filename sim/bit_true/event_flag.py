# SPDX-License-Identifier: Apache-2.0
"""What is to be said of an event, in a module of its own: the host reads it and starts without NumPy."""

from enum import IntFlag


class EventFlag(IntFlag):
    """Bits as in icsort_pkg.sv and in the event record."""

    DOUBTFUL = 1
    OVERLONG = 2
    DOUBLET = 4
    STALLED = 8
    TRUNCATED = 16
    FEATURELESS = 32
    """The build has features, this event none."""
