// SPDX-License-Identifier: Apache-2.0
//
// RTL and netlist of small_design in every cycle, on random inputs: few addresses, so that what is written is read, often with the same
// edge. Prints how many bits of the output ever were 1; ends with code 1 at the first cycle in which the two differ.
//
//   --seed N            of the inputs
//   --cycles N          to run
#include <array>
#include <cstdint>
#include <cstdio>
#include <random>

#include "Vside_by_side.h"
#include "harness.h"
#include "verilated.h"

int main(int argc, char** argv) {
  const harness::Options options(argc, argv);
  std::mt19937 random(options.number("--seed"));
  std::array<uint16_t, 12> places;
  for (auto& place : places) place = random() & 0x3fff;
  VerilatedContext context;
  Vside_by_side top(&context);
  const size_t words = sizeof top.rtl / sizeof top.rtl[0];
  std::array<uint32_t, sizeof top.rtl / sizeof top.rtl[0]> seen{};
  top.rst = 1;
  for (unsigned cycle = 0; cycle < options.number("--cycles"); ++cycle) {
    top.clk = 0;
    top.rst = cycle < 3 || random() % 100 == 0;
    top.write = random() % 2;
    top.read = random() % 5 != 0;
    top.halves = random() % 4;
    top.write_address = places[random() % places.size()];
    top.read_address = random() % 10 ? places[random() % places.size()] : random() & 0x3fff;
    for (unsigned word = 0; word < 3; ++word) top.data[word] = word < 2 ? random() : random() & 0xff;
    top.eval();
    top.clk = 1;
    top.eval();
    for (unsigned word = 0; word < words; ++word) {
      seen[word] |= top.rtl[word];
      if (top.rtl[word] == top.netlist[word]) continue;
      std::printf("cycle %u, word %u: RTL %08x, netlist %08x\n", cycle, word, top.rtl[word], top.netlist[word]);
      return 1;
    }
  }
  unsigned bits = 0;
  for (const uint32_t word : seen) bits += __builtin_popcount(word);
  std::printf("%u\n", bits);
  return 0;
}
