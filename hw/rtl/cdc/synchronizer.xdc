# SPDX-License-Identifier: Apache-2.0
# Of each synchronizer: the first flip-flop takes a level whenever it comes.
set_false_path -to [get_pins {sync_q_reg[0]/D}]
