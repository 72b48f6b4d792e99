# SPDX-License-Identifier: Apache-2.0
# Makes the bitstream of a project folder that `icsort build --kind processor` wrote: the sorter beside the processor system
# of a Zynq or Zynq UltraScale+, registers behind its AXI, records by a DMA into its memory.
#
#   vivado -mode batch -nojournal -source processor.tcl
#
# in that folder. It leaves sorter.bit and sorter.hwh, which are a PYNQ overlay, sorter.xsa and reports. Cells of the block
# design: ps, clock (the board's oscillator), reset, io (the board's pins), sorter, fifo, dma, interrupts. Not run against a
# real Vivado yet; the tests run it in plain Tcl, with stand-ins that know Vivado's commands and options and the pins,
# interfaces and parameters of the cells.

source [file join [file dirname [file normalize [info script]]] ip.tcl]

set part [value $project part]
set wanted [value $project board_part]
set board_parts [lsort -dictionary [get_board_parts -quiet $wanted]]
if {![llength $board_parts]} {
    error "Vivado has no board files for $wanted: install them by its Board Store, Tools - Vivado Store"
}

create_project -force system system -part $part
set_property board_part [lindex $board_parts end] [current_project]
set_property ip_repo_paths [file normalize ip] [current_project]
update_ip_catalog
add_files [lsearch -all -inline -glob [contents files.f] rtl/board/*]
add_files -fileset constrs_1 [lsort [glob *.xdc]]
update_compile_order -fileset sources_1

proc cell {vlnv name} {
    # The newest version of an IP that this Vivado has.
    set found [lsort -dictionary [get_ipdefs -all -filter "VLNV =~ $vlnv:*"]]
    if {![llength $found]} { error "Vivado has no IP $vlnv" }
    return [create_bd_cell -type ip -vlnv [lindex $found end] $name]
}
proc wire {from args} {
    foreach pin $args { connect_bd_net [get_bd_pins $from] [get_bd_pins $pin] }
}
proc bus {from to} {
    connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to]
}
proc port {name direction pin {bits 1}} {
    if {$bits > 1} {
        create_bd_port -dir $direction -from [expr {$bits - 1}] -to 0 $name
    } else {
        create_bd_port -dir $direction $name
    }
    connect_bd_net [get_bd_ports $name] [get_bd_pins $pin]
}

create_bd_design system

# ---------------------------------------------------------------- processor
if {[string match xc7z* $part]} {
    set ps [cell xilinx.com:ip:processing_system7 ps]
    apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 -config {
        make_external "FIXED_IO, DDR" apply_board_preset "1" Master "Disable" Slave "Disable"
    } $ps
    set_property -dict {
        CONFIG.PCW_USE_M_AXI_GP0 1 CONFIG.PCW_USE_S_AXI_HP0 1
        CONFIG.PCW_USE_FABRIC_INTERRUPT 1 CONFIG.PCW_IRQ_F2P_INTR 1
    } $ps
    lassign {ps/M_AXI_GP0 ps/M_AXI_GP0_ACLK ps/S_AXI_HP0 ps/S_AXI_HP0_ACLK ps/FCLK_RESET0_N ps/IRQ_F2P} \
        control control_clock memory memory_clock resetn interrupt
    set address_bits 32
} else {
    set ps [cell xilinx.com:ip:zynq_ultra_ps_e ps]
    apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config {apply_board_preset "1"} $ps
    set_property -dict {
        CONFIG.PSU__USE__M_AXI_GP0 1 CONFIG.PSU__USE__M_AXI_GP1 0 CONFIG.PSU__USE__M_AXI_GP2 0
        CONFIG.PSU__USE__S_AXI_GP2 1 CONFIG.PSU__USE__IRQ0 1
    } $ps
    lassign {
        ps/M_AXI_HPM0_FPD ps/maxihpm0_fpd_aclk ps/S_AXI_HP0_FPD ps/saxihp0_fpd_aclk ps/pl_resetn0 ps/pl_ps_irq0
    } control control_clock memory memory_clock resetn interrupt
    set address_bits 40
}

# ---------------------------------------------------------------- clock: the board's oscillator, exactly what the build counts in
create_bd_cell -type module -reference board_oscillator clock
set oscillator [value $project oscillator]
port $oscillator I clock/$oscillator
if {[regsub {_p$} $oscillator _n other]} { port $other I clock/$other }
cell xilinx.com:ip:proc_sys_reset reset
wire clock/clk reset/slowest_sync_clk
wire clock/locked reset/dcm_locked
wire $resetn reset/ext_reset_in

# ---------------------------------------------------------------- the sorter and the board's pins
cell icsort:ip:icsort_sorter sorter
create_bd_cell -type module -reference board_io io
foreach {pin to} {armed armed fault fault one_event one_event sort_out sort} { wire sorter/$pin io/$to }
wire io/closed sorter/interlock
wire clock/locked io/locked
port button I io/button
port switch_0 I io/switch_0
port interlock I io/interlock
port drop_clock I sorter/drop_clock
port led O io/led 4
port sort_out O io/sort_out 6

# ---------------------------------------------------------------- records into memory
cell xilinx.com:ip:axis_data_fifo fifo
set_property -dict {CONFIG.FIFO_DEPTH 8192} [get_bd_cells fifo]
cell xilinx.com:ip:axi_dma dma
set_property -dict [list \
    CONFIG.c_include_sg 0 CONFIG.c_include_mm2s 0 CONFIG.c_include_s2mm 1 CONFIG.c_sg_length_width 26 \
    CONFIG.c_addr_width $address_bits \
] [get_bd_cells dma]
bus sorter/m_axis_batch fifo/S_AXIS
bus fifo/M_AXIS dma/S_AXIS_S2MM

# ---------------------------------------------------------------- interrupts: records, the sorter
cell xilinx.com:ip:xlconcat requests
set_property -dict {CONFIG.NUM_PORTS 2} [get_bd_cells requests]
wire dma/s2mm_introut requests/In0
wire sorter/interrupt requests/In1
cell xilinx.com:ip:axi_intc interrupts
set_property -dict {CONFIG.C_IRQ_CONNECTION 1} [get_bd_cells interrupts]
wire requests/dout interrupts/intr
wire interrupts/irq $interrupt

# ---------------------------------------------------------------- AXI
cell xilinx.com:ip:smartconnect registers
set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 3} [get_bd_cells registers]
cell xilinx.com:ip:smartconnect buffers
set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1} [get_bd_cells buffers]
bus $control registers/S00_AXI
bus registers/M00_AXI sorter/s_axil
bus registers/M01_AXI dma/S_AXI_LITE
bus registers/M02_AXI interrupts/s_axi
bus dma/M_AXI_S2MM buffers/S00_AXI
bus buffers/M00_AXI $memory

wire clock/clk $control_clock $memory_clock registers/aclk buffers/aclk sorter/aclk io/clk fifo/s_axis_aclk \
    dma/s_axi_lite_aclk dma/m_axi_s2mm_aclk interrupts/s_axi_aclk
wire reset/interconnect_aresetn registers/aresetn buffers/aresetn
wire reset/peripheral_aresetn sorter/aresetn io/aresetn fifo/s_axis_aresetn dma/axi_resetn interrupts/s_axi_aresetn

assign_bd_address
validate_bd_design
save_bd_design

# ---------------------------------------------------------------- bitstream
add_files -norecurse [make_wrapper -top [get_files system.bd]]
set_property top system_wrapper [current_fileset]
update_compile_order -fileset sources_1
launch_runs impl_1 -to_step write_bitstream
wait_on_run impl_1
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} { error "no bitstream: see system/system.runs" }

open_run impl_1
report_timing_summary -file timing.rpt
report_utilization -file utilization.rpt
report_cdc -details -file cdc.rpt
file copy -force [file join [get_property DIRECTORY [get_runs impl_1]] system_wrapper.bit] sorter.bit
# In .gen from 2020.2 on, in .srcs before.
file copy -force [lindex [glob system/system.{gen,srcs}/sources_1/bd/system/hw_handoff/system.hwh] 0] sorter.hwh
write_hw_platform -fixed -include_bit -force sorter.xsa
