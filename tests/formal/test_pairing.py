# SPDX-License-Identifier: Apache-2.0
"""What is proven of pairing and of the AXI4-Lite slave."""

import pytest

from tests.formal.prove import prove, sorter


def test_event_join() -> None:
    prove("event_join_properties", sorter("event_join"), 2)


def test_axil_registers() -> None:
    prove("axil_registers_properties", sorter("axil_registers"), 4)


@pytest.mark.parametrize("depth", [12, pytest.param(24, marks=pytest.mark.full)])
def test_network_pairing(depth: int) -> None:
    prove("network_pairing_properties", sorter("network_pairing", "fifo"), depth, bounded=True)
