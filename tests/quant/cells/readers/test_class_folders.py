# SPDX-License-Identifier: Apache-2.0
"""A folder of images for each class, its groups, and the images in it that cannot be read."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile

from icsort.errors import IcsortError
from icsort.quant.cells.find import read_folder, read_pieces
from icsort.quant.cells.readers.images import read_image
from tests.quant.cells.files import real, refusal, write_event


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 16-bit PNGs, 12 each, named plate___well___cell; three plates of two wells."""
    random = np.random.default_rng(0)
    for name in ("Round", "Flat"):
        (tmp_path / "cells" / name).mkdir(parents=True)
        for cell in range(12):
            pixels = random.integers(0, 65536, (9, 7)).astype(np.uint16)
            Image.fromarray(pixels).save(tmp_path / "cells" / name / f"p{cell % 3}___w{cell % 2}___c{cell:02}.png")
    return tmp_path / "cells"


def test_pixels_labels_and_names(folder: Path) -> None:
    dataset = read_folder(folder)
    assert dataset.classes == ("Flat", "Round")
    assert dataset.counts() == {"Flat": 12, "Round": 12}
    assert dataset.channels == ("channel0",)
    assert dataset.groups is None
    for name, image, label in zip(dataset.names, dataset.images, dataset.labels, strict=True):
        with Image.open(folder / name) as picture:
            assert (image[..., 0] == np.asarray(picture)).all()
        assert name.split("/")[0] == dataset.classes[label]


@pytest.mark.parametrize("channels", [1, 3])
def test_png_of_eight_bit(tmp_path: Path, channels: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 6, channels)).astype(np.uint8)
    Image.fromarray(pixels.squeeze()).save(tmp_path / "a.png")
    cell = read_image(tmp_path / "a.png")
    assert cell.counts.dtype == np.uint16
    assert cell.pixel_type == "uint8"
    assert (cell.counts == pixels).all()


@pytest.mark.parametrize("mode", ["RGBA", "P", "1"])
def test_other_kinds_of_png_are_refused(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (6, 6)).save(tmp_path / "a.png")
    assert "store grey" in refusal(read_image, tmp_path / "a.png")


def test_tiffs_bring_their_channel_names(tmp_path: Path) -> None:
    for name in ("A", "B"):
        (tmp_path / name).mkdir()
        pages = write_event(tmp_path / name / "0.tif", ["FSC", "SSC"], height=10 if name == "A" else 15, width=8)
    dataset = read_folder(tmp_path)
    assert dataset.channels == ("FSC", "SSC")
    assert [image.shape for image in dataset.images] == [(10, 8, 2), (15, 8, 2)]
    expected = np.clip(np.round((pages.astype(float) + 1.0) * 16384), 0, 65535)
    assert (dataset.images[1].transpose(2, 0, 1) == expected).all()
    write_event(tmp_path / "B" / "1.tif", ["FSC", "other"], height=10, width=8)
    assert "page names differ" in refusal(read_folder, tmp_path)


def test_another_width_or_channel_count(folder: Path) -> None:
    Image.new("L", (8, 9)).save(folder / "Flat" / "z.png")
    assert "z.png: is 8 pixels wide" in refusal(read_folder, folder)
    Image.new("RGB", (7, 9)).save(folder / "Flat" / "z.png")
    assert "with 3 channels" in refusal(read_folder, folder)


def test_groups_by_pattern(folder: Path) -> None:
    dataset = read_folder(folder, group_by=r"([^/]+?)___([^/]+?)___")
    assert dataset.groups is not None
    assert dataset.groups.tolist() == ["/".join(name.split("/")[1].split("___")[:2]) for name in dataset.names]
    assert read_folder(folder).sha256() != dataset.sha256()
    assert read_folder(folder, group_by="none").groups is None


def test_groups_by_table(folder: Path, tmp_path: Path) -> None:
    names = read_folder(folder).names
    table = tmp_path / "donors.csv"
    table.write_text("name;group\n" + "".join(f"{name};donor{i % 4}\n" for i, name in enumerate(names)))
    groups = read_folder(folder, group_by=str(table)).groups
    assert groups is not None
    assert groups.tolist() == [f"donor{i % 4}" for i in range(len(names))]
    table.write_text(table.read_text().replace("/", "\\"))
    assert (read_folder(folder, group_by=str(table)).groups == groups).all()


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("(", "nor a regular expression"),
        ("p[0-9]", "no group in parentheses"),
        ("(p[01])___", "no group for 8 of 24 cells"),
    ],
)
def test_patterns_that_do_not_fit(folder: Path, rule: str, reason: str) -> None:
    with pytest.raises(IcsortError, match=reason):
        read_folder(folder, group_by=rule)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("name;plate\na;b\n", "needs the columns name and group"),
        ("name;group\na;b\na;c\n", "names a twice"),
        ("name;group\na;b\n", "no group for 24 of 24 cells"),
        ("", "cannot be read as a table"),
    ],
)
def test_tables_that_do_not_fit(folder: Path, tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "groups.csv").write_text(content)
    with pytest.raises(IcsortError, match=reason):
        read_folder(folder, group_by=str(tmp_path / "groups.csv"))


