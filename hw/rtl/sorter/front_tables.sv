// SPDX-License-Identifier: Apache-2.0
//
// front_tables: the front's settings that are tables, written and read one value at a time by table and index.
//
//   Tables      0: dark, 1: flat, of flat_field, by column and channel: they lie there (field_*). 2: background of each channel; 3: gain
//               of each channel. 4: the settings of features, which lie there (feature_*). A value of another table or channel goes
//               nowhere and is read as 0.
//   index_written   one cycle; the index is taken in the next one. data_written: one cycle; the value is taken in the next one, and
//               the index goes up.
//   Latency     read_value is that of the index 3 cycles later.
//   Reset       background and gain as built; table 0, index 0.
`default_nettype none

module front_tables #(
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter logic [C*SAMPLE_BITS-1:0] BACKGROUND = '0,
    parameter logic [C*18-1:0]          GAIN       = '0
) (
    input  wire logic                     clk,
    input  wire logic                     rst,

    input  wire logic                     index_written,
    input  wire logic [7:0]               table_number,
    input  wire logic [23:0]              index,
    input  wire logic                     data_written,
    input  wire logic [31:0]              data,
    output logic [31:0]                   read_value,

    output logic                          field_write,
    output logic                          field_flat,
    output logic [23:0]                   field_index,
    output logic [15:0]                   field_data,
    input  wire logic [15:0]              field_read,      // 2 cycles behind field_index

    output logic                          feature_write,
    output logic [7:0]                    feature_index,
    output logic [31:0]                   feature_data,
    input  wire logic [31:0]              feature_read,    // of feature_index, in the same cycle

    output logic [C*SAMPLE_BITS-1:0]      background,
    output logic [C*18-1:0]               gain
);
  localparam logic [7:0] Dark       = 8'd0;
  localparam logic [7:0] Flat       = 8'd1;
  localparam logic [7:0] Background = 8'd2;
  localparam logic [7:0] Gain       = 8'd3;
  localparam logic [7:0] Features   = 8'd4;

  logic        index_written_q, data_written_q;
  logic [23:0] index_q;

  wire is_field = table_number inside {Dark, Flat};

  assign field_write = data_written_q && is_field;
  assign field_flat  = table_number == Flat;
  assign field_index = index_q;
  assign field_data  = data[15:0];

  wire is_feature = table_number == Features && index_q[23:8] == '0;

  assign feature_write = data_written_q && is_feature;
  assign feature_index = index_q[7:0];
  assign feature_data  = data;

  always_ff @(posedge clk) begin
    index_written_q <= index_written;
    data_written_q  <= data_written;
    if (index_written_q) index_q <= index;
    else if (data_written_q) index_q <= index_q + 1'b1;

    read_value <= is_field ? 32'(field_read) : is_feature ? feature_read : '0;
    for (int unsigned c = 0; c < C; c++) begin
      if (index_q == 24'(c)) begin
        if (table_number == Background) begin
          read_value <= 32'(background[c*SAMPLE_BITS+:SAMPLE_BITS]);
          if (data_written_q) background[c*SAMPLE_BITS+:SAMPLE_BITS] <= data[SAMPLE_BITS-1:0];
        end
        if (table_number == Gain) begin
          read_value <= 32'($signed(gain[c*18+:18]));
          if (data_written_q) gain[c*18+:18] <= data[17:0];
        end
      end
    end
    if (rst) begin
      index_written_q <= 1'b0;
      data_written_q  <= 1'b0;
      index_q         <= '0;
      background      <= BACKGROUND;
      gain            <= GAIN;
    end
  end

endmodule

`default_nettype wire
