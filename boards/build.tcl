# SPDX-License-Identifier: Apache-2.0
# Makes the bitstream of a project folder that `icsort build` wrote, for any board of the 7 series or UltraScale+:
#
#   vivado -mode batch -nojournal -source build.tcl
#
# in that folder. Part and top come from project.json, sources from files.f, constraints from every *.xdc. It leaves
# sorter.bit, sorter.xsa, the routed checkpoint and reports beside them. Not run against a real Vivado yet; the tests run
# it in plain Tcl, with stand-ins that know Vivado's commands, options, cells and properties.

cd [file dirname [file normalize [info script]]]

proc contents {path} {
    set file [open $path]
    set text [read $file]
    close $file
    return $text
}

proc value {text key} {
    # Core Tcl reads no JSON; these keys stand at the top level of project.json, once each.
    if {![regexp "\"$key\": \"(\[^\"\n\]+)\"" $text -> found]} { error "project.json has no $key" }
    return $found
}

set project [contents project.json]
set part [value $project part]
set top [value $project top]

foreach source [contents files.f] {
    read_verilog -sv $source
}
foreach constraints [lsort [glob *.xdc]] {
    read_xdc $constraints
}
# NAME.xdc is of every instance of the module NAME; Vivado warns of one that the design has not.
foreach constraints [lsort [glob cdc/*.xdc]] {
    read_xdc -ref [file rootname [file tail $constraints]] $constraints
}

# The RTL names memory files as mem/NAME.hex, from the folder that the tool runs in: this one.
synth_design -top $top -part $part
opt_design
place_design
phys_opt_design
route_design

report_timing_summary -file timing.rpt
report_utilization -file utilization.rpt
report_cdc -details -file cdc.rpt
write_checkpoint -force routed.dcp
write_bitstream -force sorter.bit
# Vivado's manual wants a block design in a platform: this file is for who has added one, and the bitstream is there.
if {[catch {write_hw_platform -fixed -include_bit -force sorter.xsa} reason]} {
    puts "sorter.xsa was not written: $reason"
}
