# SPDX-License-Identifier: Apache-2.0
import pytest

from hw.compile import BOARDS, load_board
from hw.resources import FAMILIES, RESOURCES, family_of, layer_resources
from sim.bit_true.errors import IcsortError


@pytest.mark.parametrize("family", FAMILIES)
def test_a_build_is_covered(build, family):
    for layer in build.data["layers"]:
        resources = layer_resources(layer["kernel"], layer["params"], family)
        assert tuple(resources) == RESOURCES
        assert resources["LUT"] > 0


@pytest.mark.parametrize("board", sorted(path.parent.name for path in BOARDS.glob("*/board.json")))
def test_every_board_is_of_a_family(board):
    assert family_of(load_board(board)["part"]) in FAMILIES


def test_unknown_part_is_refused():
    with pytest.raises(IcsortError, match="part 'lfe5u-85f'"):
        family_of("lfe5u-85f")
