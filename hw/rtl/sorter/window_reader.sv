// SPDX-License-Identifier: Apache-2.0
//
// window_reader: the network's window of each event, out of line_store. Bit-true model: sim/bit_true/event.py.
//
//   H rows of W columns, M pixels a beat, row by row. Row 0 is begin_line. The first begin_skip rows are zero (m_axis_tuser), as are those behind
//   the event's last. A row that is known to be the event's is read behind the writer, beat by beat; one of which that is not known yet
//   is waited for; one that is not the event's is not. Pixels of a line that did not come are 0.
//   Columns     from x_offset on, or, centred, from (floor(2 moment / sum) + 2 - W) >> 1 on; moved into the line.
//   Events      as event_trigger tells them: begin_valid, `rows` in between, end_valid. Up to EVENTS that are not through; begin_ready
//               is low where there are as many.
//   line_stopped   nothing is read for 31 cycles: it may turn out that the event ended there.
//   Overflow    where the lines of a window are overwritten before they are read, or at `flush`, the rest of the window is zeros.
//   window_valid   one cycle with the last beat of each window, on its way: window_tag, and window_lost where lines of it were.
//   Handshake   AXI4-Stream out; M pixels a cycle.
//   Latency     4 cycles from a pixel's beat_valid to m_axis_tvalid where its row is known. From begin_valid to the first beat
//               7 cycles, and 1 + $clog2(LINE_W) more where it is centred.
//   Reset       empty.
`default_nettype none

module window_reader #(
    parameter int unsigned LINE_W      = 40,
    parameter int unsigned H           = 40,
    parameter int unsigned W           = 40,
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter int unsigned P           = 1,
    parameter int unsigned M           = 1,
    parameter int unsigned LINES       = 256,
    parameter int unsigned EVENTS      = 16,
    parameter int unsigned INDEX_BITS  = 10,
    parameter int unsigned SUM_BITS    = 31,
    parameter int unsigned MOMENT_BITS = 37,
    localparam int unsigned Beats      = (LINE_W + P - 1) / P,
    localparam int unsigned BeatBits   = $clog2(Beats + 1),
    localparam int unsigned AddrBits   = $clog2(LINES * Beats),
    localparam int unsigned PixelBits  = C * SAMPLE_BITS,
    localparam int unsigned SlotBits   = $clog2(LINES)
) (
    input  wire logic                   clk,
    input  wire logic                   rst,

    input  wire logic [15:0]            x_offset,
    input  wire logic                   centred,
    input  wire logic                   flush,
    input  wire logic                   line_stopped,   // lines stopped behind the line before the one at hand

    input  wire logic                   begin_valid,
    output logic                        begin_ready,
    input  wire logic [7:0]             begin_tag,
    input  wire logic [INDEX_BITS-1:0]  begin_line,
    input  wire logic [5:0]             begin_skip,
    input  wire logic [SUM_BITS-1:0]    begin_sum,
    input  wire logic [MOMENT_BITS-1:0] begin_moment,
    input  wire logic [8:0]             rows,
    input  wire logic                   end_valid,
    input  wire logic [8:0]             end_rows,

    input  wire logic [INDEX_BITS-1:0]  write_line,
    input  wire logic [BeatBits-1:0]    write_beat,
    output logic [P*AddrBits-1:0]       read_address,
    output logic                        read_enable,
    input  wire logic [P*PixelBits-1:0] read_data,
    output logic [SlotBits-1:0]         length_line,
    input  wire logic [BeatBits-1:0]    length_beats,

    output logic                        window_valid,
    output logic [7:0]                  window_tag,
    output logic                        window_lost,

    output logic [M*PixelBits-1:0]      m_axis_tdata,
    output logic                        m_axis_tuser,   // these pixels are zero, whatever tdata says
    output logic                        m_axis_tvalid,
    input  wire logic                   m_axis_tready
);
  if (H < 1 || W < 1 || W > LINE_W) begin : gen_window_error
    $error("window_reader: H must be at least 1 and W within 1..LINE_W");
  end
  if (M < 1 || M > P || W % M != 0) begin : gen_beat_error
    $error("window_reader: M must be within 1..P and divide W");
  end
  if ((P & (P - 1)) != 0 && P != LINE_W) begin : gen_p_error
    $error("window_reader: P must be a power of two or LINE_W");
  end
  if ((EVENTS & (EVENTS - 1)) != 0 || EVENTS < 2) begin : gen_events_error
    $error("window_reader: EVENTS must be a power of two, at least 2");
  end

  localparam int unsigned SlotCount  = $clog2(EVENTS);
  localparam int unsigned RowBits    = $clog2(H + 1);
  localparam int unsigned Steps      = W / M;
  localparam int unsigned StepBits   = Steps > 1 ? $clog2(Steps) : 1;
  localparam int unsigned ColumnBits = LINE_W > 1 ? $clog2(LINE_W) : 1;
  localparam int unsigned LaneBits   = P > 1 ? $clog2(P) : 1;
  localparam int unsigned SumLane    = LaneBits + 1;            // of two places in a beat
  localparam int unsigned Quotient   = ColumnBits + 1;          // bits: twice the centroid
  localparam int unsigned DivideBits = SUM_BITS + Quotient;

  // ---------------------------------------------------------------- events that wait
  typedef struct packed {
    logic [7:0]             tag;
    logic [5:0]             skip;
    logic [INDEX_BITS-1:0]  line;
    logic [SUM_BITS-1:0]    sum;
    logic [MOMENT_BITS-1:0] moment;
  } event_t;

  (* ram_style = "distributed" *)
  event_t                events [EVENTS];
  (* ram_style = "distributed" *)
  logic [INDEX_BITS-1:0] firsts [EVENTS];  // the first line of each that is its own
  logic [SlotCount:0]    head_q, tail_q, check_q;

  wire event_t                head      = events[head_q[SlotCount-1:0]];
  wire                        waiting   = head_q != tail_q;
  wire signed [INDEX_BITS-1:0] check_age = $signed(write_line - firsts[check_q[SlotCount-1:0]]);

  assign begin_ready = (tail_q - head_q) != (SlotCount + 1)'(EVENTS);

  logic       ended, ended_ready, leave;
  logic [8:0] total;

  fifo #(
      .WIDTH (9),
      .DEPTH (EVENTS)
  ) finished (
      .clk,
      .rst,
      .s_axis_tdata  (end_rows),
      .s_axis_tvalid (end_valid),
      .s_axis_tready (ended_ready),
      .m_axis_tdata  (total),
      .m_axis_tvalid (ended),
      .m_axis_tready (leave),
      /* verilator lint_off PINCONNECTEMPTY */
      .count         ()
      /* verilator lint_on PINCONNECTEMPTY */
  );

  // ---------------------------------------------------------------- the one at hand
  typedef enum logic [2:0] {
    Idle,
    Divide,
    Place,
    Address,
    Run,
    Finish
  } state_e;

  state_e                     state_q;
  logic [7:0]                 tag_q;
  logic [5:0]                 skip_q;
  logic [INDEX_BITS-1:0]      line_q;        // its next line of its own
  logic                       lost_q;
  logic                       skipped_q, member_q;  // the row at hand
  logic                       ended_q;
  logic [RowBits-1:0]         row_q;
  logic [StepBits-1:0]        step_q;
  logic [DivideBits-1:0]      rest_q, divisor_q;
  logic [Quotient-1:0]        twice_q;
  logic [$clog2(Quotient+1)-1:0] left_q;
  logic                       none_q;        // a sum of 0
  logic [4:0]                 hold_q;        // the trigger may not have heard yet that lines stopped
  logic [ColumnBits-1:0]      first_column_q;
  logic [AddrBits-1:0]        base_q, row_address_q, address_q;
  logic [BeatBits-1:0]        beat_q;
  logic [LaneBits-1:0]        lane_q;

  logic move;
  assign leave = state_q == Finish && ended_q;

  // Columns.
  wire [DivideBits:0]        less      = {1'b0, rest_q} - {1'b0, divisor_q};
  wire signed [Quotient+2:0] middle    = $signed({3'b0, twice_q}) + $signed((Quotient + 3)'(2)) - $signed((Quotient + 3)'(W));
  wire signed [Quotient+2:0] half      = middle >>> 1;
  wire [15:0]                wanted    = !centred ? x_offset : half < 0 ? '0 : 16'(half);
  wire [ColumnBits-1:0]      placed    = wanted > 16'(LINE_W - W) ? ColumnBits'(LINE_W - W) : wanted[ColumnBits-1:0];
  logic [BeatBits-1:0]       first_beat;
  logic [LaneBits-1:0]       first_lane;
  if (P == 1) begin : gen_one_pixel
    assign first_beat = BeatBits'(first_column_q);
    assign first_lane = '0;
  end else if (Beats == 1) begin : gen_whole_line
    assign first_beat = '0;
    assign first_lane = LaneBits'(first_column_q);
  end else begin : gen_parts
    assign first_beat = BeatBits'(first_column_q[ColumnBits-1:LaneBits]);
    assign first_lane = first_column_q[LaneBits-1:0];
  end

  // Rows. A line is complete, at hand, or still to come.
  wire signed [INDEX_BITS-1:0] age       = $signed(write_line - line_q);
  wire                         at_hand   = age == '0;
  wire                         complete  = age > 0;
  wire                         too_old   = age >= $signed(INDEX_BITS'(LINES));
  wire [SumLane-1:0]           next_lane = SumLane'(lane_q) + SumLane'(M);
  wire                         wraps     = next_lane >= SumLane'(P);      // the next pixels begin in the next beat
  wire                         straddles = next_lane > SumLane'(P);       // these end there
  wire [BeatBits-1:0]          last_beat = beat_q + BeatBits'(straddles);
  wire                         zero      = skipped_q || lost_q || (ended_q && !member_q);
  wire                         real_row  = !zero && member_q;
  wire                         there     = !too_old && hold_q == '0 && (complete || (at_hand && last_beat < write_beat));
  wire                         issue     = state_q == Run && move && (zero || (real_row && there));
  wire                         last_step = step_q == StepBits'(Steps - 1);
  wire                         last_row  = row_q == RowBits'(H - 1);
  wire [RowBits-1:0]           next_row  = row_q + 1'b1;
  wire                         row_done  = issue && last_step;
  wire [8:0]                   known     = ended ? total : rows;

  assign length_line = line_q[SlotBits-1:0];
  assign read_enable = move;
  for (genvar i = 0; i < P; i++) begin : gen_address
    assign read_address[i*AddrBits+:AddrBits] = address_q + AddrBits'(LaneBits'(i) < lane_q);
  end

  always_ff @(posedge clk) begin
    if (begin_valid) begin
      events[tail_q[SlotCount-1:0]] <= {begin_tag, begin_skip, begin_line, begin_sum, begin_moment};
      firsts[tail_q[SlotCount-1:0]] <= begin_line + INDEX_BITS'(begin_skip);
      tail_q <= tail_q + 1'b1;
    end
    // What waits grows too old in its order.
    if (flush) check_q <= tail_q;
    else if (state_q == Idle && waiting && check_q == head_q) check_q <= check_q + 1'b1;
    else if (check_q != tail_q && check_age >= $signed(INDEX_BITS'(LINES))) check_q <= check_q + 1'b1;

    hold_q  <= line_stopped ? '1 : hold_q - 5'(hold_q != '0);
    ended_q <= ended;
    // Both compared with the row that will be at hand.
    member_q  <= row_done ? 9'(next_row) < known : 9'(row_q) < known;
    skipped_q <= row_done ? 9'(next_row) < 9'(skip_q) : 9'(row_q) < 9'(skip_q);
    if (flush || (too_old && !(ended_q && !member_q))) lost_q <= 1'b1;

    window_valid <= 1'b0;
    window_tag   <= tag_q;
    window_lost  <= lost_q;

    unique case (state_q)
      Idle: begin
        tag_q   <= head.tag;
        skip_q  <= head.skip;
        line_q  <= head.line + INDEX_BITS'(head.skip);
        lost_q  <= check_q != head_q || flush;
        rest_q    <= DivideBits'({head.moment, 1'b0});
        divisor_q <= {head.sum, {Quotient{1'b0}}} >> 1;
        none_q    <= head.sum == '0;
        left_q    <= ($clog2(Quotient + 1))'(Quotient);
        row_q   <= '0;
        step_q  <= '0;
        member_q  <= 1'b0;
        skipped_q <= head.skip != '0;
        ended_q   <= 1'b0;
        if (waiting) state_q <= centred ? Divide : Place;
      end
      Divide: begin
        divisor_q <= divisor_q >> 1;
        twice_q   <= {twice_q[Quotient-2:0], !less[DivideBits] && !none_q};
        if (!less[DivideBits]) rest_q <= less[DivideBits-1:0];
        left_q <= left_q - 1'b1;
        if (left_q == 1) state_q <= Place;
      end
      Place: begin
        first_column_q <= placed;
        base_q         <= AddrBits'(line_q[SlotBits-1:0] * Beats);
        state_q        <= Address;
      end
      Address: begin
        row_address_q <= base_q + AddrBits'(first_beat);
        address_q     <= base_q + AddrBits'(first_beat);
        beat_q        <= first_beat;
        lane_q        <= first_lane;
        state_q       <= Run;
      end
      Run: begin
        if (issue) begin
          step_q <= last_step ? '0 : step_q + 1'b1;
          if (!last_step && real_row) begin
            lane_q    <= LaneBits'(wraps ? next_lane - SumLane'(P) : next_lane);
            beat_q    <= beat_q + BeatBits'(wraps);
            address_q <= address_q + AddrBits'(wraps);
          end
          if (last_step) begin
            row_q  <= next_row;
            lane_q <= first_lane;
            beat_q <= first_beat;
            if (real_row) begin
              line_q        <= line_q + 1'b1;
              row_address_q <= line_q[SlotBits-1:0] == '1 ? AddrBits'(first_beat) : row_address_q + AddrBits'(Beats);
              address_q     <= line_q[SlotBits-1:0] == '1 ? AddrBits'(first_beat) : row_address_q + AddrBits'(Beats);
            end
            if (last_row) begin
              state_q      <= Finish;
              window_valid <= 1'b1;
            end
          end
        end
      end
      default: begin
        if (ended_q) begin
          head_q  <= head_q + 1'b1;
          state_q <= Idle;
        end
      end
    endcase
    if (rst) begin
      state_q      <= Idle;
      head_q       <= '0;
      tail_q       <= '0;
      check_q      <= '0;
      hold_q       <= '0;
      window_valid <= 1'b0;
    end
  end

  // ---------------------------------------------------------------- out of the memories
  logic [1:0]               valid_q, zero_q;
  logic [1:0][LaneBits-1:0] column_q;  // in its beat, of the first pixel
  logic                     complete_q;
  logic [BeatBits-1:0]      beat_1_q;
  logic [1:0]               absent_q;  // this beat, the next one

  assign move = !m_axis_tvalid || m_axis_tready;

  always_ff @(posedge clk) begin
    if (move) begin
      valid_q       <= {valid_q[0], issue};
      zero_q        <= {zero_q[0], zero};
      column_q      <= {column_q[0], lane_q};
      complete_q    <= complete;
      beat_1_q      <= beat_q;
      absent_q      <= {complete_q && beat_1_q + 1'b1 >= length_beats, complete_q && beat_1_q >= length_beats};
      m_axis_tvalid <= valid_q[1];
      m_axis_tuser  <= zero_q[1];
      for (int unsigned i = 0; i < M; i++) begin : choose
        automatic logic [SumLane-1:0] place = SumLane'(column_q[1]) + SumLane'(i);
        automatic logic               next  = place >= SumLane'(P);
        automatic logic [LaneBits-1:0] lane = LaneBits'(next ? place - SumLane'(P) : place);
        m_axis_tdata[i*PixelBits+:PixelBits] <= absent_q[next] ? '0 : read_data[lane*PixelBits+:PixelBits];
      end
    end
    if (rst) begin
      valid_q       <= '0;
      m_axis_tvalid <= 1'b0;
    end
  end

  assert property (@(posedge clk) disable iff (rst) !begin_valid || begin_ready);
  assert property (@(posedge clk) disable iff (rst) !end_valid || ended_ready);

  window_lost_before: cover property (@(posedge clk) disable iff (rst) window_valid && window_lost);
  window_rests_zero: cover property (@(posedge clk) disable iff (rst) state_q == Run && issue && ended_q && !member_q);
  row_at_hand: cover property (@(posedge clk) disable iff (rst) state_q == Run && issue && real_row && at_hand);
  row_waited_for: cover property (@(posedge clk) disable iff (rst) state_q == Run && move && real_row && !there);
  window_at_left_edge: cover property (@(posedge clk) disable iff (rst) state_q == Place && centred && half < 0);
  window_at_right_edge: cover property (@(posedge clk) disable iff (rst) state_q == Place && centred && wanted > 16'(LINE_W - W));
  flushed_within: cover property (@(posedge clk) disable iff (rst) flush && state_q == Run);
  reader_waits_for_network: cover property (@(posedge clk) disable iff (rst) m_axis_tvalid && !m_axis_tready);
  events_full: cover property (@(posedge clk) disable iff (rst) !begin_ready);

endmodule

`default_nettype wire
