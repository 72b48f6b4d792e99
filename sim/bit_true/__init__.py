# SPDX-License-Identifier: Apache-2.0
"""The integer arithmetic that training, hardware and host share: one bit-true home, NumPy only."""
