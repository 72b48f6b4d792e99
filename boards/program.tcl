# SPDX-License-Identifier: Apache-2.0
# Loads sorter.bit of a project folder into the first FPGA that Vivado's hardware server finds:
#
#   vivado -mode batch -nojournal -source program.tcl
#
# in that folder. Not run against a real Vivado yet; tested as build.tcl is.

cd [file dirname [file normalize [info script]]]

open_hw_manager
connect_hw_server
open_hw_target
set device [lindex [get_hw_devices xc*] 0]
current_hw_device $device
set_property PROGRAM.FILE sorter.bit $device
program_hw_devices $device
close_hw_manager
