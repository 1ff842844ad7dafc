// What the stores that live in this process have in common.
#ifndef DROPOUTD_SERVER_STORE_STORE_RULES_H_
#define DROPOUTD_SERVER_STORE_STORE_RULES_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include "server/store/store.h"

namespace dropoutd {

// How long it is known of a session or a field that it was removed; longer than a write may wait.
inline constexpr std::chrono::seconds kTombstoneLife{30};

// How long fields wait for their session.
inline constexpr std::chrono::minutes kStagedLife{1};

// Whether the change gives its session a new token.
inline bool Renames(const StoreChange& change) {
  return change.makes.has_value() || !change.parts.empty() || !change.erases.empty();
}

inline bool IsIn(std::string_view name, const FieldRange& range) {
  return name >= range.first && name < range.last;
}

inline bool IsInAny(std::string_view name, const std::vector<FieldRange>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [name](const FieldRange& range) { return IsIn(name, range); });
}

inline StoreResult Done(Token token, std::uint64_t count = 0) {
  StoreResult result;
  result.token = token;
  result.count = count;
  return result;
}

inline StoreResult Refused(StoreOutcome outcome, std::uint64_t count = 0) {
  StoreResult result;
  result.outcome = outcome;
  result.count = count;
  return result;
}

inline StoreResult Conflict(Token token, bool exists) {
  StoreResult result;
  result.outcome = StoreOutcome::kConflict;
  result.token = token;
  result.exists = exists;
  return result;
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_STORE_RULES_H_
