# SPDX-License-Identifier: Apache-2.0
# Vivado's commands for projects, IPs and block designs, in plain Tcl, on top of vivado.tcl (UG835, UG994, UG1118), and what
# AMD's cells have by their product guides (PG082, PG201, PG021, PG085, PG099, PG164, PG247): versions, parameters with their
# values, pins, interfaces. A pin is {direction kind width}, an interface {mode bus}, each with the parameters without which it
# is not there. The test sets, besides the facts of vivado.tcl: `board_parts`, and `own`, the cells that the project brings.
#
# Objects are words with their kind in front: cell:ps, file:system.bd. Pins are CELL/PIN, those of the design itself ports.

namespace eval ipx {}
namespace eval do_ipx {}

define {
    create_project        {-force -quiet -in_memory -ip} {-part} 0 2
    close_project         {-quiet -delete} {} 0 0
    current_project       {-quiet} {} 0 1
    current_fileset       {-quiet -constrset -simset} {} 0 0
    add_files             {-norecurse -quiet} {-fileset -scan_for_includes} 1 99
    get_files             {-quiet -all} {-of_objects -filter} 0 1
    update_compile_order  {-quiet} {-fileset} 0 0
    get_property          {-quiet} {} 2 2
    get_board_parts       {-quiet -latest_file_version} {-filter} 0 1
    get_ipdefs            {-quiet -all} {-filter -name} 0 1
    update_ip_catalog     {-quiet -rebuild} {-repo_path} 0 0
    create_bd_design      {-quiet} {-dir} 1 1
    create_bd_cell        {-quiet} {-type -vlnv -reference} 1 1
    create_bd_port        {-quiet} {-dir -from -to -type -freq_hz} 1 1
    get_bd_cells          {-quiet -hierarchical} {-filter} 0 1
    get_bd_pins           {-quiet} {-of_objects -filter} 0 1
    get_bd_ports          {-quiet} {-filter} 0 1
    get_bd_intf_pins      {-quiet} {-of_objects -filter} 0 1
    connect_bd_net        {-quiet} {-net} 2 99
    connect_bd_intf_net   {-quiet} {-intf_net} 2 2
    apply_bd_automation   {-quiet} {-rule -config} 1 1
    assign_bd_address     {-quiet -force} {-target_address_space -offset -range} 0 9
    validate_bd_design    {-quiet -force} {-design} 0 0
    save_bd_design        {-quiet} {} 0 1
    make_wrapper          {-quiet -top -import -force -testbench} {-fileset} 1 1
    launch_runs           {-quiet -force} {-jobs -to_step} 1 1
    wait_on_run           {-quiet} {-timeout} 1 1
    get_runs              {-quiet} {-filter} 0 1
    open_run              {-quiet} {-name} 1 1
    ipx::package_project  {-quiet -force -import_files} {-root_dir -vendor -library -taxonomy -set_current -module} 0 1
    ipx::current_core     {-quiet} {} 0 1
    ipx::get_bus_interfaces  {-quiet} {-of_objects -filter} 0 1
    ipx::get_memory_maps  {-quiet} {-of_objects -filter} 0 1
    ipx::add_memory_map   {-quiet} {} 2 2
    ipx::get_address_blocks  {-quiet} {-of_objects -filter} 0 1
    ipx::add_address_block   {-quiet} {} 2 2
    ipx::create_xgui_files   {-quiet} {-logo_file} 1 1
    ipx::update_checksums {-quiet} {} 1 1
    ipx::check_integrity  {-quiet -xrt} {} 1 1
    ipx::save_core        {-quiet} {} 1 1
}

