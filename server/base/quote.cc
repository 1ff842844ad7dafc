#include "server/base/quote.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace dropoutd {

std::string Quote(std::string_view text) {
  constexpr std::size_t kMaxBytes = 64;
  std::size_t cut = std::min(text.size(), kMaxBytes);
  // Not in the middle of a UTF-8 sequence.
  while (cut < text.size() && cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) {
    --cut;
  }
  const absl::string_view head(text.data(), cut);
  return absl::StrCat("\"", absl::Utf8SafeCEscape(head), cut < text.size() ? "\"..." : "\"");
}

}  // namespace dropoutd
