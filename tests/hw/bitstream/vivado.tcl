# SPDX-License-Identifier: Apache-2.0
# Vivado's commands for plain Tcl, as far as scripts here use them. Each takes the options that the manual gives it (UG835,
# UG903) and no others; what a script names must exist: files, parts, modules, ports, pins, I/O standards, properties.
#
# The test sets `facts`: parts, modules, and of the board ports (a bit each, with its direction) and pins. Every command is
# printed with its words. block_design.tcl has those of projects, IPs and block designs.

# command -> options that are flags, options with a value, least and most words besides
set commands {
    read_verilog          {-sv -quiet} {-library} 1 99
    read_xdc              {-unmanaged -quiet} {-cells -ref -mode} 1 1
    synth_design          {-rtl -quiet} {-top -part -mode -generic -flatten_hierarchy -directive -verilog_define} 0 0
    opt_design            {-quiet} {-directive} 0 0
    place_design          {-quiet} {-directive} 0 0
    phys_opt_design       {-quiet} {-directive} 0 0
    route_design          {-quiet} {-directive} 0 0
    report_timing_summary {-quiet -warn_on_violation} {-file -delay_type -max_paths} 0 0
    report_utilization    {-quiet -hierarchical} {-file} 0 0
    report_cdc            {-quiet -details -no_header} {-file -severity} 0 0
    write_checkpoint      {-force -quiet} {} 1 1
    write_bitstream       {-force -bin_file -quiet} {} 1 1
    write_hw_platform     {-fixed -force -include_bit -minimal -quiet} {} 0 1
    create_clock          {-add -quiet} {-name -period -waveform} 0 1
    set_false_path        {-setup -hold -quiet} {-from -to -through} 0 0
    set_max_delay         {-datapath_only -quiet} {-from -to -through} 1 1
    set_bus_skew          {-quiet} {-from -to} 1 1
    get_cells             {-quiet -hierarchical} {-filter} 1 1
    get_pins              {-quiet -hierarchical} {-filter} 1 1
    set_property          {-quiet} {-dict} 1 3
    get_ports             {-quiet} {-filter} 0 1
    open_hw_manager       {-quiet} {} 0 0
    connect_hw_server     {-quiet} {-url} 0 0
    open_hw_target        {-quiet} {} 0 1
    get_hw_devices        {-quiet} {} 0 1
    current_hw_device     {-quiet} {} 0 1
    program_hw_devices    {-quiet} {} 1 1
    close_hw_manager      {-quiet} {} 0 0
}
set standards {LVCMOS33 LVCMOS25 LVCMOS18 LVDS LVDS_25 DIFF_SSTL12}
set drives {4 8 12 16}
set pulls {PULLUP PULLDOWN KEEPER NONE}

set read_sources {}
set read_constraints {}
set stage {}
array set placed {}    ;# port -> pin
array set standard {}  ;# port -> I/O standard
array set clocks {}

proc must {condition text} { if {![uplevel 1 [list expr $condition]]} { error $text } }

proc define {commands} {
  foreach {command flags valued least most} $commands {
    proc ::$command args [format {
        set given {}
        set words {}
        for {set i 0} {$i < [llength $args]} {incr i} {
            set word [lindex $args $i]
            if {[lsearch -exact {%2$s} $word] >= 0} {
                dict set given $word 1
            } elseif {[lsearch -exact {%3$s} $word] >= 0} {
                dict set given $word [lindex $args [incr i]]
            } elseif {[string match -* $word]} {
                error "%1$s: there is no option $word"
            } else {
                lappend words $word
            }
        }
        if {[llength $words] < %4$d || [llength $words] > %5$d} { error "%1$s: wrong number of words: $words" }
        puts "%1$s [string map {\n { }} $args]"
        if {[llength [info procs ::do_%1$s]]} { return [::do_%1$s $given $words] }
    } $command $flags $valued $least $most]
  }
}
define $commands
proc unknown args { error "Vivado has no command [lindex $args 0]" }

proc do_read_verilog {given words} {
    global read_sources
    foreach file $words {
        must {[file isfile $file]} "read_verilog: there is no file $file"
        must {[dict exists $given -sv] == [string match *.sv $file]} "read_verilog: $file is SystemVerilog, which -sv says"
        lappend read_sources $file
    }
}
proc do_read_xdc {given words} {
    must {[file isfile $words]} "read_xdc: there is no file $words"
    set module [expr {[dict exists $given -ref] ? [dict get $given -ref] : {}}]
    must {$module eq {} || [dict exists $::facts registers $module]} "read_xdc -ref: there is no module $module"
    lappend ::read_constraints $module $words
}
proc do_synth_design {given words} {
    global facts read_sources read_constraints
    foreach {option key} {-part parts -top modules} {
        set named [expr {[dict exists $given $option] ? [dict get $given $option] : {}}]
        must {[lsearch -exact [dict get $facts $key] $named] >= 0} "synth_design: $named is none of the $key"
    }
    must {[llength $read_sources]} "synth_design: nothing was read"
    foreach file [dict get $facts memories] {
        must {[file isfile $file]} "synth_design: the RTL reads $file, which is not there"
    }
    foreach {module file} $read_constraints {
        set ::scope $module
        source $file
    }
    lappend ::stage synth_design
}
foreach {step before} {
    opt_design synth_design  place_design opt_design  phys_opt_design place_design  route_design place_design
    report_cdc synth_design  report_timing_summary synth_design  report_utilization synth_design
    write_checkpoint synth_design  write_bitstream route_design  write_hw_platform write_bitstream
} {
    if {![llength [info procs do_$step]]} {
        proc do_$step {given words} [format {
            global stage
            must {[lsearch -exact $stage %2$s] >= 0} "%1$s: comes behind %2$s"
            lappend stage %1$s
            foreach file [concat [expr {[dict exists $given -file] ? [list [dict get $given -file]] : {}}] $words] {
                close [open $file w]
            }
            if {"%1$s" eq "write_bitstream"} { every_port_is_placed }
        } $step $before]
    }
}

