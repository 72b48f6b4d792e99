// SPDX-License-Identifier: Apache-2.0
//
// event_trigger: which lines belong to an event, and what is to be said of it. Bit-true model: sim/bit_true/event.py.
//
//   A line is low where its sum is below `off`, high where it reaches `on`. Idle, a high line begins an event. Its core reaches to the last
//   line that is not low. It ends with the end_lines-th low line on end, with a line that is not low where its core would be longer than
//   max_lines (overlong), or where lines stop (stalled). It is accepted with the line that is not low with which its core has min_lines
//   lines; where it ends before, it is debris. Behind an overlong or stalled one the trigger stays closed until end_lines
//   low lines on end have come.
//   Rows        lines of an event, counted from pre_lines before its first core line: `rows` of them are known to belong to it while it
//               is open (post_lines more than its core has so far, but none that max_lines may take back), and rows_here of
//               those have come; end_rows when it has ended. Of the first, begin_skip belonged to what came before.
//   Handshake   line_valid, at most once a cycle, never in a cycle with `stopped`; never stalled here. begin_valid and end_valid are one
//               cycle each, in this order for each event; rows and rows_here hold between the two. An event is accepted only where
//               begin_ready is high in the cycle before begin_valid; what takes end_valid must have room where it had some for begin_valid.
//   Latency     4 cycles from line_valid or stopped to begin_valid, end_valid, neighbour and the counters.
//   Counting    each cell is one of accepted, missed (no begin_ready), debris, dead_time (it rose while the trigger was closed); all but the
//               first are neighbours, with neighbour_time. stalled: one cycle for each event whose lines stopped.
//   doubt       makes an open event doubtful, lines that arrive within 32 cycles bad, and those before it bad as pre-lines.
//   Reset       idle; the next line is line 0; an unfinished event is forgotten.
`default_nettype none

module event_trigger #(
    parameter int unsigned SUM_BITS    = 31,
    parameter int unsigned MOMENT_BITS = 37,
    parameter int unsigned INDEX_BITS  = 10
) (
    input  wire logic                   clk,
    input  wire logic                   rst,

    input  wire logic [31:0]            on,
    input  wire logic [31:0]            off,
    input  wire logic [4:0]             dip,         // sixteenths, 0 .. 16
    input  wire logic [5:0]             pre_lines,
    input  wire logic [5:0]             post_lines,
    input  wire logic [5:0]             end_lines,
    input  wire logic [7:0]             min_lines,
    input  wire logic [7:0]             max_lines,
    input  wire logic                   doubt,

    input  wire logic                   line_valid,
    input  wire logic [SUM_BITS-1:0]    line_sum,
    input  wire logic [MOMENT_BITS-1:0] line_moment,
    input  wire logic                   line_bad,
    input  wire logic [47:0]            line_time,
    input  wire logic                   stopped,

    output logic                        begin_valid,
    input  wire logic                   begin_ready,
    output logic [7:0]                  begin_tag,
    output logic [47:0]                 begin_time,
    output logic [INDEX_BITS-1:0]       begin_line,    // of row 0, whether or not it is the event's
    output logic [5:0]                  begin_skip,    // first rows that are not the event's
    output logic [SUM_BITS-1:0]         begin_sum,     // of the first core line
    output logic [MOMENT_BITS-1:0]      begin_moment,
    output logic [8:0]                  rows,
    output logic [8:0]                  rows_here,

    output logic                        end_valid,
    output logic [7:0]                  end_tag,
    output logic [47:0]                 end_time,      // of the last line up to post_lines behind its core
    output logic [7:0]                  end_length,    // lines of its core
    output logic [4:0]                  end_flags,     // truncated, stalled, doublet, overlong, doubtful
    output logic [8:0]                  end_rows,

    output logic                        neighbour,
    output logic [47:0]                 neighbour_time,
    output logic                        neighbour_doubtful,  // so was a line of it

    output logic                        missed,
    output logic                        debris,
    output logic                        dead_time,
    output logic                        stalled
);
  if (INDEX_BITS < 10) begin : gen_index_error
    $error("event_trigger: INDEX_BITS must be at least 10");
  end

  localparam int unsigned LevelBits = (SUM_BITS > 32 ? SUM_BITS : 32) + 1;  // signed, of a sum or a threshold
  localparam int unsigned ScaleBits = LevelBits + 5;

  // ---------------------------------------------------------------- a line against the thresholds, 3 cycles
  logic [2:0]                         valid_q, stop_q, bad_q;
  logic [2:0][47:0]                   time_q;
  logic [2:0][SUM_BITS-1:0]           sum_q;
  logic [2:0][MOMENT_BITS-1:0]        moment_q;
  logic                               high_1_q, high_q, low_q;
  logic signed [LevelBits-1:0]        above_q;        // over `off`
  logic signed [ScaleBits-1:0]        depth_q;        // dip of the line's height over `off`
  logic [4:0]                         doubt_q;

  always_ff @(posedge clk) begin
    valid_q  <= {valid_q[1:0], line_valid};
    stop_q   <= {stop_q[1:0], stopped};
    bad_q    <= {bad_q[1:0], line_bad};
    time_q   <= {time_q[1:0], line_time};
    sum_q    <= {sum_q[1:0], line_sum};
    moment_q <= {moment_q[1:0], line_moment};
    above_q  <= $signed({1'b0, (LevelBits - 1)'(sum_q[0])}) - $signed({1'b0, (LevelBits - 1)'(off)});
    high_1_q <= (LevelBits - 1)'(sum_q[0]) >= (LevelBits - 1)'(on);
    high_q   <= high_1_q;
    low_q    <= above_q < 0;
    depth_q  <= above_q * $signed({1'b0, dip});
    doubt_q  <= doubt ? '1 : doubt_q - 5'(doubt_q != '0);
    if (rst) begin
      valid_q <= '0;
      stop_q  <= '0;
      doubt_q <= '0;
    end
  end

  wire                        line   = valid_q[2];
  wire                        low    = low_q;
  wire                        high   = high_q;
  wire                        bad    = bad_q[2] || doubt || doubt_q != '0;
  wire signed [ScaleBits-1:0] level  = $signed({1'b0, (ScaleBits - 1)'(sum_q[2]) << 4});  // 16 times the sum

  // ---------------------------------------------------------------- the event
  typedef enum logic [1:0] {
    Idle,
    Open,
    Closed
  } state_e;

  state_e                state_q;
  logic [INDEX_BITS-1:0] index_q;     // of the line at hand
  logic [8:0]            core_q;      // lines since the event began
  logic [8:0]            lit_q;       // lines of its core
  logic [5:0]            low_run_q;   // low lines on end
  logic [5:0]            free_q;      // lines that could be pre-lines, at most 63
  logic [5:0]            since_bad_q; // good lines since the last bad one, at most 63
  logic                  rise_q;      // a low line came, and no high one behind it
  logic                  accepted_q, missed_q;
  logic                  doubtful_q, doublet_q, truncated_q;
  logic [47:0]           event_time_q, last_time_q;
  logic [7:0]            tag_q;

  // An event keeps the numbers of lines that it began with.
  logic [5:0] pre_q, post_q, end_q;
  logic [7:0] min_q, max_q;

  // What the line at hand makes of the event, counted along so that nothing is added or compared when it comes.
  logic       full_q;         // the core has max_lines
  logic       enough_q;       // with one more line, it has min_lines
  logic [5:0] post_left_q;    // lines that are still post-lines, if low
  logic [8:0] row_q;          // pre-lines and the lines since the event began
  logic [8:0] row_end_q;      // those and post-lines
  logic [8:0] lit_end_q;      // pre-lines, core and post-lines
  logic [8:0] rows_lit_q;     // of `rows`, if the line is not low
  logic [8:0] first_here_q, first_end_q, first_rows_q, second_rows_q, most_rows_q;  // with the first line, with one more, at most

  wire [5:0] pre       = free_q < pre_q ? free_q : pre_q;
  wire [5:0] low_run   = low_run_q + 1'b1;
  wire       start     = line && state_q == Idle && high;
  wire [8:0] core      = start ? 9'd1 : core_q + 1'b1;
  wire       open      = line && state_q == Open;
  wire       overlong  = open && !low && full_q;
  wire       lit       = start || (open && !low && !overlong);
  wire       regular   = open && low && low_run == end_q;
  wire       stall     = stop_q[2] && state_q == Open;
  wire       ended     = overlong || regular || stall;
  wire       pending   = start || !(accepted_q || missed_q);
  wire       ask       = lit && pending && (start ? min_q <= 8'd1 : enough_q);
  wire       accept    = ask && begin_ready;
  wire       miss      = ask && !begin_ready;
  wire       is_debris = ended && !accepted_q && !missed_q;
  wire       late_rise = line && state_q == Closed && high && rise_q;
  wire       belongs   = lit || post_left_q != '0;

  function automatic logic [8:0] certain(input logic [1:0] core_lines);
    // Pre-lines, core and post-lines, without those that a later line takes back where it makes the core too long.
    automatic logic [8:0] most = 9'(post_lines) + 9'(core_lines);
    return 9'(pre_lines) + (most < 9'(max_lines) ? most : 9'(max_lines));
  endfunction

  always_ff @(posedge clk) begin
    if (ended || (state_q != Open && !start)) begin
      pre_q  <= pre_lines;
      post_q <= post_lines;
      end_q  <= end_lines;
      min_q  <= min_lines;
      max_q  <= max_lines;

      first_here_q  <= 9'(pre_lines) + 9'(max_lines != '0);
      first_end_q   <= 9'(pre_lines) + 9'(post_lines) + 1'b1;
      first_rows_q  <= certain(2'd1);
      second_rows_q <= certain(2'd2);
      most_rows_q   <= 9'(pre_lines) + 9'(max_lines);
    end
  end

  // ---------------------------------------------------------------- two maxima
  logic signed [ScaleBits-1:0] peak_q, valley_q, peak_depth_q, fall_to_q, rise_to_q;
  logic                        fallen_q;

  wire higher = level > peak_q;
  wire lower  = level < valley_q;
  wire climbs = start || (open && higher);

  always_ff @(posedge clk) begin
    if (climbs) begin
      peak_q       <= level;
      peak_depth_q <= depth_q;
      fall_to_q    <= level - depth_q;
      fallen_q     <= 1'b0;
    end else if (open && lower) begin
      fallen_q <= level <= fall_to_q;
    end
    if (climbs || (open && lower)) begin
      valley_q  <= level;
      rise_to_q <= level + (climbs ? depth_q : peak_depth_q);
    end
    if (start) doublet_q <= 1'b0;
    else if (lit && fallen_q && dip != '0 && level >= rise_to_q) doublet_q <= 1'b1;
  end

  // ---------------------------------------------------------------- state
  always_ff @(posedge clk) begin
    begin_valid    <= accept;
    end_valid      <= ended && accepted_q;
    missed         <= miss;
    debris         <= is_debris;
    dead_time      <= late_rise;
    stalled        <= stall;
    neighbour      <= miss || is_debris || late_rise;
    neighbour_time <= start || late_rise ? time_q[2] : event_time_q;
    neighbour_doubtful <= start || late_rise ? bad : doubtful_q || (open && bad) || doubt;

    if (line) begin
      index_q     <= index_q + 1'b1;
      since_bad_q <= bad ? '0 : since_bad_q + 6'(since_bad_q != '1);
      if (low) rise_q <= 1'b1;
      else if (high) rise_q <= 1'b0;
      if (state_q != Open) free_q <= state_q == Closed && !low ? '0 : free_q + 6'(free_q != '1);
      low_run_q <= low ? low_run : '0;
      if (state_q == Closed && low && low_run >= end_q) state_q <= Idle;
    end else if (doubt) begin
      since_bad_q <= '0;
    end
    if (start) begin
      state_q      <= Open;
      begin_line   <= index_q - INDEX_BITS'(pre_q);
      begin_skip   <= pre_q - pre;
      begin_sum    <= sum_q[2];
      begin_moment <= moment_q[2];
      begin_time   <= time_q[2];
      event_time_q <= time_q[2];
      truncated_q  <= pre != pre_q;
      doubtful_q   <= bad || since_bad_q < pre;
      accepted_q   <= 1'b0;
      missed_q     <= 1'b0;
    end else if ((open && bad) || doubt) begin
      doubtful_q   <= 1'b1;
    end
    if (start || open) begin
      core_q      <= core;
      full_q      <= core >= 9'(max_q);
      enough_q    <= core + 1'b1 >= 9'(min_q);
      row_q       <= start ? 9'(pre_q) + 1'b1 : row_q + 1'b1;
      row_end_q   <= start ? first_end_q : row_end_q + 1'b1;
      rows_lit_q  <= start ? second_rows_q : rows_lit_q + 9'(rows_lit_q != most_rows_q);
      post_left_q <= lit ? post_q : post_left_q - 6'(post_left_q != '0);
      if (lit) begin
        lit_q     <= core;
        lit_end_q <= start ? first_end_q : row_end_q + 1'b1;
        rows      <= start ? first_rows_q : rows_lit_q;
        rows_here <= start ? first_here_q : row_q + 1'b1;
      end else begin
        rows_here <= rows_here + 9'(rows_here != rows);
      end
      if (!overlong && belongs) last_time_q <= time_q[2];
    end
    if (accept) begin
      accepted_q <= 1'b1;
      begin_tag  <= tag_q;
      tag_q      <= tag_q + 1'b1;
    end
    if (miss) missed_q <= 1'b1;
    if (ended) begin
      state_q    <= regular ? Idle : Closed;
      end_tag    <= begin_tag;
      end_time   <= !stall && !overlong && belongs ? time_q[2] : last_time_q;
      end_length <= lit_q[8] ? '1 : lit_q[7:0];
      end_rows   <= overlong ? rows : regular || post_left_q == '0 ? lit_end_q : row_q;
      free_q     <= regular ? end_q - post_q : '0;
    end
    if (rst) begin
      state_q     <= Idle;
      index_q     <= '0;
      low_run_q   <= '0;
      free_q      <= '0;
      since_bad_q <= '1;
      rise_q      <= 1'b0;
      tag_q       <= '0;
      begin_valid <= 1'b0;
      end_valid   <= 1'b0;
      missed      <= 1'b0;
      debris      <= 1'b0;
      dead_time   <= 1'b0;
      stalled     <= 1'b0;
      neighbour   <= 1'b0;
    end
  end

  // What was known of the event before the line that ended it, and that line.
  logic overlong_q, stall_q;
  always_ff @(posedge clk) begin
    overlong_q <= overlong;
    stall_q    <= stall;
  end
  assign end_flags = {truncated_q, stall_q, doublet_q, overlong_q, doubtful_q};

  assert property (@(posedge clk) disable iff (rst) !(line_valid && stopped));
  assert property (@(posedge clk) disable iff (rst) !end_valid || accepted_q);

  // What the benches must have met (tests/functional_coverage.py).
  regular_end: cover property (@(posedge clk) disable iff (rst) end_valid && end_flags[3:0] == '0);
  overlong_end: cover property (@(posedge clk) disable iff (rst) end_valid && end_flags[1]);
  stalled_end: cover property (@(posedge clk) disable iff (rst) end_valid && end_flags[3]);
  doublet_end: cover property (@(posedge clk) disable iff (rst) end_valid && end_flags[2]);
  doubtful_end: cover property (@(posedge clk) disable iff (rst) end_valid && end_flags[0]);
  truncated_begin: cover property (@(posedge clk) disable iff (rst) end_valid && end_flags[4]);
  longest_event: cover property (@(posedge clk) disable iff (rst) end_valid && end_length == '1);
  cell_missed: cover property (@(posedge clk) disable iff (rst) missed);
  cell_is_debris: cover property (@(posedge clk) disable iff (rst) debris);
  cell_in_dead_time: cover property (@(posedge clk) disable iff (rst) dead_time);
  stall_while_idle: cover property (@(posedge clk) disable iff (rst) stop_q[2] && state_q == Idle);
  stall_while_closed: cover property (@(posedge clk) disable iff (rst) stop_q[2] && state_q == Closed);
  commit_within_event: cover property (@(posedge clk) disable iff (rst) doubt && state_q == Open);
  event_behind_event: cover property (@(posedge clk) disable iff (rst) start && free_q < pre_q);

endmodule

`default_nettype wire