set catalog {
    xilinx.com:ip:processing_system7:5.5 {
        parameters {PCW_USE_M_AXI_GP0 {0 1} PCW_USE_S_AXI_HP0 {0 1} PCW_USE_FABRIC_INTERRUPT {0 1} PCW_IRQ_F2P_INTR {0 1}}
        pins {
            FCLK_CLK0 {O clk 1} FCLK_RESET0_N {O rstn 1}
            M_AXI_GP0_ACLK {I clk 1 {PCW_USE_M_AXI_GP0 1}} S_AXI_HP0_ACLK {I clk 1 {PCW_USE_S_AXI_HP0 1}}
            IRQ_F2P {I intr 1 {PCW_USE_FABRIC_INTERRUPT 1 PCW_IRQ_F2P_INTR 1}}
        }
        interfaces {
            M_AXI_GP0 {master aximm {PCW_USE_M_AXI_GP0 1}} S_AXI_HP0 {slave aximm {PCW_USE_S_AXI_HP0 1}}
            DDR {master ddrx} FIXED_IO {master display}
        }
        automation {
            make_external {{FIXED_IO, DDR}} apply_board_preset {0 1} Master {Disable Enable} Slave {Disable Enable}
        }
    }
    xilinx.com:ip:zynq_ultra_ps_e:3.4 {
        parameters {
            PSU__USE__M_AXI_GP0 {0 1} PSU__USE__M_AXI_GP1 {0 1} PSU__USE__M_AXI_GP2 {0 1} PSU__USE__S_AXI_GP2 {0 1}
            PSU__USE__IRQ0 {0 1}
        }
        pins {
            pl_clk0 {O clk 1} pl_resetn0 {O rstn 1} pl_ps_irq0 {I intr 1 {PSU__USE__IRQ0 1}}
            maxihpm0_fpd_aclk {I clk 1 {PSU__USE__M_AXI_GP0 1}} saxihp0_fpd_aclk {I clk 1 {PSU__USE__S_AXI_GP2 1}}
            maxihpm1_fpd_aclk {I clk 1 {PSU__USE__M_AXI_GP1 1}} maxihpm0_lpd_aclk {I clk 1 {PSU__USE__M_AXI_GP2 1}}
        }
        interfaces {
            M_AXI_HPM0_FPD {master aximm {PSU__USE__M_AXI_GP0 1}} M_AXI_HPM1_FPD {master aximm {PSU__USE__M_AXI_GP1 1}}
            M_AXI_HPM0_LPD {master aximm {PSU__USE__M_AXI_GP2 1}} S_AXI_HP0_FPD {slave aximm {PSU__USE__S_AXI_GP2 1}}
        }
        automation {apply_board_preset {0 1}}
    }
    xilinx.com:ip:proc_sys_reset:5.0 {
        parameters {}
        pins {
            slowest_sync_clk {I clk 1} ext_reset_in {I rstn 1} aux_reset_in {I rstn 1 optional} mb_debug_sys_rst {I rst 1 optional}
            dcm_locked {I data 1} mb_reset {O rst 1} bus_struct_reset {O rst 1} peripheral_reset {O rst 1}
            interconnect_aresetn {O rstn 1} peripheral_aresetn {O rstn 1}
        }
        interfaces {}
    }
    xilinx.com:ip:smartconnect:1.0 {
        parameters {NUM_SI {1 2 3 4} NUM_MI {1 2 3 4} NUM_CLKS {1 2}}
        defaults {NUM_SI 2 NUM_MI 1}
        pins {aclk {I clk 1} aresetn {I rstn 1}}
        interfaces {
            S00_AXI {slave aximm} S01_AXI {slave aximm {NUM_SI 2}}
            M00_AXI {master aximm} M01_AXI {master aximm {NUM_MI 3}} M02_AXI {master aximm {NUM_MI 3}}
        }
    }
    xilinx.com:ip:axi_dma:7.1 {
        parameters {
            c_include_sg {0 1} c_include_mm2s {0 1} c_include_s2mm {0 1} c_sg_length_width {14 23 26} c_addr_width {32 40 64}
        }
        pins {
            s_axi_lite_aclk {I clk 1} m_axi_s2mm_aclk {I clk 1 {c_include_s2mm 1}} m_axi_mm2s_aclk {I clk 1 {c_include_mm2s 1}}
            m_axi_sg_aclk {I clk 1 {c_include_sg 1}} axi_resetn {I rstn 1} s2mm_introut {O intr 1 {c_include_s2mm 1}}
            mm2s_introut {O intr 1 {c_include_mm2s 1}} s2mm_prmry_reset_out_n {O rstn 1 {c_include_s2mm 1}}
        }
        interfaces {
            S_AXI_LITE {slave aximm} M_AXI_S2MM {master aximm {c_include_s2mm 1}} S_AXIS_S2MM {slave axis {c_include_s2mm 1}}
            M_AXI_MM2S {master aximm {c_include_mm2s 1}} M_AXIS_MM2S {master axis {c_include_mm2s 1}}
            M_AXI_SG {master aximm {c_include_sg 1}}
        }
        defaults {c_include_sg 1 c_include_mm2s 1 c_include_s2mm 1 c_sg_length_width 14}
    }
    xilinx.com:ip:axis_data_fifo:2.0 {
        parameters {FIFO_DEPTH {16 32 64 128 256 512 1024 2048 4096 8192 16384 32768}}
        pins {s_axis_aclk {I clk 1} s_axis_aresetn {I rstn 1}}
        interfaces {S_AXIS {slave axis} M_AXIS {master axis}}
    }
    xilinx.com:ip:axi_intc:4.1 {
        parameters {C_IRQ_CONNECTION {0 1}}
        pins {s_axi_aclk {I clk 1} s_axi_aresetn {I rstn 1} intr {I intr 0} irq {O intr 1 {C_IRQ_CONNECTION 1}}}
        interfaces {s_axi {slave aximm}}
    }
    xilinx.com:ip:xlconcat:2.1 {
        parameters {NUM_PORTS {1 2 3 4}}
        pins {In0 {I intr 1} In1 {I intr 1 {NUM_PORTS 2}} dout {O intr 0}}
        interfaces {}
    }
}