proc every_port_is_placed {} {
    global placed standard facts clocks
    dict for {port direction} [dict get $facts ports] {
        must {[info exists placed($port)]} "write_bitstream: port $port has no PACKAGE_PIN (UCIO-1)"
        must {[info exists standard($port)]} "write_bitstream: port $port has no IOSTANDARD (NSTD-1)"
    }
    must {[array size clocks]} "write_bitstream: no clock is defined"
}
proc do_get_ports {given words} {
    set found [lsearch -all -inline -glob [dict keys [dict get $::facts ports]] [string map {[ \\[ ] \\]} [lindex $words 0]]]
    must {[llength $found]} "get_ports: there is no port [lindex $words 0]"
    return $found
}
# Cells and pins of the module that constraints are scoped to, by the registers of its source: X is X_reg[0], X_reg[1], ...
proc do_get_cells {given words} {
    foreach word [lindex $words 0] {
        must {[regexp {^(\w+)_reg(\[(\*|\d+)\]|\*)?$} $word -> register]} "get_cells: $word is no name of a register"
        must {[lsearch -exact [dict get $::facts registers $::scope] $register] >= 0} "get_cells: $::scope has no $register"
    }
    return inside
}
proc do_get_pins {given words} {
    foreach word [lindex $words 0] {
        must {[regexp {^(.+)/(C|D|Q|CE|CLR|PRE|R|S)$} $word -> cell]} "get_pins: $word is no pin of a register"
        do_get_cells {} [list $cell]
    }
    return inside
}
proc do_set_max_delay {given words} {
    must {[string is double -strict $words] && $words > 0} "set_max_delay: $words is no time"
    must {[dict exists $given -from]} "set_max_delay -datapath_only: wants -from"
}
proc do_set_bus_skew {given words} {
    must {[string is double -strict $words] && $words > 0} "set_bus_skew: $words is no time"
    must {[dict exists $given -from] && [dict exists $given -to]} "set_bus_skew: wants -from and -to"
}
proc do_create_clock {given words} {
    must {[dict exists $given -period] && [dict get $given -period] > 0} "create_clock: no -period"
    foreach port [lindex $words 0] {
        must {[dict get $::facts ports $port] eq "input"} "create_clock: $port is no input"
        set ::clocks($port) [dict get $given -period]
    }
}
proc do_set_false_path {given words} {
    foreach {option direction} {-from input -to output} {
        foreach port [expr {[dict exists $given $option] ? [dict get $given $option] : {}}] {
            if {$port eq "inside"} continue
            must {[dict get $::facts ports $port] eq $direction} "set_false_path $option: $port is no $direction"
        }
    }
}
proc do_set_property {given words} {
    set dictionary [dict exists $given -dict]
    set settings [expr {$dictionary ? [dict get $given -dict] : [lrange $words 0 1]}]
    foreach object [lindex $words end] {
        foreach {name value} $settings { set_one $name $value $object }
    }
}
proc set_one {name value object} {
    global placed standard facts
    if {[regexp {^([a-z]+):(.*)$} $object -> kind of]} { return [set_of_$kind $name $value $of] }
    switch -- $name {
        PACKAGE_PIN {
            must {[dict exists $facts pins $value]} "PACKAGE_PIN: the board wires nothing to $value"
            foreach {port pin} [array get placed] { must {$pin ne $value} "PACKAGE_PIN: $value is that of $port" }
            set placed($object) $value
        }
        IOSTANDARD {
            must {[lsearch -exact $::standards $value] >= 0} "IOSTANDARD: there is no $value"
            set standard($object) $value
        }
        DRIVE { must {[lsearch -exact $::drives $value] >= 0} "DRIVE: there is no $value" }
        PULLTYPE { must {[lsearch -exact $::pulls $value] >= 0} "PULLTYPE: there is no $value" }
        PROGRAM.FILE { must {[file isfile $value]} "PROGRAM.FILE: there is no $value" }
        default { error "set_property: there is no property $name" }
    }
}
proc do_get_hw_devices {given words} { return [lsearch -all -inline -glob {arm_dap_0 xc7z020_1} [lindex $words 0]] }
