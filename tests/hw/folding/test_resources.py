# SPDX-License-Identifier: Apache-2.0
import pytest

from icsort.errors import IcsortError
from icsort.formats.board import board_names, load_board
from icsort.hw.folding.resources import RESOURCES, family_of, layer_resources
from icsort.hw.kernels import KERNELS
from icsort.hw.kernels.fabric import FAMILIES
from icsort.hw.kernels.kernel import Sample
from icsort.hw.synthesis.fit_resources import TIMEOUT, draw, module
from icsort.hw.synthesis.yosys import synthesize

UNSEEN = 1000  # the first seed that the fit does not use


@pytest.mark.parametrize("family", FAMILIES)
def test_a_build_is_covered(build, family):
    for layer in build.layers:
        resources = layer_resources(layer.kernel, layer.params, family)
        assert tuple(resources) == RESOURCES
        assert resources["LUT"] > 0


@pytest.mark.parametrize("board", board_names())
def test_every_board_is_of_a_family(board):
    assert family_of(load_board(board).part) in FAMILIES


def test_unknown_part_is_refused():
    with pytest.raises(IcsortError, match="part 'ice40up5k'"):
        family_of("ice40up5k")


def compare(name: str, seeds: range) -> None:
    """Model against Yosys for parameters that no cost was fitted to: all samples together, and each one roughly."""
    kernel, predicted, mapped = KERNELS[name], [], []
    for seed in seeds:
        sample = draw(kernel, UNSEEN + seed)
        family = FAMILIES[seed % 2]
        predicted.append(layer_resources(name, sample.parameters, family))
        mapped.append(synthesize(module(kernel, sample, UNSEEN + seed), family, TIMEOUT))
        print(name, family, sample.parameters, predicted[-1], mapped[-1])
        assert predicted[-1]["LUT"] == pytest.approx(mapped[-1]["LUT"], rel=0.4, abs=25)
        for key in ("DSP", "BRAM_18K", "URAM"):
            assert predicted[-1][key] == mapped[-1][key]
    total = [sum(resources["LUT"] for resources in counted) for counted in (predicted, mapped)]
    assert total[0] == pytest.approx(total[1], rel=0.15, abs=10 * len(seeds))


@pytest.mark.parametrize("kernel", ["fifo", "width_converter", "stream_add"])
def test_small_kernels_against_yosys(kernel):
    compare(kernel, range(2))


@pytest.mark.parametrize("kernel", ["fifo", "stream_add"])
def test_small_kernels_of_an_ecp5_roughly(kernel):
    sample = draw(KERNELS[kernel], UNSEEN)
    predicted = layer_resources(kernel, sample.parameters, "ecp5")
    mapped = synthesize(module(KERNELS[kernel], sample, UNSEEN), "ecp5", TIMEOUT)
    assert mapped["LUT"] / 2 <= predicted["LUT"] <= mapped["LUT"] * 2
    assert predicted["FF"] == pytest.approx(mapped["FF"], abs=2)
    assert [predicted[key] for key in ("DSP", "BRAM_18K", "URAM")] == [0, 0, 0]
    assert [mapped[key] for key in ("DSP", "BRAM_18K", "URAM")] == [0, 0, 0]


@pytest.mark.parametrize(("weight", "act"), [(4, 4), (3, 5), (2, 3), (4, 8)])
def test_products_of_an_ecp5(weight, act):
    """Weights from a memory: rows of carry chains, neither DSP slices nor a sea of LUTs."""
    parameters = {
        "MH": 8, "MW": 16, "SIMD": 4, "PE": 4, "ACT_BITS": act, "ACT_SIGNED": 0, "WEIGHT_BITS": weight,
        "ACC_BITS": weight + act + 4, "RAM_STYLE": "block", "MULT_STYLE": "lut", "DSP_A_BITS": 18,
    }  # fmt: skip
    mapped = synthesize(module(KERNELS["mvau"], Sample(parameters, "WEIGHTS_FILE", 8, 16 * weight), 1), "ecp5", TIMEOUT)
    predicted = layer_resources("mvau", parameters, "ecp5")
    assert predicted["LUT"] == pytest.approx(mapped["LUT"], rel=0.15)
    assert (predicted["DSP"], mapped["DSP"]) == (0, 0)


def test_products_for_the_slices_of_an_ecp5_go_there():
    """Though they are no wider than those that are meant for LUTs."""
    parameters = {
        "MH": 4, "MW": 16, "SIMD": 4, "PE": 1, "ACT_BITS": 8, "ACT_SIGNED": 0, "WEIGHT_BITS": 4, "ACC_BITS": 16,
        "RAM_STYLE": "block", "MULT_STYLE": "dsp", "DSP_A_BITS": 18,
    }  # fmt: skip
    mapped = synthesize(module(KERNELS["mvau"], Sample(parameters, "WEIGHTS_FILE", 16, 16), 1), "ecp5", TIMEOUT)
    assert mapped["DSP"] == layer_resources("mvau", parameters, "ecp5")["DSP"] == 4


@pytest.mark.full
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_against_yosys(kernel):
    compare(kernel, range(8))
