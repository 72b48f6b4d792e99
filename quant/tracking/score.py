# SPDX-License-Identifier: Apache-2.0
"""How right a lineage is: the metrics of traccuracy, which are those of the Cell Tracking Challenge, and divisions."""

import contextlib
import io
import logging
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icsort.quant.tracking.cells import Cells

BARE_OVERLAP = (
    0.1  # intersection over union at which cells are the same, where the challenge's rule gives one two partners
)


def score(
    truth: tuple[Cells, NDArray[np.int64], NDArray[np.int32]], found: tuple[Cells, NDArray[np.int64], NDArray[np.int32]]
) -> dict[str, Any]:
    """DET, LNK, TRA, errors and divisions of what was found against the truth; each is cells (N), parents (N,), masks.

    Divisions count where parent and both children are right, in that frame. None where there is nothing to count. Needs
    traccuracy (icsort[track]).
    """
    from traccuracy import run_metrics
    from traccuracy.matchers import CTCMatcher, IOUMatcher
    from traccuracy.metrics import CTCMetrics, DivisionMetrics

    begin = int(truth[0].frame[0])  # its matchers begin to count masks at the first cell
    logging.getLogger("traccuracy").setLevel(logging.ERROR)
    with contextlib.redirect_stderr(io.StringIO()):  # its progress
        challenge, matched = run_metrics(_graph(*truth, begin), _graph(*found, begin), CTCMatcher(), [CTCMetrics()])
        matcher = CTCMatcher() if matched.matching_type == "one-to-one" else IOUMatcher(BARE_OVERLAP, one_to_one=True)
        divided, _ = run_metrics(_graph(*truth, begin), _graph(*found, begin), matcher, [DivisionMetrics()])
    values, divisions = challenge[0]["results"], divided[0]["results"]["Frame Buffer 0"]
    right, total = int(divisions["True Positive Divisions"]), int(divisions["Total GT Divisions"])
    wrong = int(divisions["Total Predicted Divisions"]) - right
    return {
        **{name: _number(values[name]) for name in ("DET", "LNK", "TRA")},
        "cells_missed": int(values["fn_nodes"]),
        "cells_false": int(values["fp_nodes"]),
        "cells_merged": int(values["ns_nodes"]),
        "links_missed": int(values["fn_edges"]),
        "links_false": int(values["fp_edges"]),
        "links_of_wrong_kind": int(values["ws_edges"]),
        "divisions": total,
        "divisions_found": right,
        "divisions_false": wrong,
        "division_f1": 2 * right / (right + wrong + total) if right + wrong + total else None,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _graph(cells: Cells, parent: NDArray[np.int64], masks: NDArray[np.int32], begin: int) -> Any:
    import networkx
    from traccuracy import TrackingGraph

    graph = networkx.DiGraph()
    for cell in range(len(cells)):
        y, x = map(float, cells.position[cell])
        graph.add_node(cell, t=int(cells.frame[cell]), x=x, y=y, segmentation_id=int(cells.label[cell]))
    graph.add_edges_from((int(before), cell) for cell, before in enumerate(parent) if before >= 0)
    return TrackingGraph(graph, segmentation=masks[begin:])
