# SPDX-License-Identifier: Apache-2.0
"""Images from pieces, whatever the line loses; the files against tifffile."""

import json
import random
import resource
import struct
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile

from icsort.formats.image_list import read_list
from icsort.formats.package import load
from icsort.host.images import Image, ImageAssembler, write_tiff
from icsort.host.link.protocol import ImagePiece, ImageReason, parse
from icsort.sim.bit_true.framing import FrameError
from tests.host.fake_board import IMAGE_REQUEST, IMAGE_RULE, FakeBoard, pieces_of

SIZE = 330


def parsed(event: int, pixels: bytes, reason: ImageReason = ImageReason.EVERY) -> list[ImagePiece]:
    pieces = [parse(b"\xe3\x00" + body) for body in pieces_of(event, pixels, reason)]
    assert all(isinstance(piece, ImagePiece) for piece in pieces)
    return [piece for piece in pieces if isinstance(piece, ImagePiece)]


def test_a_piece_as_the_page_has_it() -> None:
    body = struct.pack("<IBBHHH", 2**32 - 2, 254, 3, 0, 4, 9) + bytes(range(8))
    assert parse(b"\xe3\x07" + body) == ImagePiece(7, 2**32 - 2, 254, ImageReason.GATE, 4, 9, bytes(range(8)))
    for wrong in (body[:11], body[:12], body[:-1], struct.pack("<IBBHHH", 0, 0, 3, 0, 9, 9) + b"\0" * 4,
                  struct.pack("<IBBHHH", 0, 0, 4, 0, 0, 9) + b"\0" * 4):  # fmt: skip
        with pytest.raises(FrameError):
            parse(b"\xe3\x00" + wrong)


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.6])
def test_what_lacks_a_piece_is_dropped_and_counted(seed: int, loss: float) -> None:
    draw = random.Random(seed)
    sent = [draw.randbytes(SIZE) for _ in range(60)]
    assembler, came, whole, touched = ImageAssembler(SIZE), [], [], 0
    for event, pixels in enumerate(sent):
        pieces = parsed(event, pixels)
        kept = [piece for piece in pieces if draw.random() >= loss]
        whole += [event] * (len(kept) == len(pieces))
        touched += bool(kept)
        came += [image for piece in kept if (image := assembler.see(piece))]
    assembler.close()
    assert [image.event_id for image in came] == whole
    assert all(image.pixels == sent[image.event_id] for image in came)
    assert (assembler.complete, assembler.incomplete) == (len(whole), touched - len(whole))


def test_a_board_that_was_reset_within_an_image() -> None:
    """Its first event has the number of the one that was under way."""
    old, new = parsed(0, b"\1" * SIZE), parsed(0, b"\2" * SIZE)
    assembler = ImageAssembler(SIZE)
    images = [image for piece in old[:2] + new if (image := assembler.see(piece))]
    assert [image.pixels for image in images] == [b"\2" * SIZE]
    assert assembler.incomplete == 1


def test_another_size_is_no_image() -> None:
    assembler = ImageAssembler(SIZE + 4)
    assert not any(assembler.see(piece) for piece in parsed(0, bytes(SIZE)))
    assert (assembler.complete, assembler.incomplete) == (0, 1)


@pytest.mark.parametrize("channels", [("BF",), ("brightfield 1", "a"), ("A", "BC", "DEF", "GHIJ", "KLMNO", "P", "Q")])
def test_files(seed: int, tmp_path: Path, channels: tuple[str, ...]) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (7, 5, len(channels)), dtype=np.uint8)
    write_tiff(tmp_path / "image.tiff", Image(0, 0, ImageReason.GATE, pixels.tobytes()), 7, 5, channels)
    with tifffile.TiffFile(tmp_path / "image.tiff") as tiff:
        pages = list(tiff.pages)
        assert [page.aspage().tags[285].value for page in pages] == list(channels)
        assert np.array_equal(np.stack([page.asarray() for page in pages], axis=-1), pixels)


