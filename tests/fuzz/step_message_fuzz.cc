// Fuzz target: the hand-written parsers against the generated ones, whatever the bytes.
//
// Byte 0 picks the message type, byte 1 the length of the fragments (0: one fragment); the
// rest is the message.
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "tests/service/step_message_check.h"

namespace {

using dropoutd::MessageType;

std::vector<std::string_view> Cut(std::string_view bytes, std::size_t length) {
  if (length == 0) return {bytes};
  std::vector<std::string_view> fragments;
  for (std::size_t at = 0; at < bytes.size(); at += length) {
    fragments.push_back(bytes.substr(at, length));
  }
  return fragments;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool quiet = (google::protobuf::SetLogHandler(nullptr), true);
  if (!quiet || size < 2) return 0;
  const auto type = static_cast<MessageType>(data[0] % 3);
  // Held in memory of its own size, so that AddressSanitizer sees a byte too far.
  const std::string bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  bool parsed = false;
  const std::string difference = dropoutd::CompareParsers(type, bytes, Cut(bytes, data[1]), parsed);
  if (difference.empty()) return 0;
  std::fprintf(stderr, "the parsers differ: %s\n", difference.c_str());
  std::abort();
}
