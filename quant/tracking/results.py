# SPDX-License-Identifier: Apache-2.0
"""Lineages as other programs read them: Cell Tracking Challenge results, napari's tracks, GEFF."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.tracking.cells import Cells
from icsort.quant.tracking.lineage import Tracks

CHALLENGE = "challenge"  # folder of mask???.tif and res_track.txt
TABLE = "tracks.csv"
GRAPH = "graph.json"
GEFF = "lineage.geff"


def write(folder: Path, masks: NDArray[np.int32], cells: Cells, parent: NDArray[np.int64], tracks: Tracks) -> list[str]:
    """Write all kinds into a folder. Returns what was skipped, and why, a line each."""
    write_challenge(folder / CHALLENGE, masks, cells, tracks)
    write_table(folder, cells, parent, tracks)
    return write_geff(folder / GEFF, cells, parent, tracks)


def write_challenge(folder: Path, masks: NDArray[np.int32], cells: Cells, tracks: Tracks) -> None:
    """mask000.tif, ..., uint16 with the tracks' numbers, and res_track.txt: number, first frame, last frame, parent."""
    if len(tracks.table) > np.iinfo(np.uint16).max:
        raise IcsortError(
            f"{len(tracks.table)} tracks are more than the challenge's masks can number; track fewer frames"
        )
    folder.mkdir()
    digits = 3 if len(masks) <= 1000 else 4
    for frame, mask in enumerate(masks):
        index = cells.at(frame)
        numbers = np.zeros(int(mask.max()) + 1, np.uint16)
        numbers[cells.label[index]] = tracks.number[index]
        tifffile.imwrite(folder / f"mask{frame:0{digits}}.tif", numbers[mask], compression="zlib")
    lines = (" ".join(map(str, row)) for row in tracks.table.tolist())
    (folder / "res_track.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


def write_table(folder: Path, cells: Cells, parent: NDArray[np.int64], tracks: Tracks) -> None:
    """A row a cell: track, frame, y, x (napari's tracks), label in the masks, area, index, that of its parent; and
    napari's graph, from the number of a track to those of its parents."""
    pd.DataFrame(
        {
            "track": tracks.number,
            "frame": cells.frame,
            "y": cells.position[:, 0],
            "x": cells.position[:, 1],
            "label": cells.label,
            "area": cells.measures[:, 0].astype(np.int64),
            "cell": np.arange(len(cells)),
            "parent_cell": parent,
        }
    ).sort_values(["track", "frame"]).to_csv(folder / TABLE, index=False, float_format="%.3f", lineterminator="\n")
    graph = {str(number): [before] for number, _, _, before in tracks.table.tolist() if before}
    (folder / GRAPH).write_text(json.dumps(graph) + "\n", encoding="ascii")


def write_geff(path: Path, cells: Cells, parent: NDArray[np.int64], tracks: Tracks) -> list[str]:
    """The graph of cells as GEFF, where the package geff is installed. Returns a line where it is not."""
    try:
        import geff
        import networkx
    except ModuleNotFoundError as error:
        return [f"{path.name}: {error.name} is not installed: pip install 'icsort[track]'"]
    graph = networkx.DiGraph()
    for cell in range(len(cells)):
        y, x = map(float, cells.position[cell])
        graph.add_node(
            cell, t=int(cells.frame[cell]), y=y, x=x, label=int(cells.label[cell]), track=int(tracks.number[cell])
        )
    graph.add_edges_from((int(before), cell) for cell, before in enumerate(parent) if before >= 0)
    geff.write(graph, path, axis_names=["t", "y", "x"], axis_types=["time", "space", "space"])
    return []
