# SPDX-License-Identifier: Apache-2.0
"""Proof without vendor tools: compiled RTL, simulation against references, a virtual board, the demo."""
