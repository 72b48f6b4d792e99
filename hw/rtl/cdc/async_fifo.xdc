# SPDX-License-Identifier: Apache-2.0
# Of each async_fifo: the bits of a pointer in Gray code cross within a cycle of either clock, so that no two steps mix, and so do the
# words behind them. 4 ns are a cycle of 250 MHz; for a faster clock, less.
set_max_delay -datapath_only -from [get_cells {write_gray_q_reg[*]}] -to [get_cells {write_seen_q_reg[*]}] 4.000
set_max_delay -datapath_only -from [get_cells {read_gray_q_reg[*]}] -to [get_cells {read_seen_q_reg[*]}] 4.000
set_bus_skew -from [get_cells {write_gray_q_reg[*]}] -to [get_cells {write_seen_q_reg[*]}] 4.000
set_bus_skew -from [get_cells {read_gray_q_reg[*]}] -to [get_cells {read_seen_q_reg[*]}] 4.000
set_max_delay -datapath_only -from [get_cells {mem_reg*}] -to [get_cells {m_axis_tdata_reg[*]}] 4.000
