// SPDX-License-Identifier: Apache-2.0
//
// async_fifo: FIFO for AXI4-Stream from one clock to another, whatever their frequencies and phases.
//
//   Handshake   AXI4-Stream on both sides. m_axis_tvalid and m_axis_tdata are registers; s_axis_tready depends on registers alone.
//   Memory      DEPTH words, a power of two, in LUTs (distributed), and the beat that is offered.
//   Latency     m_axis_tvalid rises with the third edge of m_clk behind that of s_clk which takes a beat, or with the fourth where
//               one of m_clk falls together with that.
//   Interval    1 beat a cycle of the slower clock, where DEPTH is at least 8.
//   Pointers    cross in Gray code, in which one bit changes a step: what is read of one is the one before or the one behind it.
//   Reset       `rst` of any clock, of any length, empties it; both sides are closed in it, and until 3 edges of their clock behind it.
//   Overflow    cannot happen: s_axis_tready is low while DEPTH beats are held or not yet known to have left.
`default_nettype none

module async_fifo #(
    parameter int unsigned WIDTH = 8,
    parameter int unsigned DEPTH = 16
) (
    input  wire logic             rst,

    input  wire logic             s_clk,
    input  wire logic [WIDTH-1:0] s_axis_tdata,
    input  wire logic             s_axis_tvalid,
    output logic                  s_axis_tready,

    input  wire logic             m_clk,
    output logic [WIDTH-1:0]      m_axis_tdata,
    output logic                  m_axis_tvalid,
    input  wire logic             m_axis_tready
);
  if (WIDTH < 1) begin : gen_width_error
    $error("async_fifo: WIDTH must be at least 1");
  end
  if (DEPTH < 4 || DEPTH != 2 ** $clog2(DEPTH)) begin : gen_depth_error
    $error("async_fifo: DEPTH must be a power of two, at least 4");
  end

  localparam int unsigned AddrBits = $clog2(DEPTH);
  typedef logic [AddrBits:0] pointer_t;

  function automatic pointer_t gray(input pointer_t binary);
    return binary ^ binary >> 1;
  endfunction

  logic s_rst, m_rst;

  reset_synchronizer #(.CYCLES(3)) s_reset (.clk(s_clk), .ready(!rst), .rst(s_rst));
  reset_synchronizer #(.CYCLES(3)) m_reset (.clk(m_clk), .ready(!rst), .rst(m_rst));

  (* ram_style = "distributed" *)
  logic [WIDTH-1:0] mem [DEPTH];

  pointer_t write_q, read_q;            // binary, of their own side
  pointer_t write_gray_q, read_gray_q;  // the same in Gray code, which the other side reads
  (* async_reg = "true" *)
  pointer_t write_seen_q, write_known_q;
  (* async_reg = "true" *)
  pointer_t read_seen_q, read_known_q;

  // ---------------------------------------------------------------- in
  wire      push       = s_axis_tvalid && s_axis_tready;
  pointer_t next_write;

  assign next_write = write_q + pointer_t'(push);
  // DEPTH ahead of what is known of the reader: in Gray code the two upper bits are the other ones.
  assign s_axis_tready = write_gray_q != (read_known_q ^ (pointer_t'(3) << (AddrBits - 1))) && !s_rst;

  always_ff @(posedge s_clk) begin
    if (push) mem[write_q[AddrBits-1:0]] <= s_axis_tdata;
    read_seen_q  <= read_gray_q;
    read_known_q <= read_seen_q;
  end

  always_ff @(posedge s_clk or posedge s_rst) begin
    if (s_rst) begin
      write_q      <= '0;
      write_gray_q <= '0;
    end else begin
      write_q      <= next_write;
      write_gray_q <= gray(next_write);
    end
  end

  // ---------------------------------------------------------------- out
  wire      pop = read_gray_q != write_known_q && (!m_axis_tvalid || m_axis_tready);
  pointer_t next_read;

  assign next_read = read_q + pointer_t'(pop);

  always_ff @(posedge m_clk) begin
    if (pop) m_axis_tdata <= mem[read_q[AddrBits-1:0]];
    write_seen_q  <= write_gray_q;
    write_known_q <= write_seen_q;
  end

  always_ff @(posedge m_clk or posedge m_rst) begin
    if (m_rst) begin
      read_q        <= '0;
      read_gray_q   <= '0;
      m_axis_tvalid <= 1'b0;
    end else begin
      read_q        <= next_read;
      read_gray_q   <= gray(next_read);
      m_axis_tvalid <= pop || (m_axis_tvalid && !m_axis_tready);
    end
  end

  async_fifo_full: cover property (@(posedge s_clk) disable iff (s_rst) s_axis_tvalid && !s_axis_tready);
  async_fifo_empty: cover property (@(posedge m_clk) disable iff (m_rst) m_axis_tready && !m_axis_tvalid);

endmodule

`default_nettype wire
