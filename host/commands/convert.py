# SPDX-License-Identifier: Apache-2.0
"""`icsort convert`: recorded images and events in one file for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json
from icsort.cli.options import out as out_option
from icsort.errors import IcsortError
from icsort.output import result_folder, result_path

RTDC, ZARR = ".rtdc", ".zarr"


def convert(
    images: Annotated[
        Path, typer.Argument(help="Folder of images that `icsort watch` or `icsort sort` kept.", show_default=False)
    ],
    out: Annotated[Path, out_option("FILE.rtdc (dclab, Shape-Out), or FOLDER.zarr (OME-Zarr 0.5) to make.")],
    recording: Annotated[
        Path | None,
        typer.Option(help="FCS file of the same events, where it is not where the images say.", show_default=False),
    ] = None,
    image_channel: Annotated[
        str | None,
        typer.Option(help="Channel of an .rtdc file's `image`; all others are beside it.", show_default="the first"),
    ] = None,
    metadata: Annotated[
        Path | None, typer.Option(help="TOML file of what dclab asks of an instrument, for an .rtdc file.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Put recorded images, and all that was recorded of their events, into one file for other programs.

    Example: icsort convert images --out cells.rtdc
    """
    from icsort.formats.recorded_images import RecordedImages

    if out.suffix not in (RTDC, ZARR):
        raise IcsortError(f"--out {out}: is neither FILE{RTDC} nor FOLDER{ZARR}; the name says which is made")
    if out.suffix == ZARR and (image_channel is not None or metadata is not None):
        raise IcsortError(f"--image-channel and --metadata are of a file that is {RTDC}; leave them out")
    with console.progress("convert") as progress:
        if out.suffix == ZARR:
            from icsort.formats.ome_zarr import METADATA_FILE, write_ome_zarr

            recorded = RecordedImages.of(images, recording)
            with result_folder(out, METADATA_FILE, force) as folder:
                account = write_ome_zarr(folder, recorded, progress)
        else:
            from icsort.formats.document import read_toml
            from icsort.formats.rtdc import Metadata, is_earlier, write_rtdc

            stated = (
                Metadata() if metadata is None else read_toml(Metadata, metadata, "docs/recording.md lists the keys")
            )
            recorded = RecordedImages.of(images, recording)
            channel = channel_number(recorded.images.head.channels, image_channel)
            with result_path(out, is_earlier, force) as path:
                account = write_rtdc(path, recorded, channel, stated, progress)
    if as_json:
        console.show_json(account | {"out": str(out)})
    else:
        from icsort.formats.recorded_images import account_lines

        console.show("\n".join([f"{out}:", *(f"  {line}" for line in account_lines(account))]))


def channel_number(channels: tuple[str, ...], name: str | None) -> int:
    """Of a channel by its name, the first without one. Raises IcsortError for a name that there is not."""
    if name is None:
        return 0
    if name not in channels:
        raise IcsortError(f"--image-channel {name}: there is no such channel; there are {', '.join(channels)}")
    return channels.index(name)
