# SPDX-License-Identifier: Apache-2.0
"""Response of cells to a treatment, from several inputs: for a laboratory's analysis, in floating point on the CPU."""
