# SPDX-License-Identifier: Apache-2.0
# Places and routes a build out of context, for any board: part, clock and files come from the build folder.
#
#   vivado -mode batch -nojournal -source boards/vivado.tcl -tclargs BUILD OUT
#
# OUT gets icsort_build.dcp (the routed checkpoint, to be instantiated beside the pipeline that makes the line stream),
# timing.rpt, utilization.rpt and icsort_build.xdc. Not run against a real Vivado yet; tests run it in
# plain Tcl with Vivado's commands replaced.

lassign $argv build out
set build [file normalize $build]
set out [file normalize $out]

proc value {text key} {
    # Core Tcl reads no JSON; these two keys stand at the top level of build.json, once each.
    if {![regexp "\"$key\": \"?(\[^\",\n\]+)" $text -> found]} { error "build.json has no $key" }
    return $found
}

proc contents {path} {
    set file [open $path]
    set text [read $file]
    close $file
    return $text
}

set description [contents [file join $build build.json]]
set part [value $description part]
set period [format %.3f [expr {1000.0 / [value $description clock_mhz]}]]

# The RTL names memory files as mem/NAME.hex, from the folder that the tool runs in.
file mkdir $out
cd $out
if {![file exists mem]} { file link -symbolic mem [file join $build mem] }

foreach source [contents [file join $build files.f]] {
    read_verilog -sv [file join $build $source]
}
set constraints [open icsort_build.xdc w]
puts $constraints "create_clock -name clk -period $period \[get_ports clk\]"
close $constraints
read_xdc -mode out_of_context icsort_build.xdc

synth_design -top icsort_build -part $part -mode out_of_context
opt_design
place_design
phys_opt_design
route_design

report_timing_summary -file timing.rpt
report_utilization -file utilization.rpt
write_checkpoint -force icsort_build.dcp
