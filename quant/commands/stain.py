# SPDX-License-Identifier: Apache-2.0
"""`icsort stain`."""

import inspect
import sys
from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json, Merge, Ray, Seed, out
from icsort.errors import IcsortError
from icsort.quant.commands.networks import ActivationBits, Crop, ListArchs, Reduce, WeightBits, Width, Window, arch
from icsort.quant.commands.words import DigitizeOption, digitization, names, parse_merge

_OF_FIELD = {"data", "from_", "to", "out", "field", "tile", "test_share", "image_epochs", "seed", "force", "as_json"}


def stain(
    data: Annotated[
        Path,
        typer.Argument(
            help="Cells, labelled or not, one channel of which is a stain; with --field a folder of pictures of one "
            "field, a channel each."
        ),
    ],
    from_: Annotated[str, typer.Option("--from", help="Channels that the network sees, separated by commas.")],
    to: Annotated[str, typer.Option(help="Channel of the stain, which it predicts and does not see.")],
    out: Annotated[Path, out("Folder to make; an interrupted one goes on where it was.")],
    field: Annotated[
        bool, typer.Option("--field", help="Draw the stain of a whole field: its image alone, in tiles.")
    ] = False,
    tile: Annotated[int | None, typer.Option(help="Pixels of a side of a field's tiles (128).")] = None,
    test_share: Annotated[
        float | None, typer.Option(help="Share of a field's columns, on the right, that are tested (0.25).")
    ] = None,
    folds: Annotated[int, typer.Option(min=3, help="Trainings, which test every cell once.")] = 5,
    arch: Annotated[str, arch()] = "resnet8",
    width: Width = 1.0,
    weight_bits: WeightBits = 4,
    activation_bits: ActivationBits = 4,
    float_epochs: Annotated[int | None, typer.Option(min=1, help="Passes of the float networks.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes of the quantized ones, which follow these.")] = None,
    image_epochs: Annotated[int | None, typer.Option(min=1, help="Passes of the network that draws the image.")] = None,
    no_image: Annotated[bool, typer.Option("--no-image", help="Predict the total alone, without an image.")] = False,
    channels: Annotated[str | None, typer.Option(help="Names of the data's channels, in order.")] = None,
    digitize: DigitizeOption = None,
    window: Window = "trigger",
    reduce: Reduce = 1,
    crop: Crop = 0,
    unstained: Annotated[
        Path | None, typer.Option(help="Cells without the stain, in which whatever is predicted is invented.")
    ] = None,
    merge: Merge = None,
    seed: Seed = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Folds that train side by side, each in a process.")] = 1,
    ray: Ray = None,
    force: Force = False,
    as_json: Json = False,
    _list_archs: ListArchs = False,
) -> None:
    """Predict a stain from channels that need none: its total, for gates in the FPGA, and its image.

    Example: icsort stain images/ --from Brightfield,Darkfield --to PI --out out/stain
    """
    given = dict(locals())
    if field:
        for name, option in inspect.signature(stain).parameters.items():
            if name not in _OF_FIELD and given[name] not in (None, option.default):
                raise IcsortError(
                    f"--{name.replace('_', '-')} is of cells, and --field draws the image of a field: leave one of "
                    "them out"
                )
        _field(
            data, names(from_) or [], to.strip(), out, tile=tile, epochs=image_epochs, test_share=test_share, seed=seed,
            force=force, as_json=as_json,
        )  # fmt: skip
        return
    if tile is not None or test_share is not None:
        raise IcsortError("--tile and --test-share are of a field: give --field too, or leave them out")
    from icsort.quant.cells.dataset import Dataset, concatenate
    from icsort.quant.cells.find import read_pieces
    from icsort.quant.networks.architectures import Architecture
    from icsort.quant.stain import stain_page
    from icsort.quant.stain.stain import FLOAT, IMAGE_EPOCHS, QUANTIZED, predict_stain
    from icsort.report import page as report

    def read(folder: Path) -> Dataset:
        pieces = read_pieces(folder, names(channels), digitization(digitize), size=None, labelled=False)
        return concatenate(pieces).reduced(reduce, crop)

    cells = read(data)
    print(f"{len(cells.images)} cells: {cells.origin}", file=sys.stderr if as_json else sys.stdout)
    found = predict_stain(
        cells,
        names(from_) or [],
        to.strip(),
        out,
        folds=folds,
        architecture=Architecture(arch, width, 1.0, weight_bits, activation_bits),
        float_epochs=float_epochs or FLOAT.epochs,
        epochs=epochs or QUANTIZED.epochs,
        image_epochs=0 if no_image else image_epochs or IMAGE_EPOCHS,
        merged=parse_merge(merge or []),
        window=window,
        unstained=None if unstained is None else read(unstained),
        seed=seed,
        jobs=jobs,
        ray=ray,
        force=force,
        progress=not as_json,
    )
    figures = found.figures
    stain_page.write(out, found)
    if as_json:
        console.show_json(figures)
        return
    number, plain, image = figures["quantized"], figures["float"], figures["image"]
    print(f"cells                {number['cells']}, {number['not_triggered']} never triggered")
    print(f"r, in integers       {stain_page.r_text(number['pearson'])}   ({figures['network']})")
    print(f"r, in float          {stain_page.r_text(plain['pearson'])}")
    for name, entry in number["within"].items():
        print(f"  within {name:<12}{stain_page.r_text(entry)}, float {stain_page.r_text(plain['within'].get(name))}")
    print(f"error, deviation     {number['rmse']:,.0f}, {number['deviation']:,.0f} {figures['unit']}")
    if image is not None:
        for key, name in (("unet", "U-Net"), ("linear", "linear filter")):
            pixels = stain_page.r_text(image[key]["pixels"])
            print(f"image, {name:<14}r over pixels {pixels}, SSIM {image[key]['ssim']:.3f}")
    print(f"packages             {out / figures['packages'][0]}, ..")
    print(f"report               {out / report.PAGE_FILE}")


def _field(
    folder: Path,
    inputs: list[str],
    to: str,
    out: Path,
    *,
    tile: int | None,
    epochs: int | None,
    test_share: float | None,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    from icsort.quant.stain.field import EPOCHS, TEST_SHARE, TILE
    from icsort.quant.stain.field_page import stain_field
    from icsort.quant.stain.stain_page import r_text
    from icsort.report import page as report

    figures = stain_field(
        folder,
        inputs,
        to,
        out,
        tile=tile or TILE,
        epochs=epochs or EPOCHS,
        test_share=TEST_SHARE if test_share is None else test_share,
        seed=seed,
        force=force,
        progress=not as_json,
    )
    if as_json:
        console.show_json(figures)
        return
    (_, trained), (tested, width), test = figures["trained_columns"], figures["tested_columns"], figures["test"]
    for line in figures["data"]["passed_over"]:
        console.warn(f"passed over {line}")
    print(f"trained on columns   0 to {trained}, tested on {tested} to {width}: {test['pixels']:,} pixels")
    for key, name in (("unet", "U-Net"), ("linear", "linear filter")):
        print(f"{name:<21}r over pixels {r_text(test[key])}, SSIM {test[key]['ssim']:.3f}")
    print(f"report               {out / report.PAGE_FILE}")
