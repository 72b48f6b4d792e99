// SPDX-License-Identifier: Apache-2.0
//
// event_join_properties: whatever tags come, an event without fault has its own parts, and something is taken wherever all is there.
`default_nettype none

module event_join_properties
  import icsort_pkg::*;
(
    input  wire logic                 event_valid,
    input  wire logic [TAG_BITS-1:0]  event_tag,
    input  wire logic                 ended_valid,
    input  wire logic [TAG_BITS-1:0]  ended_tag,
    input  wire logic                 result_valid,
    input  wire logic [TAG_BITS-1:0]  result_tag,
    input  wire logic                 result_failed,
    input  wire logic                 take
);
  logic take_event, take_ended, take_result, joined, fault, mismatch;

  event_join dut (.*);

  wire own = ended_tag == event_tag && result_tag == event_tag;

  always_comb begin
    assert (!take_event || (joined && take && event_valid));
    assert (!take_ended || ended_valid);
    assert (!take_result || result_valid);
    // Without fault: all three are of one event, and are taken together.
    assert (!(take_event && !fault) || (own && !result_failed && take_ended && take_result && !mismatch));
    // With parts that are its own there is no fault but a failed result.
    assert (!(joined && own) || fault == result_failed);
    // A part of another event is taken only where it is behind, and then no event is decided.
    assert (!(take_ended && ended_tag != event_tag) || (!take_event && mismatch));
    assert (!(take_result && result_tag != event_tag) || (!take_event && mismatch));
    // Where all is there, and a decision is taken when there is one, something goes on.
    assert (!(event_valid && ended_valid && result_valid && take) || take_event || take_ended || take_result);
    // Nothing is lost unseen: an event that goes without a part, or a part without an event, is a mismatch.
    assert (!take_event || (take_ended && take_result) || mismatch);
  end

endmodule

`default_nettype wire