set stage_of {}     ;# what was done with the design
foreach table {cell settings net_of intf_of external packaged} { array set $table {} }
set open_project {}
set added {}
set tops {}
set design {}
set addressed 0

# ---------------------------------------------------------------- projects
proc do_create_project {given words} {
    must {[lsearch -exact [dict get $::facts parts] [dict get $given -part]] >= 0} "create_project: [dict get $given -part] is none of the parts"
    must {$::open_project eq {}} "create_project: $::open_project is open"
    set ::open_project [lindex $words 0]
    set ::added {}
    set ::tops {}
}
proc do_close_project {given words} { set ::open_project {} }
proc do_current_project {given words} { return project:$::open_project }
proc do_current_fileset {given words} { return fileset:sources_1 }
proc do_add_files {given words} {
    must {$::open_project ne {}} "add_files: no project is open"
    foreach file [concat {*}$words] {
        must {[file isfile $file]} "add_files: there is no file $file"
        set constraints [expr {[dict exists $given -fileset] && [dict get $given -fileset] eq "constrs_1"}]
        must {$constraints == ([file extension $file] eq ".xdc")} "add_files: $file is in the wrong fileset"
        must {[lsearch -exact {.sv .v .dat .mem .xdc .bd} [file extension $file]] >= 0} "add_files: what is $file?"
        lappend ::added $file
    }
}
proc do_get_files {given words} {
    set found [lsearch -all -inline -glob $::added *[lindex $words 0]]
    must {[llength $found]} "get_files: the project has no [lindex $words 0]"
    return [lmap file $found {string cat file: $file}]
}
proc set_of_file {name value file} {
    must {[lsearch -exact {used_in_synthesis used_in_implementation} $name] >= 0} "set_property: a file has no $name"
}
proc set_of_fileset {name value fileset} {
    must {$name eq "top"} "set_property: a fileset has no $name"
    must {[lsearch -exact [concat [dict get $::facts modules] $::stage_of] $value] >= 0} "top: there is no module $value"
    set ::tops $value
}
proc set_of_project {name value project} {
    switch -- $name {
        board_part {
            must {[lsearch -exact [dict get $::facts board_parts] $value] >= 0} "board_part: there is no $value"
            lappend ::stage_of board_part
        }
        ip_repo_paths { must {[file isfile $value/component.xml]} "ip_repo_paths: $value holds no IP"; set ::repository $value }
        default { error "set_property: a project has no $name" }
    }
}
proc do_get_board_parts {given words} { return [lsearch -all -inline -glob [dict get $::facts board_parts] [lindex $words 0]] }
proc do_update_ip_catalog {given words} {
    if {[info exists ::repository]} { dict set ::catalog icsort:ip:icsort_sorter:1.0 [dict get $::facts own icsort_sorter] }
}
proc do_get_ipdefs {given words} {
    must {[regexp {^VLNV =~ (\S+)$} [dict get $given -filter] -> pattern]} "get_ipdefs: what is [dict get $given -filter]?"
    return [lsearch -all -inline -glob [dict keys $::catalog] $pattern]
}

