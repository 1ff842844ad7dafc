// Fuzz target: the file of token hashes, whatever its text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/time/time.h"
#include "server/main/auth/token_table.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto table = dropoutd::TokenTable::Parse(text);
  if (!table.ok()) {
    // A line that is wrong may hold a token: no error quotes so much of it.
    constexpr std::size_t kSecret = 32;
    const std::string message(table.status().message());
    for (std::size_t at = 0; at + kSecret <= message.size(); ++at) {
      const std::string quoted = message.substr(at, kSecret);
      // A token is one word; the error's own words are short, and may be in the text too.
      if (quoted.find(' ') == std::string::npos && text.find(quoted) != std::string::npos) {
        std::abort();
      }
    }
    return 0;
  }
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  if (table->size() > lines) std::abort();
  // The text holds hashes, and nobody is let in by showing one.
  if (table->TenantOf(text, absl::UnixEpoch()).has_value()) std::abort();
  return 0;
}
