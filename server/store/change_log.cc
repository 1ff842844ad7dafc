#include "server/store/change_log.h"

#include <algorithm>
#include <utility>

namespace dropoutd {
namespace {

constexpr std::size_t kNumberBytes = 8;
constexpr std::uint64_t kNoNames = ~std::uint64_t{0};

void AppendNumber(std::uint64_t number, std::string& bytes) {
  for (std::size_t i = 0; i < kNumberBytes; ++i) bytes += static_cast<char>(number >> (8 * i));
}

// Takes from the front of `bytes`; nothing if there is not so much.
std::optional<std::string_view> TakeBytes(std::uint64_t size, std::string_view& bytes) {
  if (bytes.size() < size) return std::nullopt;
  const std::string_view taken = bytes.substr(0, static_cast<std::size_t>(size));
  bytes.remove_prefix(taken.size());
  return taken;
}

std::optional<std::uint64_t> TakeNumber(std::string_view& bytes) {
  const auto taken = TakeBytes(kNumberBytes, bytes);
  if (!taken.has_value()) return std::nullopt;
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < kNumberBytes; ++i) {
    number |= std::uint64_t{static_cast<unsigned char>((*taken)[i])} << (8 * i);
  }
  return number;
}

std::optional<ChangeLog::Entry> TakeEntry(std::string_view& bytes) {
  ChangeLog::Entry entry;
  const auto token = TakeBytes(Token::kBytes, bytes);
  const auto erased = TakeNumber(bytes);
  const auto names = TakeNumber(bytes);
  if (!token.has_value() || !erased.has_value() || !names.has_value()) return std::nullopt;
  entry.token = *Token::FromBytes(*token);
  entry.erased = *erased;
  entry.has_names = *names != kNoNames;
  for (std::uint64_t i = 0; entry.has_names && i < *names; ++i) {
    const auto size = TakeNumber(bytes);
    const auto name = size.has_value() ? TakeBytes(*size, bytes) : std::nullopt;
    if (!name.has_value()) return std::nullopt;
    entry.names.emplace_back(*name);
  }
  return entry;
}

}  // namespace

void ChangeLog::Add(const StoreChange& change, std::uint64_t erased) {
  Entry& added = entries_.emplace_back();
  added.token = change.token;
  added.erased = erased;
  for (const StorePart& part : change.parts) added.names.push_back(part.name);
  if (entries_.size() > kMostChanges) entries_.pop_front();
  std::size_t byte_size = 0;
  for (auto at = entries_.rbegin(); at != entries_.rend(); ++at) {
    for (const std::string& name : at->names) byte_size += kNumberBytes + name.size();
    if (byte_size <= kMostNameBytes) continue;
    at->has_names = false;
    at->names.clear();
  }
}

const ChangeLog::Entry* ChangeLog::Find(Token token) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [token](const Entry& each) { return each.token == token; });
  return found == entries_.end() ? nullptr : &*found;
}

std::optional<std::set<std::string>> ChangeLog::NamesSince(Token known) const {
  std::set<std::string> names;
  for (auto at = entries_.rbegin(); at != entries_.rend(); ++at) {
    if (at->token == known) return names;
    if (!at->has_names) return std::nullopt;
    names.insert(at->names.begin(), at->names.end());
  }
  return std::nullopt;
}

std::string ChangeLog::Bytes() const {
  std::string bytes;
  for (const Entry& entry : entries_) {
    bytes += entry.token.Bytes();
    AppendNumber(entry.erased, bytes);
    AppendNumber(entry.has_names ? entry.names.size() : kNoNames, bytes);
    for (const std::string& name : entry.names) {
      AppendNumber(name.size(), bytes);
      bytes += name;
    }
  }
  return bytes;
}

std::optional<ChangeLog> ChangeLog::FromBytes(std::string_view bytes) {
  ChangeLog log;
  while (!bytes.empty()) {
    auto entry = TakeEntry(bytes);
    if (!entry.has_value()) return std::nullopt;
    log.entries_.push_back(*std::move(entry));
  }
  return log;
}

}  // namespace dropoutd
