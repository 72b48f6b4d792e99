// SPDX-License-Identifier: Apache-2.0
//
// icsort_pkg: what several blocks of the sorter, and the host, must say alike. tests/hw/sorter/test_package.py holds the Python twins of
// these constants to this file.
`default_nettype none

package icsort_pkg;

  /* verilator lint_off UNUSEDPARAM */  // a block alone uses some of them

  localparam int unsigned TIME_BITS  = 48;  // timestamps, cycles since reset; they wrap
  localparam int unsigned TAG_BITS   = 8;   // number of an accepted event, modulo 2^8, by which its parts find each other
  localparam int unsigned DIRECTIONS = 6;   // sort outputs

  // What becomes of an event; Python: icsort.sim.bit_true.scheduler.Outcome.
  localparam int unsigned OUTCOME_BITS = 4;
  typedef enum logic [OUTCOME_BITS-1:0] {
    SORTED      = 0,
    REJECTED    = 1,
    DISARMED    = 2,
    LATE        = 3,
    HARDWARE    = 4,
    CONFLICT    = 5,
    COINCIDENCE = 6,
    AMBIGUOUS   = 7,
    OVERLONG    = 8,
    STALLED     = 9,
    FAULT       = 10,
    LIMITED     = 11,
    SKIPPED     = 12,
    COMPLETE    = 13
  } outcome_e;

  // The scheduler; Python: icsort.sim.bit_true.scheduler.
  localparam logic [2:0]  OUTPUT_NONE    = 3'd7;
  localparam int unsigned GUARD        = 128;  // cycles before its pulse in which a sort is looked at for the last time
  localparam int unsigned LATE_MARGIN  = 256;  // cycles that a decision must be ahead of the pulse, and pulses apart from begin to begin
  localparam int unsigned NEAR_BITS    = 34;   // that tell times apart which are no further away than a delay
  localparam logic [1:0]  MODE_YIELD = 2'd0, MODE_PURITY = 2'd1, MODE_SINGLE = 2'd2;
  localparam logic [1:0]  ENVELOPE_1 = 2'd0, ENVELOPE_1_5 = 2'd1, ENVELOPE_2 = 2'd2;

  // Word MODE of the scheduler's settings.
  typedef struct packed {
    logic [1:0]  unused_high;
    logic [5:0]  outputs;      // bit d: direction d is used
    logic [2:0]  unused_low;
    logic [4:0]  margin;       // sixteenths of a drop around the sorted ones in which a neighbour is too near
    logic [3:0]  last_phase;   // sixteenths: where in its drop a cell may be
    logic [3:0]  first_phase;
    logic        overlong;     // overlong events are not aborted
    logic        doublets;     // nor are doublets
    logic [1:0]  envelope;
    logic        external;     // the drop clock is the pin
    logic        droplet;
    logic [1:0]  purity;
  } schedule_mode_t;

  // What is to be said of an event, bits of its flags; Python: icsort.sim.bit_true.event_flag.EventFlag.
  localparam int unsigned EVENT_FLAGS    = 6;
  localparam int unsigned FLAG_DOUBTFUL  = 0;  // a line that is malformed, or doubtful in its time or number
  localparam int unsigned FLAG_OVERLONG  = 1;
  localparam int unsigned FLAG_DOUBLET   = 2;  // two maxima
  localparam int unsigned FLAG_STALLED   = 3;  // its lines stopped, or were overwritten before they were read
  localparam int unsigned FLAG_TRUNCATED = 4;  // fewer lines than asked for before its trigger
  localparam int unsigned FLAG_FEATURELESS = 5;  // no features, in a build that has them

  // Event record; Python: icsort.formats.event_record. Bits of the groups, and the groups that are structures: first field at the LSB.
  localparam int unsigned RECORD_GROUPS   = 4;
  localparam int unsigned RECORD_BASE     = 0;
  localparam int unsigned RECORD_TIMING   = 1;
  localparam int unsigned RECORD_FEATURES = 2;
  localparam int unsigned RECORD_LOGITS   = 3;
  localparam logic [7:0]  NO_DIRECTION    = 8'd255;
  typedef struct packed {
    logic [31:0] gates;
    logic [15:0] posterior;
    logic [7:0]  class_index;
    logic [7:0]  length;
    logic [15:0] flags;
    logic [7:0]  direction;
    logic [7:0]  outcome;
    logic [7:0]  groups;
    logic [7:0]  tag;
    logic [47:0] event_time;
    logic [31:0] event_id;
  } record_base_t;
  typedef struct packed {
    logic [31:0]        gate_serial;
    logic signed [31:0] last_pixel_to_decision;
    logic [31:0]        first_pixel_to_decision;
  } record_timing_t;

  // Head of a frame of statistics, in front of the counters; Python: icsort.host.link.protocol. `state` is the low bytes of the registers
  // STATUS (7:0) and FAULTS (15:8).
  typedef struct packed {
    logic [15:0] state;
    logic [47:0] taken_at;
    logic [31:0] number;
  } statistics_head_t;

  // Head of a piece of an image, in front of its pixels; Python: icsort.host.link.protocol. And why it was kept; IMAGE_NONE, IMAGE_EVERY and
  // IMAGE_GATE are rules as well.
  typedef struct packed {
    logic [15:0] pieces;
    logic [15:0] piece;
    logic [15:0] unused;
    logic [7:0]  reason;
    logic [7:0]  tag;
    logic [31:0] event_id;
  } image_head_t;
  localparam logic [1:0] IMAGE_NONE = 2'd0, IMAGE_REQUEST = 2'd1, IMAGE_EVERY = 2'd2, IMAGE_GATE = 2'd3;

  // First byte of a frame on the link; Python: icsort.sim.bit_true.framing.MessageType. Those with FRAME_EVENT's upper six bits are
  // the core's own: it makes them and nobody asks for them.
  localparam logic [7:0] FRAME_READ       = 8'h01;
  localparam logic [7:0] FRAME_WRITE      = 8'h02;
  localparam logic [7:0] FRAME_READ_ACK   = 8'h81;
  localparam logic [7:0] FRAME_WRITE_ACK  = 8'h82;
  localparam logic [7:0] FRAME_EVENT      = 8'hE0;
  localparam logic [7:0] FRAME_AMENDMENT  = 8'hE1;
  localparam logic [7:0] FRAME_STATISTICS = 8'hE2;
  localparam logic [7:0] FRAME_IMAGE      = 8'hE3;
  localparam logic [7:0] FRAME_NACK       = 8'hFF;

  /* verilator lint_on UNUSEDPARAM */

endpackage

`default_nettype wire
