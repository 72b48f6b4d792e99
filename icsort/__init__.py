# SPDX-License-Identifier: Apache-2.0
"""Sort cells by their images with a quantized neural network in an FPGA, and prove it without vendor tools."""

from importlib.metadata import version

__version__ = version("icsort")
