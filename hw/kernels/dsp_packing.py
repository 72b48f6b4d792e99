# SPDX-License-Identifier: Apache-2.0
"""How many DSP slices the products of dot_product.sv take (mvau, vvau): the same rule, and a test compares.

Several weights w_n stand in the wide port of one multiplier, each as far above the one before as a product is wide:
(... + w_1 * 2^(W+A) + w_0) * a holds all products w_n * a, of W + A bits each, signed or not (W bits of a weight, A of
an activation; Xilinx WP486 does it for 8 bits). Operands of one bit need no multiplier.
"""

PORT_BITS = {"xc7": 25, "xcup": 27, "ecp5": 18}  # of the wide port of DSP48E1, DSP48E2 and MULT18X18D, by family
LARGEST_IN_LUTS = 8  # bits of a product for which Vivado and Yosys use no DSP slice by themselves


def products_per_dsp(weight_bits: int, act_bits: int, port_bits: int = 25) -> int:
    """Weights of one activation that fit into a multiplier with a signed port of `port_bits` bits, at least one.

    port_bits: 25 for DSP48E1 (7 series), 27 for DSP48E2 (UltraScale, UltraScale+).
    """
    return max(1, 1 + (port_bits - weight_bits - 1) // (weight_bits + act_bits))


def dsp_slices(
    pe: int, simd: int, weight_bits: int, act_bits: int, style: str, *, shared_act: bool, port_bits: int = 25
) -> int:
    """DSP slices of one unit; the parameters are those of dot_product.sv, `style` its MULT_STYLE.

    shared_act: True for mvau, whose rows share activations, False for vvau.
    """
    groups = -(-pe // (products_per_dsp(weight_bits, act_bits, port_bits) if shared_act else 1))
    wide = weight_bits + act_bits > LARGEST_IN_LUTS
    worth_while = wide or (style == "dsp" and groups < pe)
    return groups * simd if min(weight_bits, act_bits) > 1 and style != "lut" and worth_while else 0
