// SPDX-License-Identifier: Apache-2.0
// Made from hw/registers/icsort.rdl by hw/registers/generate.py; do not edit.
//
// icsort_statistics_pkg: the counters of the register map, in the order of their addresses.
`default_nettype none

package icsort_statistics_pkg;

  localparam int unsigned COUNTERS = 36;

  // Counter 0, ACCEPTED, at the LSB.
  /* verilator lint_off UNUSEDSIGNAL */  // the other registers
  function automatic logic [COUNTERS*32-1:0] counters_of(icsort_registers_pkg::icsort_registers__in_t hwif);
  /* verilator lint_on UNUSEDSIGNAL */
    return {
      hwif.IMAGES_SKIPPED.value.next,
      hwif.STATISTICS_LOST.value.next,
      hwif.SORTED_5.value.next,
      hwif.SORTED_4.value.next,
      hwif.SORTED_3.value.next,
      hwif.SORTED_2.value.next,
      hwif.SORTED_1.value.next,
      hwif.SORTED_0.value.next,
      hwif.TEST_PULSES.value.next,
      hwif.COMPLETE.value.next,
      hwif.SKIPPED.value.next,
      hwif.LIMITED.value.next,
      hwif.FAULT.value.next,
      hwif.STALLED.value.next,
      hwif.OVERLONG.value.next,
      hwif.AMBIGUOUS.value.next,
      hwif.COINCIDENCE.value.next,
      hwif.FEATURES_LOST.value.next,
      hwif.WINDOWS_LOST.value.next,
      hwif.DEBRIS.value.next,
      hwif.DEAD_TIME.value.next,
      hwif.LINES_STOPPED.value.next,
      hwif.LINE_GAPS.value.next,
      hwif.HEARTBEATS_LOST.value.next,
      hwif.LINK_GOOD_FRAMES.value.next,
      hwif.LINK_BAD_FRAMES.value.next,
      hwif.LINE_ERRORS.value.next,
      hwif.RECORDS_LOST.value.next,
      hwif.CONFLICT.value.next,
      hwif.HARDWARE.value.next,
      hwif.LATE.value.next,
      hwif.DISARMED.value.next,
      hwif.REJECTED.value.next,
      hwif.SORTED.value.next,
      hwif.MISSED.value.next,
      hwif.ACCEPTED.value.next
    };
  endfunction

endpackage

`default_nettype wire
