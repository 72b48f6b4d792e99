// SPDX-License-Identifier: Apache-2.0
//
// feature_store: features of the events between their end and their decision: for the gate engine in order, for the record by tag.
//
//   s_features  of features: {tag, invalid}, with value_index and, in the cycle behind it, value. A table is copied in FEATURES cycles and
//               given back with its last word; one that is invalid at once.
//   m_axis      the features of one event after the other, one word a beat, tlast with the last, tuser the event's tag. An event without
//               features is one beat with `none`.
//   record      at `decided` the event is chosen by its tag; record_data is its feature of record_index, 2 cycles behind the index, from 3
//               cycles behind `decided` on.
//   lost        a pulse for each event without features.
//   Latency     the first word leaves 4 cycles behind s_features_tvalid, the last one FEATURES + 3, if no event waits before it.
//   Overflow    none: an event's words lie by the low bits of its tag, and at most EVENTS events are between trigger and decision. An event
//               that begins when another is decided has its features later than that one's record takes its own.
//   Reset       empty.
`default_nettype none

module feature_store #(
    parameter int unsigned FEATURES = 33,
    parameter int unsigned EVENTS   = 16,
    parameter int unsigned TAG_BITS = 8,
    localparam int unsigned IndexBits = $clog2(FEATURES)
) (
    input  wire logic                clk,
    input  wire logic                rst,

    input  wire logic [TAG_BITS:0]   s_features_tdata,   // {tag, invalid}
    input  wire logic                s_features_tvalid,
    output logic                     s_features_tready,
    output logic [7:0]               value_index,
    input  wire logic [31:0]         value,

    output logic [31:0]              m_axis_tdata,
    output logic [TAG_BITS-1:0]      m_axis_tuser,
    output logic                     m_axis_none,
    output logic                     m_axis_tlast,
    output logic                     m_axis_tvalid,
    input  wire logic                m_axis_tready,

    input  wire logic                decided,
    /* verilator lint_off UNUSEDSIGNAL */  // fewer events are kept than can be told apart
    input  wire logic [TAG_BITS-1:0] decided_tag,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire logic [IndexBits-1:0] record_index,
    output logic [31:0]              record_data,

    output logic                     lost
);
  if (EVENTS < 2 || $clog2(EVENTS) > TAG_BITS) begin : gen_events_error
    $error("feature_store: EVENTS must be at least 2 and within the tags");
  end
  if (FEATURES < 2 || FEATURES > 176) begin : gen_features_error
    $error("feature_store: FEATURES must be within 2..176 (the gate engine's values)");
  end

  localparam int unsigned SlotBits  = $clog2(EVENTS);

  localparam logic [IndexBits-1:0] Last = IndexBits'(FEATURES - 1);

  // ---------------------------------------------------------------- tables into the memories
  logic [IndexBits-1:0] copy_q, write_index_q;
  logic                 write_q, push_q, none_q;
  logic [TAG_BITS-1:0]  tag_q;

  wire [TAG_BITS-1:0] tag     = s_features_tdata[TAG_BITS:1];
  wire                invalid = s_features_tdata[0];
  wire                copy    = s_features_tvalid && !invalid;

  assign value_index       = 8'(copy_q);
  assign s_features_tready = invalid || copy_q == Last;
  assign lost              = s_features_tvalid && invalid;

  always_ff @(posedge clk) begin
    if (copy) copy_q <= copy_q == Last ? '0 : copy_q + 1'b1;
    write_q       <= copy;
    write_index_q <= copy_q;
    push_q        <= s_features_tvalid && copy_q == '0;
    tag_q         <= tag;
    none_q        <= invalid;
    if (rst) begin
      copy_q  <= '0;
      write_q <= 1'b0;
      push_q  <= 1'b0;
    end
  end

  wire [SlotBits+IndexBits-1:0] write_address = {tag_q[SlotBits-1:0], write_index_q};

  // ---------------------------------------------------------------- to the gate engine
  // A word is written a cycle, from the one before its event is at the head on: reading never overtakes.
  logic [TAG_BITS-1:0]  head_tag;
  logic                 head_none, head_valid, room;
  logic [IndexBits-1:0] read_q;
  logic                 ahead_valid_q, ahead_none_q, ahead_last_q;
  logic [TAG_BITS-1:0]  ahead_tag_q;

  wire advance = !m_axis_tvalid || m_axis_tready;
  wire last    = head_none || read_q == Last;

  fifo #(
      .WIDTH (TAG_BITS + 1),
      .DEPTH (EVENTS)
  ) order (
      .clk,
      .rst,
      .s_axis_tdata  ({tag_q, none_q}),
      .s_axis_tvalid (push_q),
      .s_axis_tready (room),
      .m_axis_tdata  ({head_tag, head_none}),
      .m_axis_tvalid (head_valid),
      .m_axis_tready (advance && last),
      /* verilator lint_off PINCONNECTEMPTY */
      .count         ()
      /* verilator lint_on PINCONNECTEMPTY */
  );

  gate_memory #(
      .WIDTH (32),
      .DEPTH (2 ** (SlotBits + IndexBits))
  ) gate_words (
      .clk, .we (write_q), .waddr (write_address), .wdata (value),
      .re (advance), .raddr ({head_tag[SlotBits-1:0], read_q}), .q (m_axis_tdata)
  );

  always_ff @(posedge clk) begin
    if (advance) begin
      if (head_valid) read_q <= last ? '0 : read_q + 1'b1;
      ahead_valid_q <= head_valid;
      ahead_none_q  <= head_none;
      ahead_last_q  <= last;
      ahead_tag_q   <= head_tag;
      m_axis_tvalid <= ahead_valid_q;
      m_axis_none   <= ahead_none_q;
      m_axis_tlast  <= ahead_last_q;
      m_axis_tuser  <= ahead_tag_q;
    end
    if (rst) begin
      read_q        <= '0;
      ahead_valid_q <= 1'b0;
      m_axis_tvalid <= 1'b0;
    end
  end

  // ---------------------------------------------------------------- to the record
  logic [SlotBits-1:0] record_slot_q;

  always_ff @(posedge clk) begin
    if (decided) record_slot_q <= decided_tag[SlotBits-1:0];
  end

  gate_memory #(
      .WIDTH (32),
      .DEPTH (2 ** (SlotBits + IndexBits))
  ) record_words (
      .clk, .we (write_q), .waddr (write_address), .wdata (value),
      .re (1'b1), .raddr ({record_slot_q, record_index}), .q (record_data)
  );

  assert property (@(posedge clk) disable iff (rst) !push_q || room);

endmodule

`default_nettype wire
