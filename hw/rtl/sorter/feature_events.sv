// SPDX-License-Identifier: Apache-2.0
//
// feature_events: adds the lines of an event up, each with its row. Bit-true model: event_sums of sim/bit_true/features.py.
//
//   Handshake   s_member, one line of an event, in order of the lines: {tag, line modulo 256, first, last}; taken when its sums are
//               there (`done`) and added. read_line, read_channel go to feature_lines, word_* come from it two cycles later.
//   Sums        of channel c of an event: sums_valid for one cycle, with its bank, as the last line is taken; C cycles one after the
//               other, the first 3 cycles behind the one in which s_member was offered and its line there. m_event: pushed with the
//               first of them, {tag, kept}: not kept where no bank was free, then there are no sums. sums_done, with the
//               last of them: whether the event is `sound`: all its lines were there, of one generation of settings (which one
//               it says) that was in force then, and no more than 255.
//   Banks       taken in turn; `release_bank` gives the oldest back.
//   Interval    C cycles a line, without a pause between lines or events.
//   Overflow    no bank free: the event is not kept. m_event never waits: who takes it has room for all events.
//   Reset       what is under way is forgotten, all banks are free.
`default_nettype none

module feature_events #(
    parameter int unsigned LINE_W      = 40,
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter int unsigned BANKS       = 4,   // a power of two
    localparam int unsigned ColumnBits  = LINE_W > 1 ? $clog2(LINE_W) : 1,
    localparam int unsigned CountBits   = $clog2(LINE_W + 1),
    localparam int unsigned TotalBits   = SAMPLE_BITS + ColumnBits,
    localparam int unsigned XBits       = TotalBits + ColumnBits,
    localparam int unsigned XxBits      = TotalBits + 2 * ColumnBits,
    localparam int unsigned SquareBits  = TotalBits + SAMPLE_BITS,
    localparam int unsigned Partners    = C > 1 ? C / 2 : 1,
    localparam int unsigned ChannelBits = C > 1 ? $clog2(C) : 1,
    localparam int unsigned BankBits    = $clog2(BANKS)
) (
    input  wire logic                             clk,
    input  wire logic                             rst,

    input  wire logic [17:0]                      s_member_tdata,   // {tag, line, first, last}
    input  wire logic                             s_member_tvalid,
    output logic                                  s_member_tready,

    input  wire logic [1:0]                       generation,
    input  wire logic [7:0]                       done,
    output logic [7:0]                            read_line,
    output logic [ChannelBits-1:0]                read_channel,
    input  wire logic [7:0]                       word_line,
    input  wire logic [1:0]                       word_generation,
    input  wire logic [CountBits-1:0]             word_size,
    input  wire logic [SAMPLE_BITS-1:0]           word_largest,
    input  wire logic [TotalBits-1:0]             word_total,
    input  wire logic [XBits-1:0]                 word_x,
    input  wire logic [XxBits-1:0]                word_xx,
    input  wire logic [SquareBits-1:0]            word_square,
    input  wire logic [CountBits-1:0]             word_union,
    input  wire logic [Partners-1:0][SquareBits-1:0] word_product,

    output logic [8:0]                            m_event_tdata,    // {tag, kept}
    output logic                                  m_event_tvalid,

    output logic                                  sums_valid,
    output logic [BankBits-1:0]                   sums_bank,
    output logic [ChannelBits-1:0]                sums_channel,
    output logic [CountBits+7:0]                  sums_size,
    output logic [SAMPLE_BITS-1:0]                sums_largest,
    output logic [TotalBits+7:0]                  sums_total,
    output logic [XBits+7:0]                      sums_x,
    output logic [TotalBits+15:0]                 sums_y,
    output logic [XxBits+7:0]                     sums_xx,
    output logic [TotalBits+23:0]                 sums_yy,
    output logic [XBits+15:0]                     sums_xy,
    output logic [SquareBits+7:0]                 sums_square,
    output logic [CountBits+7:0]                  sums_union,
    output logic [Partners-1:0][SquareBits+7:0]   sums_product,
    output logic                                  sums_done,
    output logic                                  sound,
    output logic [1:0]                            sums_generation,

    input  wire logic                             release_bank
);
  if (BANKS < 2 || (BANKS & (BANKS - 1)) != 0) begin : gen_bank_error
    $error("feature_events: BANKS must be a power of two, at least 2");
  end

  typedef struct packed {
    logic [CountBits+7:0]                size;
    logic [SAMPLE_BITS-1:0]              largest;
    logic [TotalBits+7:0]                total;
    logic [XBits+7:0]                    x;
    logic [TotalBits+15:0]               y;
    logic [XxBits+7:0]                   xx;
    logic [TotalBits+23:0]               yy;
    logic [XBits+15:0]                   xy;
    logic [SquareBits+7:0]               square;
    logic [CountBits+7:0]                both;
    logic [Partners-1:0][SquareBits+7:0] products;
  } sums_t;

  typedef struct packed {
    logic                   valid, first, last;
    logic [ChannelBits-1:0] channel;
  } step_t;

  // ---------------------------------------------------------------- a channel of a line a cycle
  wire [7:0] tag   = s_member_tdata[17:10];
  wire [7:0] line  = s_member_tdata[9:2];
  wire       first = s_member_tdata[1];
  wire       last  = s_member_tdata[0];

  logic [ChannelBits-1:0] channel_q;
  logic [7:0]             row_q;        // of the next line
  logic                   too_many_q;

  wire       there   = 8'(done - line - 8'd1) < 8'd128;
  wire       issue   = s_member_tvalid && there;
  wire       at_last = channel_q == ChannelBits'(C - 1);
  wire [7:0] row     = first ? 8'd0 : row_q;

  assign s_member_tready = there && at_last;
  assign read_line       = line;
  assign read_channel    = channel_q;

  step_t       step_0_q, step_1_q, step_2_q;
  logic [7:0]  row_0_q, row_1_q, line_0_q, line_1_q, tag_0_q, tag_1_q, tag_2_q;
  logic [15:0] row_square_q;
  logic        excess_0_q, excess_1_q;   // a line behind the 255th

  always_ff @(posedge clk) begin
    step_0_q     <= '{issue, first, last, channel_q};
    row_0_q      <= row;
    line_0_q     <= line;
    tag_0_q      <= tag;
    excess_0_q   <= !first && too_many_q;
    step_1_q     <= step_0_q;
    row_1_q      <= row_0_q;
    row_square_q <= row_0_q * row_0_q;
    line_1_q     <= line_0_q;
    tag_1_q      <= tag_0_q;
    excess_1_q   <= excess_0_q;
    if (issue) begin
      channel_q <= at_last ? '0 : channel_q + 1'b1;
      if (at_last) begin
        row_q      <= row + 1'b1;
        too_many_q <= !first && (too_many_q || row == 8'd254);
      end
    end
    if (rst) begin
      channel_q      <= '0;
      step_0_q.valid <= 1'b0;
      step_1_q.valid <= 1'b0;
    end
  end

  // ---------------------------------------------------------------- products with the row
  sums_t add_q;
  logic  wrong_2_q;
  logic [1:0] generation_2_q;

  always_ff @(posedge clk) begin
    step_2_q      <= step_1_q;
    tag_2_q       <= tag_1_q;
    wrong_2_q     <= word_line != line_1_q || word_generation != generation || excess_1_q;
    generation_2_q <= word_generation;
    add_q.size    <= (CountBits + 8)'(word_size);
    add_q.largest <= word_largest;
    add_q.total   <= (TotalBits + 8)'(word_total);
    add_q.x       <= (XBits + 8)'(word_x);
    add_q.y       <= (TotalBits + 16)'(word_total * row_1_q);
    add_q.xx      <= (XxBits + 8)'(word_xx);
    add_q.yy      <= (TotalBits + 24)'(word_total * row_square_q);
    add_q.xy      <= (XBits + 16)'(word_x * row_1_q);
    add_q.square  <= (SquareBits + 8)'(word_square);
    add_q.both    <= (CountBits + 8)'(word_union);
    for (int unsigned d = 0; d < Partners; d++) add_q.products[d] <= (SquareBits + 8)'(word_product[d]);
    if (rst) step_2_q.valid <= 1'b0;
  end

  // ---------------------------------------------------------------- sums of the event at hand
  sums_t sums [2**ChannelBits];
  sums_t prior, added;

  assign prior = step_2_q.first ? '0 : sums[step_2_q.channel];

  always_comb begin
    added.size    = add_q.size + prior.size;
    added.largest = add_q.largest > prior.largest ? add_q.largest : prior.largest;
    added.total   = add_q.total + prior.total;
    added.x       = add_q.x + prior.x;
    added.y       = add_q.y + prior.y;
    added.xx      = add_q.xx + prior.xx;
    added.yy      = add_q.yy + prior.yy;
    added.xy      = add_q.xy + prior.xy;
    added.square  = add_q.square + prior.square;
    added.both    = add_q.both + prior.both;
    for (int unsigned d = 0; d < Partners; d++) added.products[d] = add_q.products[d] + prior.products[d];
  end

  always_ff @(posedge clk) begin
    if (step_2_q.valid) sums[step_2_q.channel] <= added;
  end

  // ---------------------------------------------------------------- banks of events that wait
  localparam int unsigned UsedBits = $clog2(BANKS + 1);
  logic [BankBits-1:0] bank_q;
  logic [UsedBits-1:0] used_q;
  logic                kept_q;    // the event at hand has a bank
  logic                wrong_q;   // something of it was not as it must be

  wire begins = step_2_q.valid && step_2_q.last && step_2_q.channel == '0;
  wire ends   = step_2_q.valid && step_2_q.last && step_2_q.channel == ChannelBits'(C - 1);
  wire room   = used_q != UsedBits'(BANKS);
  wire kept   = begins ? room : kept_q;
  wire wrong  = wrong_2_q || (wrong_q && !(step_2_q.first && step_2_q.channel == '0));

  assign m_event_tdata  = {tag_2_q, room};
  assign m_event_tvalid = begins;
  assign sums_valid     = step_2_q.valid && step_2_q.last && kept;
  assign sums_bank      = bank_q;
  assign sums_channel   = step_2_q.channel;
  assign sums_done      = ends && kept;
  assign sound          = !wrong;
  assign sums_generation = generation_2_q;
  assign sums_size      = added.size;
  assign sums_largest   = added.largest;
  assign sums_total     = added.total;
  assign sums_x         = added.x;
  assign sums_y         = added.y;
  assign sums_xx        = added.xx;
  assign sums_yy        = added.yy;
  assign sums_xy        = added.xy;
  assign sums_square    = added.square;
  assign sums_union     = added.both;
  assign sums_product   = added.products;

  always_ff @(posedge clk) begin
    if (begins) kept_q <= room;
    if (step_2_q.valid) wrong_q <= wrong;
    if (sums_done) bank_q <= bank_q + 1'b1;
    used_q <= used_q + UsedBits'(begins && room) - UsedBits'(release_bank);
    if (rst) begin
      bank_q <= '0;
      used_q <= '0;
    end
  end

  assert property (@(posedge clk) disable iff (rst) !release_bank || used_q != '0);

endmodule

`default_nettype wire
