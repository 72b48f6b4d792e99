# SPDX-License-Identifier: Apache-2.0
"""The hardware: FINN's graph of a model package, folded and generated as SystemVerilog inside the sorter."""
