# SPDX-License-Identifier: Apache-2.0
# Packages the sorter of a project folder that `icsort build --kind ip` or `--kind processor` wrote as an IP for block designs:
#
#   vivado -mode batch -nojournal -source ip.tcl
#
# in that folder. Sources come from files.f, memories beside them; interfaces are those that the attributes of
# icsort_sorter.v name. ip/ is then a folder for ip_repo_paths, and may be moved. Not run against a real Vivado yet; the
# tests run it in plain Tcl, with stand-ins that know Vivado's commands, options, bus definitions and properties.

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

create_project -force package package -part [value $project part]
add_files [lsearch -all -inline -glob [contents files.f] ip/src/*]
add_files [lsort [glob ip/src/*.dat]]
add_files -fileset constrs_1 ip/src/icsort_sorter.xdc
# Its cells are there behind synthesis.
set_property used_in_synthesis false [get_files icsort_sorter.xdc]
set_property top icsort_sorter [current_fileset]
update_compile_order -fileset sources_1

ipx::package_project -root_dir ip -vendor icsort -library ip -taxonomy /UserIP -set_current true -force
set core [ipx::current_core]
set_property name icsort_sorter $core
set_property version 1.0 $core
set_property display_name "icsort cell sorter" $core
set_property description "Cell sorter with the network of model [value $project model_id], build [value $project build_id]" $core

foreach interface {s_axil s_axis_line m_axis_batch aclk aresetn interrupt} {
    if {![llength [ipx::get_bus_interfaces $interface -of_objects $core]]} {
        error "Vivado made no interface $interface of the ports of icsort_sorter.v"
    }
}

# 64 KiB of registers, whatever was made of the address's width.
set map [ipx::get_memory_maps s_axil -of_objects $core]
if {![llength $map]} {
    set map [ipx::add_memory_map s_axil $core]
    set_property slave_memory_map_ref s_axil [ipx::get_bus_interfaces s_axil -of_objects $core]
}
set block [ipx::get_address_blocks -of_objects $map]
if {![llength $block]} { set block [ipx::add_address_block registers $map] }
set_property usage register $block
set_property range 65536 $block

ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