def test_unreadable_images_are_counted_named_and_refused_or_skipped(folder: Path) -> None:
    good = read_folder(folder)
    bad = [folder / name for name in (good.names[2], good.names[20])]
    bad[0].write_bytes(bad[0].read_bytes()[:-30])
    bad[1].write_text("this is no image")
    message = refusal(read_folder, folder)
    assert "2 of 24 images cannot be read" in message
    assert all(path.name in message for path in bad)
    kept = read_folder(folder, unreadable="skip", group_by="(p[0-9])___")
    assert len(kept.skipped) == 2
    assert all(path.name in line for path, line in zip(bad, kept.skipped, strict=True))
    remaining = [i for i in range(24) if i not in (2, 20)]
    assert kept.names == tuple(good.names[i] for i in remaining)
    assert kept.groups is not None
    assert len(kept.groups) == 22
    assert all((kept.images[k] == good.images[i]).all() for k, i in enumerate(remaining))


def test_damage_is_told_whatever_other_libraries_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WeasyPrint has Pillow fill what is missing of an image, for all of the process."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    bad = folder / read_folder(folder).names[2]
    bad.write_bytes(bad.read_bytes()[:-30])
    assert "1 of 24 images cannot be read" in refusal(read_folder, folder)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_folder_where_nothing_can_be_read(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(IcsortError, match=r"24 of 24 images cannot be read .* and 21 more"):
        read_folder(folder, unreadable="skip")


def test_a_pixel_that_is_no_number_makes_its_image_unreadable(tmp_path: Path) -> None:
    (tmp_path / "A").mkdir()
    for index, value in enumerate((0.5, np.nan, 0.25)):
        tifffile.imwrite(tmp_path / "A" / f"{index}.tif", np.full((6, 6), value, np.float32))
    dataset = read_folder(tmp_path, unreadable="skip")
    assert len(dataset.images) == 2
    assert "1.tif" in dataset.skipped[0]
    assert "NaN" in dataset.skipped[0]
    assert "NaN" in refusal(read_folder, tmp_path)


def test_real_nuclei_are_grouped_by_plate_and_well() -> None:
    dataset = read_folder(real("mitocheck_nuclei"))
    assert len(dataset.images) == 2600
    assert len(dataset.classes) == 16
    assert dataset.source == "mitocheck"
    assert dataset.groups is not None
    assert len(set(dataset.groups)) == 58
    assert {group.count("___") for group in dataset.groups} == {1}


def test_the_rule_goes_with_the_name_of_the_folder(tmp_path: Path, folder: Path) -> None:
    shutil.copytree(folder, tmp_path / "mitocheck_nuclei")
    groups = read_folder(tmp_path / "mitocheck_nuclei").groups
    assert groups is not None
    assert set(groups) == {f"p{plate}___w{well}" for plate in range(3) for well in range(2)}


@pytest.mark.parametrize(("kind", "channels"), [("bmp", 1), ("bmp", 3), ("jpg", 1), ("JPEG", 3)])
def test_bmp_and_jpeg(tmp_path: Path, kind: str, channels: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 20, channels)).astype(np.uint8)
    path = tmp_path / f"a.{kind}"
    Image.fromarray(pixels.squeeze()).save(path)
    counts = read_image(path).counts
    if kind == "bmp":
        assert (counts == pixels).all()
    with Image.open(path) as picture:
        assert (counts.squeeze() == np.asarray(picture)).all()


def test_a_picture_of_several(tmp_path: Path) -> None:
    pages = [Image.new("L", (6, 6), shade) for shade in (1, 2)]
    pages[0].save(tmp_path / "a.png", save_all=True, append_images=pages[1:])
    assert "holds 2 pictures" in refusal(read_image, tmp_path / "a.png")


def test_a_png_whose_samples_pillow_would_stretch(tmp_path: Path) -> None:
    Image.new("L", (6, 6)).save(tmp_path / "a.png", bits=4)
    assert "store grey" in refusal(read_image, tmp_path / "a.png")


def test_a_stack_among_class_folders(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        path.unlink()
    tifffile.imwrite(folder / "Flat" / "a.tif", np.zeros((30, 9, 7), np.uint16), imagej=True, metadata={"axes": "TYX"})
    assert "holds 30 images" in refusal(read_folder, folder)


def test_what_is_not_read_is_named(folder: Path) -> None:
    before = read_folder(folder)
    assert before.passed_over == ()
    (folder / "Empty").mkdir()
    (folder / "Scans").mkdir()
    (folder / "Scans" / "0.czi").write_bytes(b"\0")
    (folder / "Flat" / "again").mkdir()
    (folder / "Flat" / "notes.txt").write_text("no image")
    (folder / "Flat" / ".hidden").write_text("left alone")
    (folder / "Round" / "link.png").symlink_to("nowhere.png")
    tifffile.imwrite(folder / "Third.tif", np.zeros((4, 1, 9, 7), np.uint16), metadata={"axes": "ICYX"})
    after = read_folder(folder)
    assert after.sha256() == before.sha256()
    assert after.passed_over == (
        "Empty: a folder of 0 entries, no image among them",
        "Flat/again: a folder in a class",
        "Flat/notes.txt: no image that is read",
        "Round/link.png: a link to nowhere.png, which is not there",
        "Scans: a folder of 1 entries, no image among them",
        "Third.tif: lies beside the class folders",
    )


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float32])
def test_images_of_differing_types_are_refused(folder: Path, kind: type[np.generic], seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 2, (9, 7)).astype(kind)
    tifffile.imwrite(folder / "Round" / "z.tif", pixels)
    message = refusal(read_folder, folder)
    assert "differing types" in message
    assert "uint16 (Flat/p0___w0___c00.png)" in message
    assert f"{np.dtype(kind).name} (Round/z.tif)" in message
    pieces = read_pieces(folder, size=8)  # the type is that of the whole set, not of a piece
    with pytest.raises(IcsortError, match="differing types"):
        list(pieces)
    assert sum(len(piece.images) for piece in read_pieces(folder, size=8, one_type=False)) == 25
