# SPDX-License-Identifier: Apache-2.0
"""The two steps of arming from the page, beside a stop; what they do to a board is in test_server.py."""

import threading

from icsort.errors import IcsortError
from icsort.host.page.arming import Arming
from icsort.host.page.state import Acts
from icsort.host.sorter import Sorter


def nobody() -> Sorter:
    raise IcsortError("there is no board")


def test_a_stop_beside_the_second_step_is_not_lost() -> None:
    """It comes before the step, which is none any more, or behind it, and ends what that began."""
    arming = Arming("", nobody, lambda *_: None, Acts(lambda _: None))
    with arming._lock:  # as the second step has it
        stopping = threading.Thread(target=arming.stop)
        stopping.start()
        stopping.join(0.2)
        arming._stop = begun = threading.Event()
    stopping.join(5)
    assert begun.is_set()