proc every_source_is_there {folder} {
    foreach file [lsearch -all -inline -glob [dict get $::facts sources] $folder*] {
        must {[lsearch -exact $::added $file] >= 0} "the project does not have $file"
    }
}

# ---------------------------------------------------------------- IPs
proc ::do_ipx::package_project {given words} {
    foreach option {-root_dir -vendor -library -taxonomy} { must {[dict exists $given $option]} "ipx::package_project: no $option" }
    must {$::tops ne {}} "ipx::package_project: the project has no top"
    every_source_is_there ip/src/
    foreach file [dict get $::facts memories] {
        must {[lsearch -exact $::added $file] >= 0} "ipx::package_project: the RTL reads $file, which the project does not have"
    }
    array set ::packaged [list root [dict get $given -root_dir] map {} ref {} block {} steps {}]
}
proc ::do_ipx::current_core {given words} { return core:now }
proc set_of_core {name value core} {
    set known {name version display_name description vendor library company_url core_revision taxonomy vendor_display_name}
    must {[lsearch -exact $known $name] >= 0} "set_property: a core has no $name"
    set ::packaged($name) $value
}
proc ::do_ipx::get_bus_interfaces {given words} {
    set own [dict get $::facts own icsort_sorter]
    set names [concat [dict keys [dict get $own interfaces]] [dict keys [dict filter [dict get $own pins] script {pin of} {expr {[lindex $of 1] ne "data"}}]]]
    return [lmap name [lsearch -all -inline -exact $names [lindex $words 0]] {string cat bus: $name}]
}
proc set_of_bus {name value bus} {
    must {$name eq "slave_memory_map_ref"} "set_property: a bus interface has no $name"
    must {$value eq $::packaged(map)} "slave_memory_map_ref: there is no $value"
    set ::packaged(ref) $value
}
proc ::do_ipx::get_memory_maps {given words} { return [expr {$::packaged(map) eq {} ? {} : "map:$::packaged(map)"}] }
proc ::do_ipx::add_memory_map {given words} { set ::packaged(map) [lindex $words 0]; return map:$::packaged(map) }
proc ::do_ipx::get_address_blocks {given words} { return [expr {$::packaged(block) eq {} ? {} : "block:$::packaged(block)"}] }
proc ::do_ipx::add_address_block {given words} { set ::packaged(block) [lindex $words 0]; return block:$::packaged(block) }
proc set_of_block {name value block} {
    switch -- $name {
        usage { must {[lsearch -exact {memory register reserved} $value] >= 0} "usage: there is no $value" }
        range - width - base_address { set ::packaged($name) $value }
        default { error "set_property: an address block has no $name" }
    }
}
foreach step {create_xgui_files update_checksums check_integrity} {
    proc ::do_ipx::$step {given words} "lappend ::packaged(steps) $step"
}
proc ::do_ipx::save_core {given words} {
    must {$::packaged(steps) eq {create_xgui_files update_checksums check_integrity}} "ipx::save_core: not checked"
    foreach name {name version range} { must {[info exists ::packaged($name)]} "ipx::save_core: the core has no $name" }
    must {$::packaged(ref) ne {}} "ipx::save_core: s_axil has no memory map"
    must {$::packaged(range) >= 65536} "ipx::save_core: the registers are 64 KiB"
    must {$::packaged(root) eq "ip"} "ipx::save_core: not where it is looked for"
    close [open [file join $::packaged(root) component.xml] w]
}

