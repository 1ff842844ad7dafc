#include "client/cli/npy_header.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace dropout::cli {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kFixedBytes = 10;  // Magic, version, length of the dictionary.

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("the header's ", what));
}

// Takes words off the front of the dictionary's text. Every function skips white space
// first and leaves the text as it was where it does not find what it looks for.
class Scanner {
 public:
  explicit Scanner(absl::string_view text) : rest_(text) {}

  bool Take(absl::string_view word) {
    Skip();
    return absl::ConsumePrefix(&rest_, word);
  }

  bool TakeString(std::string* value) {
    Skip();
    if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) return false;
    const std::size_t end = rest_.find(rest_[0], 1);
    if (end == absl::string_view::npos) return false;
    *value = std::string(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return true;
  }

  bool TakeBool(bool* value) {
    if (Take("True")) {
      *value = true;
    } else if (Take("False")) {
      *value = false;
    } else {
      return false;
    }
    return true;
  }

  // Python 2 wrote large sizes with an L.
  bool TakeSize(std::int64_t* value) {
    Skip();
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), absl::ascii_isdigit);
    const absl::string_view digits = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    if (!absl::SimpleAtoi(digits, value)) return false;
    rest_.remove_prefix(digits.size());
    absl::ConsumePrefix(&rest_, "L");
    return true;
  }

  bool TakeShape(std::vector<std::int64_t>* shape) {
    if (!Take("(")) return false;
    shape->clear();
    while (!Take(")")) {
      std::int64_t size;
      if (!TakeSize(&size)) return false;
      shape->push_back(size);
      // A comma may be missing only before the end, and not after a single size.
      if (!Take(",")) return shape->size() > 1 && Take(")");
    }
    return true;
  }

  bool AtEnd() {
    Skip();
    return rest_.empty();
  }

 private:
  void Skip() { rest_ = absl::StripLeadingAsciiWhitespace(rest_); }

  absl::string_view rest_;
};

// The three entries, each of which must come exactly once.
struct Entries {
  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::int64_t>> shape;
};

absl::Status TakeEntry(Scanner* scanner, const std::string& key, Entries* entries) {
  if (key == "descr" && !entries->descr.has_value()) {
    if (!scanner->TakeString(&entries->descr.emplace())) {
      return Malformed("'descr' is not a simple type");
    }
  } else if (key == "fortran_order" && !entries->fortran_order.has_value()) {
    if (!scanner->TakeBool(&entries->fortran_order.emplace())) {
      return Malformed("'fortran_order' is not True or False");
    }
  } else if (key == "shape" && !entries->shape.has_value()) {
    if (!scanner->TakeShape(&entries->shape.emplace())) {
      return Malformed("'shape' is not a tuple of sizes of 0 or more, each below 2^63");
    }
  } else {
    return Malformed("entries are not 'descr', 'fortran_order' and 'shape', each once");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NpyHeader> ParseNpyHeader(absl::string_view text) {
  Scanner scanner(text);
  Entries entries;
  if (!scanner.Take("{")) return Malformed("text is not a dictionary");
  while (!scanner.Take("}")) {
    std::string key;
    if (!scanner.TakeString(&key) || !scanner.Take(":")) {
      return Malformed("text is not a dictionary");
    }
    if (absl::Status status = TakeEntry(&scanner, key, &entries); !status.ok()) return status;
    if (scanner.Take(",")) continue;
    if (scanner.Take("}")) break;
    return Malformed("text is not a dictionary");
  }
  if (!scanner.AtEnd()) return Malformed("dictionary is followed by other text");
  if (!entries.descr || !entries.fortran_order || !entries.shape) {
    return Malformed("entries are not 'descr', 'fortran_order' and 'shape', each once");
  }
  return NpyHeader{*entries.descr, *entries.fortran_order, *std::move(entries.shape)};
}

std::string FormatNpyPreamble(const NpyHeader& header) {
  std::string text =
      absl::StrCat("{'descr': '", header.descr,
                   "', 'fortran_order': ", header.fortran_order ? "True" : "False", ", 'shape': (",
                   absl::StrJoin(header.shape, ", "), header.shape.size() == 1 ? ",), }" : "), }");
  const std::size_t unpadded = kFixedBytes + text.size() + 1;
  text.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  text += '\n';
  std::string preamble("\x93NUMPY\x01\x00", 8);
  preamble += static_cast<char>(text.size() & 0xFF);
  preamble += static_cast<char>(text.size() >> 8);
  return preamble + text;
}

}  // namespace dropout::cli
