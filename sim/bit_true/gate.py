# SPDX-License-Identifier: Apache-2.0
"""The gate: from integer logits to "in the class set, and surely enough", bit-true to hw/rtl/sorter/gate.sv.

The calibrated probability of class c is softmax(logit * scale / temperature). The hardware works with powers of two of
integers:

* d_c = max(logits) - logit_c, never negative
* u_c = (d_c * multiplier) >> shift: the log2 odds against the best class, with 8 fraction bits
* e_c = TABLE[u_c & 255] >> (u_c >> 8), or 0 where u_c >> 8 exceeds 16: about 2**16 * 2**(-u_c / 256)
* S_in = sum of e_c over the class set, S_all = sum over all classes

An event passes where its best class (the lowest index at ties) is in the set and S_in * 65536 >= threshold * S_all.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from icsort.errors import IcsortError

FRACTION_BITS: Final = 8
MAX_OCTAVES: Final = 16
MULTIPLIER_BITS: Final = 18
MULTIPLIER_MAX: Final = 2**MULTIPLIER_BITS - 1
SHIFT_MAX: Final = 47
POSTERIOR_ONE: Final = 2**16
POSTERIOR_MAX: Final = POSTERIOR_ONE - 1
MAX_CLASSES: Final = 64


def _table() -> NDArray[np.int64]:
    fraction = np.arange(2**FRACTION_BITS) / 2**FRACTION_BITS
    return np.asarray(np.round(POSTERIOR_ONE * 2.0**-fraction), dtype=np.int64)


TABLE: Final = _table()
"""Shape (256,): TABLE[f] = round(2**16 * 2**(-f/256)), 17 bits."""


def calibrate(scale: float, temperature: float) -> tuple[int, int]:
    """Multiplier (18 bits) and shift (0..47) with multiplier / 2**shift closest to 256 * scale / (temperature * ln 2).

    scale: one accumulator count in logit units (natural log). temperature: calibration, softmax(logit / temperature).
    The multiplier is at least 2**17, so that the ratio is exact to 2**-18 of itself. Raises IcsortError where either is
    not a positive number or the ratio cannot be represented so.
    """
    if not (math.isfinite(scale) and scale > 0 and math.isfinite(temperature) and temperature > 0):
        raise IcsortError(
            f"logits.scale {scale} and logits.temperature {temperature} must be positive: calibrate the model again"
        )
    ratio = scale / temperature / math.log(2) * 2**FRACTION_BITS
    if 0 < ratio < math.inf:
        shift = MULTIPLIER_BITS - math.frexp(ratio)[1]
        multiplier = round(math.ldexp(ratio, shift))
        if multiplier > MULTIPLIER_MAX:  # rounded up to a power of two
            multiplier, shift = multiplier // 2, shift - 1
        if 0 <= shift <= SHIFT_MAX:
            return multiplier, shift
    raise IcsortError(
        f"logits.scale {scale:.3g} over temperature {temperature:.3g} is out of range of the gate's 18-bit multiplier: "
        "calibrate the model again"
    )


def posterior_error(classes: int) -> float:
    """Most by which the posterior of `decide` can differ from the softmax, as a probability.

    Rounding down costs the log odds less than 1 + 1/32 steps of 1/256 octave (flooring; 18 bits of multiplier over 16
    octaves), each weight less than 2 counts of 65536, the quotient one.
    """
    return 0.25 * (2 ** ((1 + 1 / 32) / 2**FRACTION_BITS) - 1) + (2 * classes + 1) / POSTERIOR_ONE


def weights(logits: ArrayLike, multiplier: int, shift: int) -> NDArray[np.int64]:
    """e_c of every class: unnormalised probabilities, 65536 for the best class.

    logits: integers of at most 32 bits, shape (..., N). Returns int64 of the same shape, 0..65536.
    Raises IcsortError for logits that are no integers or constants that the hardware cannot hold.
    """
    values = np.asarray(logits)
    if not np.issubdtype(values.dtype, np.integer) or values.ndim == 0 or not 1 <= values.shape[-1] <= MAX_CLASSES:
        raise IcsortError(
            f"the gate takes integer logits of 1 to {MAX_CLASSES} classes, not {values.dtype} of shape {values.shape}"
        )
    if not 1 <= multiplier <= MULTIPLIER_MAX or not 0 <= shift <= SHIFT_MAX:
        raise IcsortError(
            f"posterior multiplier {multiplier} and shift {shift} must be within 1..{MULTIPLIER_MAX} and 0..{SHIFT_MAX}"
        )
    values = values.astype(np.int64)
    if np.any(values != values.astype(np.int32)):
        raise IcsortError("the gate takes logits of at most 32 bits")
    distance = values.max(axis=-1, keepdims=True) - values
    odds = (distance * multiplier) >> shift
    octaves = odds >> FRACTION_BITS
    fraction = odds & (2**FRACTION_BITS - 1)
    return np.where(octaves > MAX_OCTAVES, 0, TABLE[fraction] >> np.minimum(octaves, MAX_OCTAVES))


def posteriors(logits: ArrayLike, class_masks: Sequence[int], multiplier: int, shift: int) -> NDArray[np.int64]:
    """Posterior of each class set, unsigned 0.16, rounded down and saturated to 65535.

    logits: integers, shape (..., N). class_masks: S of them, bit c set where class c is in the set. multiplier, shift:
    from `calibrate`. Returns int64 (..., S). Raises IcsortError as `weights` does.
    """
    probability = weights(logits, multiplier, shift)
    total = probability.sum(axis=-1)
    inside = np.stack(
        [(probability * [mask >> c & 1 for c in range(probability.shape[-1])]).sum(axis=-1) for mask in class_masks],
        axis=-1,
    )
    return np.asarray(np.minimum(POSTERIOR_MAX, inside * POSTERIOR_ONE // total[..., np.newaxis]), dtype=np.int64)


def decide(
    logits: ArrayLike, class_mask: int, threshold: int, multiplier: int, shift: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Gate decision of events.

    logits: integers, shape (..., N). class_mask: bit c set where class c is wanted (bits from N on are ignored).
    threshold: least posterior of the class set, unsigned 0.16 (0..65535). multiplier, shift: from `calibrate`.
    Returns (passes bool, best class, posterior of the class set as unsigned 0.16 saturated to 65535), each (...).
    Raises IcsortError for a mask or threshold out of range, and as `weights` does.
    """
    if not 0 <= class_mask < 2**MAX_CLASSES or not 0 <= threshold <= POSTERIOR_MAX:
        raise IcsortError(
            f"gate class set {class_mask:#x} and posterior {threshold} must fit {MAX_CLASSES} and 16 bits"
        )
    probability = weights(logits, multiplier, shift)
    wanted = np.asarray([bool(class_mask >> c & 1) for c in range(probability.shape[-1])])
    inside = np.asarray((probability * wanted).sum(axis=-1))
    total = np.asarray(probability.sum(axis=-1))
    best = np.asarray(np.argmax(np.asarray(logits), axis=-1), dtype=np.int64)
    passes = np.asarray(wanted[best] & (inside * POSTERIOR_ONE >= threshold * total), dtype=np.bool_)
    posterior = np.asarray(np.minimum(POSTERIOR_MAX, inside * POSTERIOR_ONE // total), dtype=np.int64)
    return passes, best, posterior
