// SPDX-License-Identifier: Apache-2.0
//
// image_snapshot: the pixels of some windows, as the network takes them, in pieces to the host. It looks on: nothing waits for it.
//
//   s_beat      beats of windows on their way to the network, BEATS a window, without ready: what is taken there is seen here.
//   window      a pulse for each window, between the last beat of the one before and its own: its tag, and whether lines of it were lost.
//               Windows have the tags 0, 1, 2 .. since reset, modulo 2^TAG_BITS.
//   decided     a pulse for each event, with its tag and gates; events have the numbers 0, 1, 2 .. since reset, as in their records.
//   Which       one window is kept. It is chosen with its first beat: one for each pulse of `request`, the first that finds the memory
//               free; by `rule`, which is taken with that beat as a whole: IMAGE_EVERY, each rule_number-th window (0 acts as 1); IMAGE_GATE, each of
//               whose event gate rule_number then holds. A window is kept until its event is decided, and goes out behind that;
//               one that was kept for a gate that does not hold is forgotten, as is one with lost lines, whose request stays.
//   skipped     a pulse for each window that the rule asks for and that does not go out: the memory had another one, or its lines were lost.
//   m_axis      AXI4-Stream, a piece a packet: the structure image_head_t of icsort_pkg, then up to PIECE_WORDS words of pixels, first byte
//               low: pixel by pixel, row by row, channel 0 first, in the last word zeros behind the last one.
//   Latency     2 cycles from the later of `decided` and the last beat to the first word. Interval: at most 7 cycles a word.
//   Reset       all is forgotten; a piece under way is lost.
//   Overflow    none: a window that finds the memory taken is not kept.
`default_nettype none

module image_snapshot
  import icsort_pkg::*;
#(
    parameter int unsigned BEATS       = 1600,
    parameter int unsigned BEAT_BYTES  = 3,
    parameter int unsigned PIECE_WORDS = 32
) (
    input  wire logic                     clk,
    input  wire logic                     rst,

    input  wire logic [1:0]               rule,
    input  wire logic [23:0]              rule_number,
    input  wire logic                     request,

    input  wire logic [BEAT_BYTES*8-1:0]  s_beat_tdata,
    input  wire logic                     s_beat_tvalid,
    input  wire logic                     window_valid,
    input  wire logic [TAG_BITS-1:0]      window_tag,
    input  wire logic                     window_lost,
    input  wire logic                     decided,
    input  wire logic [TAG_BITS-1:0]      decided_tag,
    input  wire logic [31:0]              decided_gates,

    output logic [31:0]                   m_axis_tdata,
    output logic                          m_axis_tvalid,
    input  wire logic                     m_axis_tready,
    output logic                          m_axis_tlast,

    output logic                          busy,
    output logic                          skipped
);
  if (BEATS < 8 || BEAT_BYTES < 1) begin : gen_window_error
    $error("image_snapshot: a window must have at least 8 beats, a beat at least a byte");
  end
  if (PIECE_WORDS < 1 || (BEATS * BEAT_BYTES + 4 * PIECE_WORDS - 1) / (4 * PIECE_WORDS) > 65535) begin : gen_piece_error
    $error("image_snapshot: PIECE_WORDS must be at least 1, and a window have at most 65535 pieces");
  end

  localparam int unsigned Words     = (BEATS * BEAT_BYTES + 3) / 4;
  localparam int unsigned Pieces    = (Words + PIECE_WORDS - 1) / PIECE_WORDS;
  localparam int unsigned HeadWords = $bits(image_head_t) / 32;
  localparam int unsigned HeadBits  = $clog2(HeadWords);
  localparam int unsigned AddrBits  = $clog2(BEATS);
  localparam int unsigned BytesBits = $clog2(BEAT_BYTES + 1);
  localparam int unsigned WordsBits = $clog2(Words + 1);
  localparam int unsigned PieceBits = $clog2(PIECE_WORDS + 1);

  typedef enum logic [2:0] {Free, Capture, Wait, Head, Pixels} state_e;

  // ---------------------------------------------------------------- which window
  state_e              state_q;
  logic [AddrBits-1:0] beat_q;      // of the window that passes
  logic [TAG_BITS-1:0] passing_q;   // its tag
  logic                lost_q;      // it has lost lines
  logic [23:0]         every_q;     // windows since the last one that IMAGE_EVERY asked for
  logic                request_q;
  logic [1:0]          reason_q;    // of the window that is kept
  logic                asked_q;     // the rule asks for it
  logic [4:0]          gate_q;
  logic [TAG_BITS-1:0] tag_q;
  logic                decided_q;   // its event is
  logic [31:0]         number_q;    // of the next decision
  logic [31:0]         event_q;

  wire begins      = s_beat_tvalid && beat_q == '0;
  wire ends        = s_beat_tvalid && beat_q == AddrBits'(BEATS - 1);
  wire every_asks  = rule == IMAGE_EVERY && every_q + 24'd1 >= rule_number;
  wire choose      = begins && state_q == Free && (request_q || every_asks || rule == IMAGE_GATE);
  wire holding     = state_q inside {Capture, Wait} && !decided_q;
  wire decides     = holding && decided && decided_tag == tag_q;
  wire passes      = reason_q != IMAGE_GATE || decided_gates[gate_q];
  wire spoilt      = state_q == Capture && ends && lost_q;
  wire leaves      = state_q == Wait && (decided_q || (decides && passes));
  wire gate_asks   = decided && rule == IMAGE_GATE && decided_gates[rule_number[4:0]];

  assign busy = state_q != Free;

  always_ff @(posedge clk) begin
    if (s_beat_tvalid) beat_q <= ends ? '0 : beat_q + 1'b1;
    if (ends) passing_q <= passing_q + 1'b1;
    lost_q <= !ends && (lost_q || (window_valid && window_lost && window_tag == passing_q));
    if (rule != IMAGE_EVERY) every_q <= '0;
    else if (begins) every_q <= every_asks ? '0 : every_q + 24'd1;
    if (decided) number_q <= number_q + 1'b1;

    request_q <= request || (request_q && !choose) || (spoilt && reason_q == IMAGE_REQUEST);
    if (choose) begin
      reason_q <= request_q ? IMAGE_REQUEST : rule;
      gate_q   <= rule_number[4:0];
      tag_q    <= passing_q;
      asked_q  <= every_asks;
    end
    if (decides) begin
      event_q <= number_q;
      asked_q <= asked_q || gate_asks;
    end
    decided_q <= !choose && (decided_q || (decides && passes));

    skipped <= (begins && every_asks && state_q != Free) || (spoilt && asked_q) || (gate_asks && (!decides || spoilt || !passes));

    if (rst) begin
      beat_q    <= '0;
      passing_q <= '0;
      lost_q    <= 1'b0;
      every_q   <= '0;
      number_q  <= '0;
      request_q <= 1'b0;
      decided_q <= 1'b0;
      skipped   <= 1'b0;
    end
  end

  // ---------------------------------------------------------------- the window
  logic [BEAT_BYTES*8-1:0] mem [BEATS];
  logic [BEAT_BYTES*8-1:0] read_data;
  logic [AddrBits-1:0]     read_q;
  logic                    fetched_q;   // read_data is that of read_q

  always_ff @(posedge clk) begin
    if (s_beat_tvalid && (choose || state_q == Capture)) mem[beat_q] <= s_beat_tdata;
    read_data <= mem[read_q];
  end

  // ---------------------------------------------------------------- in pieces
  logic [BEAT_BYTES*8-1:0]      bytes_q;       // of the beat at hand
  logic [BytesBits-1:0]         bytes_left_q;
  logic                         beats_end_q;   // none is left
  logic [31:0]                  word_q;
  logic [2:0]                   filled_q;      // bytes of it
  logic [WordsBits-1:0]         words_left_q;
  logic [PieceBits-1:0]         piece_left_q;  // words of the piece
  logic [15:0]                  piece_q;
  logic [HeadBits-1:0]          head_q;

  wire out_free = !m_axis_tvalid || m_axis_tready;
  wire emit     = state_q == Pixels && filled_q == 3'd4 && out_free;
  wire unload   = state_q == Pixels && filled_q != 3'd4 && bytes_left_q != '0;
  wire load     = state_q == Pixels && bytes_left_q == '0 && !beats_end_q && fetched_q;
  wire pad      = state_q == Pixels && filled_q != 3'd4 && bytes_left_q == '0 && beats_end_q;
  wire last_word  = words_left_q == WordsBits'(1);
  wire last_piece = piece_left_q == PieceBits'(1);

  image_head_t                head;
  wire [HeadWords-1:0][31:0]  head_words = head;
  assign head = '{
      pieces: 16'(Pieces), piece: piece_q, unused: '0, reason: 8'(reason_q), tag: 8'(tag_q), event_id: event_q
  };

  always_ff @(posedge clk) begin
    fetched_q <= !load;
    if (load) begin
      bytes_q      <= read_data;
      bytes_left_q <= BytesBits'(BEAT_BYTES);
      beats_end_q  <= read_q == AddrBits'(BEATS - 1);
      read_q       <= read_q + 1'b1;
    end
    if (unload) begin
      word_q       <= {bytes_q[7:0], word_q[31:8]};
      bytes_q      <= bytes_q >> 8;
      bytes_left_q <= bytes_left_q - 1'b1;
      filled_q     <= filled_q + 1'b1;
    end
    if (pad) begin
      word_q   <= {8'd0, word_q[31:8]};
      filled_q <= filled_q + 1'b1;
    end

    if (m_axis_tready) m_axis_tvalid <= 1'b0;
    unique case (state_q)
      Free: if (choose) state_q <= Capture;
      Capture: begin
        if (ends) state_q <= Wait;
        if (spoilt || (decides && !passes)) state_q <= Free;
      end
      Wait: begin
        read_q       <= '0;
        fetched_q    <= 1'b0;
        bytes_left_q <= '0;
        beats_end_q  <= 1'b0;
        filled_q     <= '0;
        words_left_q <= WordsBits'(Words);
        piece_left_q <= PieceBits'(PIECE_WORDS);
        piece_q      <= '0;
        head_q       <= '0;
        if (leaves) state_q <= Head;
        else if (decides) state_q <= Free;
      end
      Head: if (out_free) begin
        m_axis_tdata  <= head_words[head_q];
        m_axis_tvalid <= 1'b1;
        m_axis_tlast  <= 1'b0;
        head_q        <= head_q + 1'b1;
        if (head_q == HeadBits'(HeadWords - 1)) begin
          head_q  <= '0;
          state_q <= Pixels;
        end
      end
      default: if (emit) begin
        m_axis_tdata  <= word_q;
        m_axis_tvalid <= 1'b1;
        m_axis_tlast  <= last_word || last_piece;
        filled_q      <= '0;
        words_left_q  <= words_left_q - 1'b1;
        piece_left_q  <= piece_left_q - 1'b1;
        if (last_piece) begin
          piece_left_q <= PieceBits'(PIECE_WORDS);
          piece_q      <= piece_q + 1'b1;
          state_q      <= Head;
        end
        if (last_word) state_q <= Free;
      end
    endcase
    if (rst) begin
      state_q       <= Free;
      m_axis_tvalid <= 1'b0;
    end
  end

  assert property (@(posedge clk) disable iff (rst) !window_valid || window_tag == passing_q);

endmodule

`default_nettype wire
