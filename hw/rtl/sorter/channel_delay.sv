// SPDX-License-Identifier: Apache-2.0
//
// channel_delay: brings together what the channels see of a cell one after the other. Bit-true model: sim/bit_true/event.py.
//
//   The line that leaves holds channel c of the line delays[c] lines before, 0 before that many lines since reset, and 0 where that line
//   had no pixel; it has as many beats, and the number and time, of the line that came. A bad line makes itself and as
//   many lines behind it bad as the largest delay says.
//   Delays      0 .. DEPTH - 1 lines; taken as the beats pass.
//   doubt       makes bad what is in the memory and what comes within 8 cycles, for beats that were on their way here; and as many
//               lines behind as the largest delay says, also where that changes with it.
//   Handshake   beats as of line_input, one a cycle; line_stopped goes with them.
//   Latency     2 cycles.
//   Reset       no line has come.
//   Memory      C of DEPTH * 2^$clog2(Beats) words of P * SAMPLE_BITS bits, with a write and a read port.
`default_nettype none

module channel_delay #(
    parameter int unsigned LINE_W      = 40,
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter int unsigned P           = 1,
    parameter int unsigned DEPTH       = 64,
    localparam int unsigned DelayBits  = $clog2(DEPTH)
) (
    input  wire logic                       clk,
    input  wire logic                       rst,

    input  wire logic [C*DelayBits-1:0]     delays,
    input  wire logic                       doubt,

    input  wire logic                       beat_valid,
    input  wire logic [P*C*SAMPLE_BITS-1:0] beat_data,
    input  wire logic                       beat_end,
    input  wire logic                       beat_made,
    input  wire logic                       beat_bad,
    input  wire logic [47:0]                beat_time,
    input  wire logic                       line_stopped,

    output logic                            m_beat_valid,
    output logic [P*C*SAMPLE_BITS-1:0]      m_beat_data,
    output logic                            m_beat_end,
    output logic                            m_beat_made,
    output logic                            m_beat_bad,
    output logic [47:0]                     m_beat_time,
    output logic                            m_line_stopped
);
  if (DEPTH < 2 || (DEPTH & (DEPTH - 1)) != 0) begin : gen_depth_error
    $error("channel_delay: DEPTH must be a power of two, at least 2");
  end

  localparam int unsigned Beats    = (LINE_W + P - 1) / P;
  localparam int unsigned BeatBits = Beats > 1 ? $clog2(Beats) : 1;
  localparam int unsigned Lane     = P * SAMPLE_BITS;

  logic [DelayBits-1:0] slot_q;       // of the line at hand
  logic [DelayBits:0]   lines_q;      // complete lines since reset, at most DEPTH
  logic [BeatBits-1:0]  beat_q;
  logic [DelayBits-1:0] bad_left_q;   // lines that are bad for one that came before
  logic [DelayBits-1:0] longest_q;
  logic [7:0]           doubt_q;      // until what was on its way is here, and longest_q is that of the delays it came with

  logic                       valid_q, end_q, made_q, bad_q, stopped_q;
  logic [47:0]                time_q;
  logic [P*C*SAMPLE_BITS-1:0] data_q;

  wire bad = beat_bad || bad_left_q != '0 || doubt || doubt_q != '0;

  always_ff @(posedge clk) begin : lines
    automatic logic [DelayBits-1:0] longest = '0;
    for (int unsigned c = 0; c < C; c++) begin
      if (delays[c*DelayBits+:DelayBits] > longest) longest = delays[c*DelayBits+:DelayBits];
    end
    longest_q <= longest;
    if (beat_valid) begin
      beat_q <= beat_end ? '0 : beat_q + 1'b1;
      if (beat_end) begin
        slot_q  <= slot_q + 1'b1;
        lines_q <= lines_q + (DelayBits + 1)'(lines_q != (DelayBits + 1)'(DEPTH));
        if (beat_bad) bad_left_q <= longest_q;
        else if (bad_left_q != '0) bad_left_q <= bad_left_q - 1'b1;
      end
    end
    doubt_q <= {doubt_q[6:0], doubt};
    if (doubt_q[7] && (lines_q != '0 || beat_valid)) bad_left_q <= longest_q;
    valid_q        <= beat_valid;
    end_q          <= beat_end;
    made_q         <= beat_made;
    bad_q          <= bad;
    time_q         <= beat_time;
    stopped_q      <= line_stopped;
    data_q         <= beat_data;
    m_beat_valid   <= valid_q;
    m_beat_end     <= end_q;
    m_beat_made    <= made_q;
    m_beat_bad     <= bad_q;
    m_beat_time    <= time_q;
    m_line_stopped <= stopped_q;
    if (rst) begin
      slot_q         <= '0;
      lines_q        <= '0;
      beat_q         <= '0;
      bad_left_q     <= '0;
      doubt_q        <= '0;
      valid_q        <= 1'b0;
      stopped_q      <= 1'b0;
      m_beat_valid   <= 1'b0;
      m_line_stopped <= 1'b0;
    end
  end

  // A memory and the lengths of its lines for each channel; the lengths are the same, for as many read ports.
  for (genvar c = 0; c < C; c++) begin : gen_channel
    (* ram_style = "block" *)
    logic [Lane-1:0]     samples [DEPTH * 2 ** BeatBits];
    logic [BeatBits:0]   lengths [DEPTH];   // beats
    logic [Lane-1:0]     now, was_q;
    logic                there_q, delayed_q;

    wire [DelayBits-1:0] delay     = delays[c*DelayBits+:DelayBits];
    wire [DelayBits-1:0] from      = slot_q - delay;
    wire [BeatBits:0]    from_beats = lengths[from];

    for (genvar i = 0; i < P; i++) begin : gen_lane
      assign now[i*SAMPLE_BITS+:SAMPLE_BITS] = beat_data[(i*C+c)*SAMPLE_BITS+:SAMPLE_BITS];
      always_ff @(posedge clk) begin
        if (made_q || (delayed_q && !there_q)) m_beat_data[(i*C+c)*SAMPLE_BITS+:SAMPLE_BITS] <= '0;
        else if (delayed_q) m_beat_data[(i*C+c)*SAMPLE_BITS+:SAMPLE_BITS] <= was_q[i*SAMPLE_BITS+:SAMPLE_BITS];
        else m_beat_data[(i*C+c)*SAMPLE_BITS+:SAMPLE_BITS] <= data_q[(i*C+c)*SAMPLE_BITS+:SAMPLE_BITS];
      end
    end

    always_ff @(posedge clk) begin
      if (beat_valid) samples[{slot_q, beat_q}] <= now;
      if (beat_valid && beat_end) lengths[slot_q] <= {1'b0, beat_q} + (BeatBits + 1)'(!beat_made);
      was_q     <= samples[{from, beat_q}];
      there_q   <= lines_q >= {1'b0, delay} && {1'b0, beat_q} < from_beats;
      delayed_q <= delay != '0;
    end
  end

endmodule

`default_nettype wire
