# SPDX-License-Identifier: Apache-2.0
"""The networks by name: a new architecture is one file with its trunk, and one entry here. Imports no torch."""

from dataclasses import dataclass

STEMS = ("standard", "3x3", "pool")


@dataclass(frozen=True)
class Entry:
    """An architecture. trunk: module and function (channels, Options) -> Chain. flat: its head sees the last map
    flattened in NHWC order, that of hardware's pixel stream; else the mean over rows and columns."""

    trunk: str
    help: str
    flat: bool = False


ARCHITECTURES = {
    "student": Entry("student:student", "two 3 x 3 convolutions, each with a 2 x 2 max pool", flat=True),
    "resnet8": Entry("resnet:resnet8", "residual, three blocks, for small images"),
    "resnet18": Entry("resnet:resnet18", "residual, eight blocks (He et al. 2016)"),
    "resnet50": Entry("resnet:resnet50", "residual, sixteen bottlenecks (He et al. 2016)"),
    "mobilenet_v2": Entry("mobilenet_v2:mobilenet_v2", "inverted residual blocks (Sandler et al. 2018)"),
}

# Networks of Brevitas's examples, at their own shapes and bits: TFC and LFC are dense, CNV convolutional.
PUBLISHED = (
    *("tfc-1w1a", "tfc-1w2a", "tfc-2w2a", "lfc-1w1a", "lfc-1w2a"),
    *("cnv-1w1a", "cnv-1w2a", "cnv-2w2a", "mobilenet-v1-4b"),
)