# ---------------------------------------------------------------- block designs
proc do_create_bd_design {given words} {
    set ::design [lindex $words 0]
    lappend ::added $::design.bd
}
proc do_create_bd_cell {given words} {
    set name [lindex $words 0]
    must {$::design ne {}} "create_bd_cell: no design is open"
    must {![info exists ::cell($name)]} "create_bd_cell: there is a cell $name"
    switch -- [dict get $given -type] {
        ip {
            set vlnv [dict get $given -vlnv]
            must {[dict exists $::catalog $vlnv]} "create_bd_cell: there is no IP $vlnv"
            set ::cell($name) [dict get $::catalog $vlnv]
            dict set ::cell($name) vlnv $vlnv
        }
        module {
            set module [dict get $given -reference]
            must {[dict exists $::facts own $module]} "create_bd_cell: there is no module $module"
            must {[lsearch -glob $::added */$module.v] >= 0} "create_bd_cell: the project has no $module.v"
            set ::cell($name) [dict get $::facts own $module]
            dict set ::cell($name) vlnv $module
        }
        default { error "create_bd_cell: there is no type [dict get $given -type]" }
    }
    set ::settings($name) [expr {[dict exists $::cell($name) defaults] ? [dict get $::cell($name) defaults] : {}}]
    return cell:$name
}
proc do_get_bd_cells {given words} {
    must {[info exists ::cell([lindex $words 0])]} "get_bd_cells: there is no cell [lindex $words 0]"
    return cell:[lindex $words 0]
}
proc set_of_cell {name value cell} {
    must {[string match CONFIG.* $name]} "set_property: a cell has no $name"
    set parameter [string range $name 7 end]
    set parameters [dict get $::cell($cell) parameters]
    must {[dict exists $parameters $parameter]} "set_property: [dict get $::cell($cell) vlnv] has no $parameter"
    must {[lsearch -exact [dict get $parameters $parameter] $value] >= 0} "$parameter: there is no $value"
    dict set ::settings($cell) $parameter $value
}
proc there {cell entry at} {
    # Whether a pin or an interface is there with the cell's parameters.
    set needs [lindex $entry $at]
    if {$needs eq "optional"} { return 1 }
    foreach {parameter value} $needs {
        if {![dict exists $::settings($cell) $parameter] || [dict get $::settings($cell) $parameter] ne $value} { return 0 }
    }
    return 1
}
proc entry_of {what path at} {
    lassign [split $path /] cell name
    must {[info exists ::cell($cell)]} "there is no cell $cell"
    set entries [dict get $::cell($cell) $what]
    must {[dict exists $entries $name]} "cell $cell has no $name among its $what"
    set entry [dict get $entries $name]
    must {[there $cell $entry $at]} "$path: is not there with the parameters of the cell"
    return $entry
}
proc do_get_bd_pins {given words} { entry_of pins [lindex $words 0] 3; return pin:[lindex $words 0] }
proc do_get_bd_intf_pins {given words} { entry_of interfaces [lindex $words 0] 2; return intf:[lindex $words 0] }
proc do_create_bd_port {given words} {
    set name [lindex $words 0]
    must {[lsearch -exact {I O IO} [dict get $given -dir]] >= 0} "create_bd_port: there is no direction [dict get $given -dir]"
    must {![info exists ::external($name)]} "create_bd_port: there is a port $name"
    must {[dict exists $given -from] == [dict exists $given -to]} "create_bd_port: -from without -to"
    set width [expr {[dict exists $given -from] ? [dict get $given -from] - [dict get $given -to] + 1 : 1}]
    set ::external($name) [list [dict get $given -dir] $width]
}
proc do_get_bd_ports {given words} {
    must {[info exists ::external([lindex $words 0])]} "get_bd_ports: there is no port [lindex $words 0]"
    return port:[lindex $words 0]
}
proc drives {end} {
    # Whether an end of a net drives it, its kind and its width; 0: any.
    regexp {^(pin|port):(.*)$} $end -> what name
    if {$what eq "port"} {
        lassign $::external($name) direction width
        return [list [expr {$direction eq "I"}] data $width]
    }
    lassign [entry_of pins $name 3] direction kind width
    return [list [expr {$direction eq "O"}] $kind $width]
}
proc do_connect_bd_net {given words} {
    set net {}
    foreach end $words { if {[info exists ::net_of($end)]} { lappend net {*}$::net_of($end) } }
    set net [lsort -unique [concat $net $words]]
    set drivers 0
    set kinds {}
    set widths {}
    foreach end $net {
        lassign [drives $end] driver kind width
        incr drivers $driver
        if {$kind ne "data"} { lappend kinds $kind }
        if {$width} { lappend widths $width }
    }
    must {$drivers <= 1} "connect_bd_net: $drivers drivers among $net"
    must {[llength [lsort -unique $kinds]] <= 1} "connect_bd_net: a net of [lsort -unique $kinds]: $net"
    must {[llength [lsort -unique $widths]] <= 1} "connect_bd_net: widths [lsort -unique $widths]: $net"
    foreach end $net { set ::net_of($end) $net }
}
proc do_connect_bd_intf_net {given words} {
    set buses {}
    set modes {}
    foreach end $words {
        must {![info exists ::intf_of($end)]} "connect_bd_intf_net: $end is connected"
        lassign [entry_of interfaces [string range $end 5 end] 2] mode bus
        lappend modes $mode
        lappend buses $bus
    }
    must {[lsort $modes] eq "master slave"} "connect_bd_intf_net: a $modes: $words"
    must {[llength [lsort -unique $buses]] == 1} "connect_bd_intf_net: $buses: $words"
    foreach end $words other [lreverse $words] { set ::intf_of($end) $other }
}
proc do_apply_bd_automation {given words} {
    set cell [string range [lindex $words 0] 5 end]
    set name [lindex [split [dict get $::cell($cell) vlnv] :] 2]
    must {[dict get $given -rule] eq "xilinx.com:bd_rule:$name"} "apply_bd_automation: no rule of $name"
    lappend ::stage_of $cell
    foreach {key value} [dict get $given -config] {
        must {$key ne "apply_board_preset" || $value == 0 || "board_part" in $::stage_of} "apply_bd_automation: of which board?"
        must {[dict exists $::cell($cell) automation $key]} "apply_bd_automation: the rule has no $key"
        must {[lsearch -exact [dict get $::cell($cell) automation $key] $value] >= 0} "apply_bd_automation: $key is no $value"
        if {$key eq "make_external"} { foreach one {DDR FIXED_IO} { set ::intf_of(intf:$cell/$one) outside } }
    }
}
proc do_assign_bd_address {given words} { set ::addressed 1 }
proc do_validate_bd_design {given words} {
    foreach name [array names ::cell] {
        must {![dict exists $::cell($name) automation] || $name in $::stage_of} "validate_bd_design: $name has no preset"
        dict for {pin entry} [dict get $::cell($name) pins] {
            lassign $entry direction kind width needs
            if {$direction eq "I" && [there $name $entry 3] && $needs ne "optional"} {
                must {[info exists ::net_of(pin:$name/$pin)]} "validate_bd_design: $name/$pin is not connected"
            }
        }
        dict for {interface entry} [dict get $::cell($name) interfaces] {
            if {[there $name $entry 2] && [lindex $entry 2] ne "optional"} {
                must {[info exists ::intf_of(intf:$name/$interface)]} "validate_bd_design: $name/$interface is not connected"
            }
        }
    }
    foreach port [array names ::external] { must {[info exists ::net_of(port:$port)]} "validate_bd_design: port $port is not connected" }
    foreach end [array names ::net_of] {
        set drivers 0
        foreach other $::net_of($end) { incr drivers [lindex [drives $other] 0] }
        must {$drivers == 1} "validate_bd_design: nothing drives $end"
    }
    # The clock that the sorter counts in.
    set sources [lsearch -all -inline -glob $::net_of(pin:sorter/aclk) pin:clock/*]
    must {[llength $sources]} "validate_bd_design: sorter/aclk is not of the oscillator"
    must {[dict get $::cell(clock) freq_hz] eq [dict get $::cell(sorter) freq_hz]} "validate_bd_design: FREQ_HZ of sorter/aclk is another"
    # Its batches of 32 KiB at most, which the DMA must have room for.
    must {[dict get $::settings(dma) c_sg_length_width] > 15} "validate_bd_design: dma has no room for a batch"
    must {$::addressed} "validate_bd_design: interfaces have no addresses"
    lappend ::stage_of validated
}
proc do_save_bd_design {given words} {
    must {"validated" in $::stage_of} "save_bd_design: comes behind validate_bd_design"
    lappend ::stage_of saved
}
proc do_make_wrapper {given words} {
    must {[lindex $words 0] eq "file:$::design.bd"} "make_wrapper: there is no [lindex $words 0]"
    must {"saved" in $::stage_of} "make_wrapper: comes behind save_bd_design"
    set file $::open_project/$::open_project.gen/sources_1/bd/$::design/hdl/${::design}_wrapper.v
    file mkdir [file dirname $file] $::open_project/$::open_project.gen/sources_1/bd/$::design/hw_handoff
    close [open $file w]
    close [open $::open_project/$::open_project.gen/sources_1/bd/$::design/hw_handoff/$::design.hwh w]
    lappend ::stage_of ${::design}_wrapper
    return $file
}

# ---------------------------------------------------------------- runs
proc do_launch_runs {given words} {
    must {$words eq "impl_1"} "launch_runs: there is no run $words"
    must {$::tops eq "${::design}_wrapper"} "launch_runs: the top is $::tops"
    must {[lsearch -glob $::added *${::design}_wrapper.v] >= 0} "launch_runs: the wrapper is not in the project"
    must {[dict get $given -to_step] eq "write_bitstream"} "launch_runs: there is no step [dict get $given -to_step]"
    every_source_is_there rtl/board/
    set ports {}
    foreach name [array names ::external] {
        lassign $::external($name) direction width
        set way [dict get {I input O output IO inout} $direction]
        if {$width == 1} { dict set ports $name $way; continue }
        for {set bit 0} {$bit < $width} {incr bit} { dict set ports "$name\[$bit\]" $way }
    }
    dict set ::facts ports $ports
    foreach file [lsearch -all -inline -glob $::added *.xdc] { source $file }
    every_port_is_placed
    file mkdir $::open_project/$::open_project.runs/impl_1
    close [open $::open_project/$::open_project.runs/impl_1/$::tops.bit w]
    lappend ::stage_of launched
}
proc do_get_runs {given words} { must {$words eq "impl_1"} "get_runs: there is no $words"; return run:impl_1 }
proc do_wait_on_run {given words} {
    must {"launched" in $::stage_of} "wait_on_run: $words was not launched"
    lappend ::stage write_bitstream
}
proc do_open_run {given words} {
    must {"write_bitstream" in $::stage} "open_run: $words has not ended"
    lappend ::stage synth_design
}
proc do_get_property {given words} {
    lassign $words name object
    must {$object eq "run:impl_1"} "get_property: $object"
    switch -- $name {
        PROGRESS { return [expr {"write_bitstream" in $::stage ? "100%" : "0%"}] }
        DIRECTORY { return [file normalize $::open_project/$::open_project.runs/impl_1] }
        default { error "get_property: a run has no $name" }
    }
}