def test_snapshot(board: FakeBoard, tmp_path: Path) -> None:
    """By request, by n-th and by gate: what comes is kept, and read as a data set; the rule ends with it."""
    from tests.host.commands.test_board_commands import icsort, refusal

    channels, height, width = board.channels, 40, 38
    draw = np.random.default_rng(1)
    sent = [draw.integers(0, 256, (height, width, channels), dtype=np.uint8) for _ in range(4)]
    at = ("--port", board.port, "--json")

    def answer() -> None:
        """Two images and a broken one as soon as they are asked for."""
        if board.requests[-1][:1] == b"\x02" and int.from_bytes(board.requests[-1][2:4], "little") in (
            IMAGE_RULE, IMAGE_REQUEST
        ) and board.requests[-1][4:] != bytes(4):  # fmt: skip
            for event in (0, 1, 2):
                bodies = list(pieces_of(event, sent[event].tobytes(), ImageReason.EVERY))
                board.put(b"".join(board.image(body) for body in (bodies[:3] + bodies[4:] if event == 1 else bodies)))

    board.on_request = answer
    for how, written in ((("--every", "3"), 3 << 8 | 2), (("--gate", "5"), 5 << 8 | 3), ((), None)):
        out = tmp_path / f"images{len(how)}{written}"
        done = icsort("snapshot", *how, "--count", "2", "--out", str(out), *at)
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert [entry["event"] for entry in document["images"]] == [0, 2]
        assert document["incomplete"] == 1
        if written is not None:
            rules = [request[4:] for request in board.requests if request[:1] + request[2:4] == b"\x02\x28\x04"]
            assert written.to_bytes(4, "little") in rules
        assert board.registers[IMAGE_RULE] == 0
        for entry, event in zip(document["images"], (0, 2), strict=True):
            kept = tifffile.imread(out / entry["file"])
            assert np.array_equal(np.moveaxis(kept, 0, -1), sent[event])
    seen = icsort("data", "info", str(out), "--json")
    assert seen.returncode == 0, seen.stderr
    assert json.loads(seen.stdout)["cells"] == 2
    assert "--every or --gate, not both" in refusal("snapshot", "--every", "1", "--gate", "1", "--out", "x", *at[:2])
    assert "is no gate's number" in refusal("snapshot", "--gate", "cd4", "--out", str(tmp_path / "y"), *at[:2])


def armed(board: FakeBoard) -> bool:
    until = time.monotonic() + 30
    while not board.armed and time.monotonic() < until:
        time.sleep(0.02)
    return board.armed


@pytest.mark.parametrize(("limit", "full"), [(2**30, False), (2**11, True)])
def test_watch_keeps_images_while_it_sorts(
    board: FakeBoard, package: Path, tmp_path: Path, limit: int, full: bool
) -> None:
    """Each of an event by its number, those that lack a piece counted; a full disk ends the images and not the sort."""
    from tests.host.commands.test_board_commands import icsort, start

    at = ("--port", board.port, "--model", str(package))
    assert icsort("gate", "set", "M", *at).returncode == 0
    folder, draw = tmp_path / "images", np.random.default_rng(2)
    sent = [draw.integers(0, 256, (40, 38, board.channels), dtype=np.uint8) for _ in range(6)]
    words = ("watch", "--arm", "--images", str(folder), "--image-every", "2", "--json", "--count", "6", *at)
    watch = start(*words, preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)))
    assert watch.stdout is not None
    assert armed(board)
    assert board.registers[IMAGE_RULE] == 2 << 8 | ImageReason.EVERY
    for event, pixels in enumerate(sent):
        if event % 2:
            bodies = list(pieces_of(event, pixels.tobytes(), ImageReason.EVERY))
            board.put(b"".join(board.image(body) for body in (bodies[1:] if event == 3 else bodies)))
        board.counters[0x540] += 1
        board.put(board.event(event, time=100 * event))
        assert watch.stdout.readline()
        assert board.armed
    out, errors = watch.communicate(timeout=60)
    assert watch.returncode == 0, errors
    assert (board.armed, board.registers[IMAGE_RULE]) == (False, 0)
    summary = json.loads(out.splitlines()[-1])["summary"]
    assert (summary["events"], summary["images"]["skipped"]) == (6, 6)
    assert ("File too large after 0 images, which are kept" in errors) == full
    assert ("stopped" in summary["images"]) == full
    kept = read_list(folder)
    assert kept.events.tolist() == ([] if full else [1, 5])
    assert len(list(folder.glob("*.tiff"))) == summary["images"]["images"] == len(kept.files)
    for file, number in zip(kept.files, kept.events.tolist(), strict=True):
        assert np.array_equal(np.moveaxis(tifffile.imread(folder / file), 0, -1), sent[number])
        assert file.endswith(f"event-{number}.tiff")
    assert kept.head.model_id == load(package).model_id
    if not full:
        assert kept.end is not None
        assert (kept.end.incomplete, kept.end.skipped) == (1, 6)
        assert summary["images"]["incomplete"] == 1


def test_what_watch_refuses_of_images(board: FakeBoard, package: Path, tmp_path: Path) -> None:
    from tests.host.commands.test_board_commands import icsort, refusal

    at = ("--port", board.port, "--model", str(package))
    assert "exists already" in refusal("watch", "--images", str(tmp_path), *at)
    assert "--image-every or --image-gate, not both" in refusal("watch", "--image-every", "1", "--image-gate", "1", *at)
    assert "say of which events --images FOLDER" in refusal("watch", "--image-every", "1", *at)
    assert "is no gate's number" in refusal("watch", "--images", str(tmp_path / "a"), "--image-gate", "cd4", *at)
    # Nothing is left where the board is not to be armed.
    assert "no gate is set" in refusal("watch", "--arm", "--images", str(tmp_path / "a"), *at)
    assert not (tmp_path / "a").exists()
    assert icsort("watch", "--images", str(tmp_path / "a"), "--idle", "0.1", *at).returncode == 0
    assert read_list(tmp_path / "a").files == ()
