# SPDX-License-Identifier: Apache-2.0
"""Readers, on TIFFs written here and on the real ones where they are."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageSequence

from icsort import real_data
from icsort.errors import IcsortError
from icsort.quant.cells import find as data
from icsort.quant.cells.readers import sorter_events as sorter
from icsort.quant.cells.readers import tiffs
from icsort.real_data import DATA_VARIABLE, real_data_folder

REAL = real_data_folder()


def real(folder: str) -> Path:
    if not (REAL / folder).is_dir():
        pytest.skip(f"no real images at {REAL / folder}; set {DATA_VARIABLE} to the folder that holds {folder}")
    return REAL / folder


def write_stack(path: Path, cells: int = 4, channels: int = 3, size: int = 12, seed: int = 0) -> np.ndarray:
    stack = np.random.default_rng(seed).integers(0, 65536, (cells, channels, size, size)).astype(np.uint16)
    tifffile.imwrite(path, stack, metadata={"axes": "ICYX"})
    return stack


def write_event(path: Path, names: Sequence[str], height: int, width: int = 104, seed: int = 0) -> np.ndarray:
    pages = np.random.default_rng(seed).normal(0.2, 0.3, (len(names), height, width)).astype(np.float32)
    with tifffile.TiffWriter(path) as tiff:
        for name, page in zip(names, pages, strict=True):
            tiff.write(page, extratags=[(285, 2, 0, name, False)], metadata=None, contiguous=False)
    return pages


def write_sorter_folder(folder: Path, channel_counts: Sequence[int], heights: Sequence[int]) -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "output").mkdir()
    rows = ["id;gate;path"]
    for index, (count, height) in enumerate(zip(channel_counts, heights, strict=True)):
        write_event(folder / "images" / f"e{index}.tiff", [f"detector {i}" for i in range(count)], height, seed=index)
        rows.append(f"id{index};{'S' if index % 2 else 'G1'};../images/e{index}.tiff")
    (folder / "output" / "countpath.csv").write_text("\n".join(rows) + "\n")
    return folder


def refusal(call: object, *arguments: object) -> str:
    assert callable(call)
    with pytest.raises(IcsortError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_class_stacks(tmp_path: Path) -> None:
    stacks = {name: write_stack(tmp_path / f"{name}.tif", cells, seed=cells) for name, cells in (("B", 4), ("A", 2))}
    dataset = data.read_folder(tmp_path)
    assert dataset.classes == ("A", "B")
    assert dataset.counts() == {"A": 2, "B": 4}
    assert dataset.channels == ("channel0", "channel1", "channel2")
    every = np.concatenate([stacks["A"], stacks["B"]]).transpose(0, 2, 3, 1)
    assert (np.stack(dataset.images) == every).all()
    assert data.read_folder(tmp_path, channels=["x", "y", "z"]).channels == ("x", "y", "z")
    assert "name each one" in refusal(data.read_folder, tmp_path, ["x"])


def test_a_stack_of_one_cell(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "A.tif", cells=1)
    assert (tiffs.read_class_stack(tmp_path / "A.tif") == stack.transpose(0, 2, 3, 1)).all()


def test_sorter_folder(tmp_path: Path) -> None:
    folder = write_sorter_folder(tmp_path / "run", [5, 5, 5], [17, 169, 40])
    dataset = data.read_folder(folder)
    assert dataset.classes == ("G1", "S")
    assert dataset.labels.tolist() == [0, 1, 0]
    assert dataset.channels == tuple(f"detector {i}" for i in range(5))
    assert [image.shape for image in dataset.images] == [(17, 104, 5), (169, 104, 5), (40, 104, 5)]
    pages, _ = tiffs.read_pages(folder / "images" / "e1.tiff")
    expected = np.clip(np.round((pages.astype(float) + 1.0) * 16384), 0, 65535)
    assert (dataset.images[1].transpose(2, 0, 1) == expected).all()


def test_digitization_saturates_and_keeps_order() -> None:
    values = np.asarray([-1e9, -1.0, 0.0, 1 / 16384, 2.9999, 1e9], np.float32)
    assert tiffs.Digitization().counts(values).tolist() == [0, 0, 16384, 16385, 65534, 65535]
    assert tiffs.Digitization(offset=0.0, counts_per_unit=2.0).counts(values)[2:4].tolist() == [0, 0]


def test_real_jurkat_cells() -> None:
    dataset = data.read_folder(real("jurkat_cell_cycle"))
    assert dataset.counts() == {
        "Anaphase": 12,
        "G1": 720,
        "G2": 720,
        "Metaphase": 55,
        "Prophase": 485,
        "S": 720,
        "Telophase": 22,
    }
    assert dataset.channels == ("Brightfield", "PI", "Darkfield")
    assert {image.shape for image in dataset.images} == {(40, 40, 3)}
    stained = {
        name: np.mean([i[..., 1] for i, k in zip(dataset.images, dataset.labels, strict=True) if k == n])
        for n, name in enumerate(dataset.classes)
    }
    assert stained["G1"] < stained["S"] < stained["G2"]  # DNA content grows through the cycle


def test_real_sorter_events() -> None:
    dataset = data.read_folder(real("bd_cellview"))
    assert len(dataset.images) == 8
    assert dataset.counts() == {"G1": 3, "G2M": 2, "NA": 1, "S": 2}
    assert dataset.channels[0] == "LightLoss (Blue)"
    assert len(dataset.channels) == 8
    assert {image.shape[1:] for image in dataset.images} == {(104, 8)}
    assert sorted({image.shape[0] for image in dataset.images})[::7] == [17, 169]
    assert dataset.parameters is not None
    assert dataset.parameters.shape[0] == 8
    assert dataset.parameters["count"].tolist() == [0, 1, 3, 4, 5, 6, 7, 9]
    # Pillow's own reader, page by page
    path = real("bd_cellview") / "images" / "Cell_Cycle_00000000.tiff"
    with Image.open(path) as image:
        pages = np.stack([np.asarray(frame) for frame in ImageSequence.Iterator(image)])
    assert (tiffs.read_pages(path)[0] == pages).all()


def test_real_events_of_another_instrument_have_other_channels() -> None:
    paths = tiffs.tiff_files(real("bd_cellview_pbmc"))
    events = sorter.read_sorter_events(paths)
    assert len(events.images) == 6
    assert "PI B586*" in events.channels
    other = real("bd_cellview") / "images" / "Cell_Cycle_00000000.tiff"
    assert "page names differ" in refusal(sorter.read_sorter_events, [*paths, other])


@pytest.mark.parametrize("kind", ["stack", "event"])
def test_a_tiff_truncated_anywhere_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "whole.tif"
    if kind == "stack":
        write_stack(path)
    else:
        write_event(path, ["a", "b", "c"], 20, 10)

    def read(where: Path) -> np.ndarray:
        return tiffs.read_class_stack(where) if kind == "stack" else tiffs.read_pages(where)[0]

    content, pixels = path.read_bytes(), read(path)
    cut = tmp_path / "cut.tif"
    for length in sorted({*range(0, len(content), 97), *range(len(content) - 400, len(content))}):
        cut.write_bytes(content[:length])
        if len(content) - length > 64:
            assert "damaged" in refusal(read, cut), length
            continue
        with contextlib.suppress(IcsortError):  # the last bytes are padding and tags: no pixel and no page is lost
            assert (read(cut) == pixels).all(), length


def test_a_page_count_that_differs(tmp_path: Path) -> None:
    folder = write_sorter_folder(tmp_path / "run", [5, 5, 4], [20, 20, 20])
    message = refusal(data.read_folder, folder)
    assert "e2.tiff" in message
    assert "4 pages" in message


def test_a_width_that_differs(tmp_path: Path) -> None:
    write_event(tmp_path / "a.tif", ["x"], 20, 104)
    write_event(tmp_path / "b.tif", ["x"], 20, 96)
    assert "96 pixels wide" in refusal(sorter.read_sorter_events, [tmp_path / "a.tif", tmp_path / "b.tif"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    pages = np.zeros((3, 20, 104), np.float32)
    pages[1, 3, 7] = value
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    message = refusal(tiffs.read_pages, tmp_path / "a.tif")
    assert "a.tif" in message
    assert "NaN" in message
    tifffile.imwrite(tmp_path / "a.tif", pages[np.newaxis], metadata={"axes": "ICYX"})
    assert "NaN" in refusal(data.read_folder, tmp_path)


def test_folders_without_images(tmp_path: Path) -> None:
    assert "no such folder" in refusal(data.read_folder, tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.tif").mkdir()
    assert "holds no images" in refusal(data.read_folder, tmp_path)


@pytest.mark.parametrize(("channels", "size"), [(2, 12), (3, 13)])
def test_class_stacks_of_differing_geometry(tmp_path: Path, channels: int, size: int) -> None:
    write_stack(tmp_path / "A.tif")
    write_stack(tmp_path / "B.tif", channels=channels, size=size)
    message = refusal(data.read_folder, tmp_path)
    assert "class B" in message


def test_pixels_that_do_not_fit_16_bit(tmp_path: Path) -> None:
    for pixels in (np.full((2, 1, 12, 12), -1, np.int32), np.full((2, 1, 12, 12), 65536, np.uint32)):
        tifffile.imwrite(tmp_path / "A.tif", pixels, metadata={"axes": "ICYX"})
        assert "65535" in refusal(tiffs.read_class_stack, tmp_path / "A.tif")


def test_a_text_file_named_tif(tmp_path: Path) -> None:
    (tmp_path / "A.tif").write_text("this is no image")
    assert "A.tif" in refusal(data.read_folder, tmp_path)


def test_gate_tables_that_do_not_fit(tmp_path: Path) -> None:
    folder = write_sorter_folder(tmp_path / "run", [2, 2], [20, 20])
    table = folder / "output" / "countpath.csv"
    good = table.read_text()
    table.write_text(good.replace(";", ","))
    assert "no column" in refusal(data.read_folder, folder)
    table.write_text("id;gate;path\n")
    assert "no events" in refusal(data.read_folder, folder)
    table.write_text("")
    assert "cannot be read" in refusal(data.read_folder, folder)
    table.write_text(good.replace("e1", "e9"))
    assert "e9.tiff" in refusal(data.read_folder, folder)


def test_where_cells_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / data.JURKAT_FOLDER).mkdir()
    write_stack(tmp_path / data.JURKAT_FOLDER / "A.tif")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    found = data.find_dataset()
    assert found.source == "jurkat"
    assert str(tmp_path) in found.origin
    assert found.channels == ("Brightfield", "PI", "Darkfield")
    assert data.find_dataset(generated=True).source == "generated"
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / data.JURKAT_FOLDER))
    assert data.find_dataset().sha256() == found.sha256()
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "nowhere"))
    assert DATA_VARIABLE in refusal(data.find_dataset)
    assert "exclude" in refusal(data.find_dataset, tmp_path, True)


def test_without_data_cells_are_generated_and_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.setattr(real_data, "__file__", str(tmp_path / "clone" / "icsort" / "real_data.py"))
    found = data.find_dataset(seed=3)
    assert found.source == "generated"
    assert "no real data" in found.origin
    assert len(found.images) >= 2400  # a tenth is held out


def test_the_hash_follows_every_pixel_and_label(tmp_path: Path) -> None:
    write_stack(tmp_path / "A.tif", seed=1)
    stack = write_stack(tmp_path / "B.tif", seed=2)
    before = data.read_folder(tmp_path).sha256()
    assert data.read_folder(tmp_path).sha256() == before
    stack[3, 2, 11, 11] ^= 1
    tifffile.imwrite(tmp_path / "B.tif", stack, metadata={"axes": "ICYX"})
    assert data.read_folder(tmp_path).sha256() != before
    (tmp_path / "B.tif").rename(tmp_path / "C.tif")
    stack[3, 2, 11, 11] ^= 1
    tifffile.imwrite(tmp_path / "C.tif", stack, metadata={"axes": "ICYX"})
    assert data.read_folder(tmp_path).sha256() != before


def test_limited_draws_a_seeded_sample(dataset: data.Dataset) -> None:
    few = dataset.limited(11, seed=4)
    assert set(few.counts().values()) == {11}
    assert few.sha256() == dataset.limited(11, seed=4).sha256() != dataset.limited(11, seed=5).sha256()
    assert dataset.limited(10_000, seed=0).sha256() == dataset.sha256()
