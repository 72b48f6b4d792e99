# SPDX-License-Identifier: Apache-2.0
"""Movies of cells that move, grow, divide, come and go, with masks and lineage: for tests, and to teach a cost what a
movie with few divisions does not show."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@dataclass(frozen=True)
class Movie:
    """images (T, H, W) uint16, masks (T, H, W) uint16 with a number a track, tracks (K, 4) int64: number, first frame,
    last frame, parent or 0, as the Cell Tracking Challenge has them."""

    images: NDArray[np.uint16]
    masks: NDArray[np.uint16]
    tracks: NDArray[np.int64]


@dataclass
class _Cell:
    number: int
    parent: int
    position: NDArray[np.float64]
    velocity: NDArray[np.float64]
    radius: float
    grown: float  # radius at which it divides
    squeezed: float
    angle: float
    bright: float
    pattern: int
    blur: float  # 0 in focus, to 1: it is dimmer, and only its middle is seen


def simulate(
    seed: int,
    frames: int = 24,
    size: tuple[int, int] = (320, 320),
    cells: int = 14,
    radius: float = 15.0,
    divisions: float = 0.04,
) -> Movie:
    """A movie of ellipses with a texture of their own. divisions: of a cell, a frame; all else is drawn."""
    rng = np.random.default_rng(seed)
    speed, drift = rng.uniform(0.05, 0.35) * radius, rng.normal(0, 0.04 * radius, 2)
    spread, texture, trimmed = rng.uniform(0.05, 0.8), rng.uniform(0.05, 0.4), rng.uniform(0, 0.35)
    noise, persistence, blurred = rng.uniform(2, 12), rng.uniform(0, 0.8), rng.uniform(0, 0.6)
    textures = [ndimage.gaussian_filter(rng.normal(size=(64, 64)), 5) * 8 for _ in range(32)]
    count = 0

    def new(position: NDArray[np.float64], parent: int = 0, size_of: float = 1.0, like: _Cell | None = None) -> _Cell:
        nonlocal count
        count += 1
        bright = like.bright * np.exp(rng.normal(0, 0.08)) if like else 100 * np.exp(rng.normal(0, spread))
        return _Cell(
            count,
            parent,
            position,
            rng.normal(0, speed, 2),
            radius * size_of * np.exp(rng.normal(0, 0.1)),
            radius * rng.uniform(1.1, 1.3),
            rng.uniform(0.65, 1),
            rng.uniform(0, np.pi),
            bright,
            int(rng.integers(len(textures))),
            float(np.clip((like.blur if like else 0) + rng.normal(0, 0.5 * blurred), 0, 1)),
        )

    alive = [new(rng.uniform(0, size, 2)) for _ in range(cells)]
    _part(alive, 200, rng)
    images = np.zeros((frames, *size), np.uint16)
    masks = np.zeros((frames, *size), np.uint16)
    tracks: dict[int, list[int]] = {}
    for frame in range(frames):
        if frame:
            after: list[_Cell] = []
            for cell in alive:
                if rng.random() < divisions:
                    axis = np.array([np.cos(a := rng.uniform(0, np.pi)), np.sin(a)])
                    share = rng.uniform(0.3, 0.7)
                    apart = cell.radius * rng.uniform(0.9, 2.1)
                    for part, sign in ((share, 1 - share), (1 - share, -share)):
                        centre = cell.position + axis * sign * apart + rng.normal(0, 0.5 * speed, 2)
                        after.append(new(centre, cell.number, float(np.sqrt(part)) * rng.uniform(0.85, 1.1), cell))
                else:
                    kick = rng.normal(0, speed, 2)
                    cell.velocity = persistence * cell.velocity + np.sqrt(1 - persistence**2) * kick
                    cell.position = cell.position + cell.velocity + drift
                    cell.radius += 0.02 * max(cell.grown - cell.radius, 0)
                    cell.angle += rng.normal(0, 0.15)
                    cell.blur = float(np.clip(cell.blur + rng.normal(0, 0.2 * blurred), 0, 1))
                    cell.squeezed = float(np.clip(cell.squeezed + rng.normal(0, 0.03), 0.6, 1))
                    after.append(cell)
            if rng.random() < 0.15:
                edge = rng.uniform(0, size, 2)
                edge[rng.integers(2)] = 0
                after.append(new(edge if rng.random() < 0.5 else np.array(size) - edge))
            alive = after
            _part(alive, 8, rng)
        light = np.full(size, 30.0)
        alive = [cell for cell in alive if _paint(cell, light, masks[frame], textures, texture, trimmed, rng)]
        for cell in alive:
            tracks.setdefault(cell.number, [frame, frame, cell.parent])[1] = frame
        light = ndimage.gaussian_filter(light, 1.0) + rng.normal(0, noise, size)
        images[frame] = np.clip(light, 0, 65535).astype(np.uint16)
    rows = [[n, b, e, p if p in tracks else 0] for n, (b, e, p) in sorted(tracks.items())]
    return Movie(images, masks, np.array(rows, np.int64).reshape(-1, 4))


def _part(cells: list[_Cell], rounds: int, rng: np.random.Generator) -> None:
    """Push apart what overlaps."""
    for _ in range(rounds):
        at = np.array([cell.position for cell in cells])
        if len(at) < 2:
            return
        away = at[:, np.newaxis] - at[np.newaxis]
        distance = np.linalg.norm(away, axis=2) + 1e-6
        reach = np.add.outer([c.radius for c in cells], [c.radius for c in cells])
        overlap = np.maximum(reach - distance, 0)
        np.fill_diagonal(overlap, 0)
        if not overlap.any():
            return
        push = (away / distance[..., np.newaxis] * overlap[..., np.newaxis]).sum(axis=1) / 4
        for cell, by in zip(cells, push, strict=True):
            cell.position = cell.position + by + rng.normal(0, 0.01, 2)


def _paint(
    cell: _Cell,
    light: NDArray[np.float64],
    mask: NDArray[np.uint16],
    textures: list[NDArray[np.float64]],
    strength: float,
    trimmed: float,
    rng: np.random.Generator,
) -> bool:
    """Draw a cell where nothing is yet. Whether any of it lies in the frame."""
    reach = int(cell.radius / cell.squeezed) + 2
    top, left = np.round(cell.position).astype(int) - reach
    rows = np.arange(max(top, 0), min(top + 2 * reach + 1, light.shape[0]))
    columns = np.arange(max(left, 0), min(left + 2 * reach + 1, light.shape[1]))
    if not len(rows) or not len(columns):
        return False
    y, x = np.meshgrid(rows - cell.position[0], columns - cell.position[1], indexing="ij")
    along = np.cos(cell.angle) * y + np.sin(cell.angle) * x
    across = -np.sin(cell.angle) * y + np.cos(cell.angle) * x
    stretch = np.sqrt(cell.squeezed)
    inside = (along * stretch) ** 2 + (across / stretch) ** 2
    part = np.ix_(rows, columns)
    body = (inside <= cell.radius**2) & (mask[part] == 0)
    seen = cell.radius * (1 - 0.5 * cell.blur) * (1 - trimmed * rng.random())
    marked = body & (inside <= seen**2)
    if marked.sum() < 12:
        return False
    pattern = textures[cell.pattern][np.clip(32 + along, 0, 63).astype(int), np.clip(32 + across, 0, 63).astype(int)]
    light[part] += np.where(body, np.maximum(cell.bright * (1 - 0.5 * cell.blur) * (1 + strength * pattern), 5), 0)
    view = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    view[marked] = cell.number
    return True
