# SPDX-License-Identifier: Apache-2.0
"""Training of quantized cell classifiers on a sorter's own images, and their export to model packages."""
