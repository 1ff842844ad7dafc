#include "tests/simulation/local_store.h"

#include <algorithm>
#include <chrono>
#include <sstream>

#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

absl::Status NotNow(std::string_view why) { return MakeError(Reason::kStoreUnavailable, why); }

// Whether it puts something in.
bool Fills(const StoreChange& change) {
  const auto has_value = [](const auto& each) { return each.value.has_value(); };
  return std::any_of(change.parts.begin(), change.parts.end(), has_value) ||
         std::any_of(change.writes.begin(), change.writes.end(), has_value);
}

}  // namespace

LocalFaults LocalFaults::Draw(RandomSource64& random) {
  LocalFaults faults;
  if (random.Chance(0.4)) faults.lost = 0.05 * random.Fraction();
  if (random.Chance(0.4)) faults.lost_after = 0.05 * random.Fraction();
  if (random.Chance(0.3)) faults.fills = 0.2 * random.Fraction();
  faults.waits = random.Fraction();
  return faults;
}

std::string LocalFaults::Print() const {
  std::ostringstream text;
  text << " lost=" << lost << " lost_after=" << lost_after << " fills=" << fills
       << " waits=" << waits;
  return std::move(text).str();
}

void LocalStore::Wait() {
  RandomSource64& random = scheduler_.random();
  if (!random.Chance(faults_.waits)) return;
  if (random.Chance(0.7)) return scheduler_.Yield();
  scheduler_.Sleep(random.Between(std::chrono::nanoseconds(0), std::chrono::milliseconds(5)));
}

absl::Status LocalStore::Before() {
  Wait();
  if (has_ended_) return NotNow("this server has ended");
  if (scheduler_.random().Chance(faults_.lost)) return NotNow("the disk has an error");
  return absl::OkStatus();
}

absl::Status LocalStore::After(bool is_change) {
  Wait();
  if (has_ended_) return NotNow("this server has ended");
  const bool is_lost = is_change && scheduler_.random().Chance(faults_.lost_after);
  return is_lost ? NotNow("the disk did not say") : absl::OkStatus();
}

absl::StatusOr<StoreResult> LocalStore::Commit(std::string_view key, StoreChange change) {
  DROPOUTD_RETURN_IF_ERROR(Before());
  if (is_full_ && Fills(change)) return NotNow("the disk is full");
  auto result = store().Commit(key, std::move(change));
  DROPOUTD_RETURN_IF_ERROR(After(true));
  return result;
}

absl::Status LocalStore::Stage(std::string_view key, Token incarnation,
                               std::vector<StoreField> fields) {
  DROPOUTD_RETURN_IF_ERROR(Before());
  if (is_full_) return NotNow("the disk is full");
  const absl::Status status = store().Stage(key, incarnation, std::move(fields));
  DROPOUTD_RETURN_IF_ERROR(After(true));
  return status;
}

absl::StatusOr<StoreAnswer> LocalStore::Query(std::string_view key, const StoreQuery& query) {
  DROPOUTD_RETURN_IF_ERROR(Before());
  auto answer = store().Query(key, query);
  DROPOUTD_RETURN_IF_ERROR(After(false));
  return answer;
}

absl::StatusOr<std::unique_ptr<StoreSnapshot>> LocalStore::Snapshot(std::string_view key) {
  DROPOUTD_RETURN_IF_ERROR(Before());
  auto snapshot = store().Snapshot(key);
  DROPOUTD_RETURN_IF_ERROR(After(false));
  return snapshot;
}

absl::StatusOr<std::uint64_t> LocalStore::EraseRange(std::string_view key, Token incarnation,
                                                     std::optional<Token> expected,
                                                     const FieldRange& range, std::size_t keep,
                                                     std::size_t most) {
  DROPOUTD_RETURN_IF_ERROR(Before());
  auto erased = store().EraseRange(key, incarnation, expected, range, keep, most);
  DROPOUTD_RETURN_IF_ERROR(After(true));
  return erased;
}

absl::StatusOr<StoreResult> LocalStore::Remove(std::string_view key, Token incarnation,
                                               Token token) {
  DROPOUTD_RETURN_IF_ERROR(Before());
  auto result = store().Remove(key, incarnation, token);
  DROPOUTD_RETURN_IF_ERROR(After(true));
  return result;
}

absl::StatusOr<std::vector<std::string>> LocalStore::List(std::string_view prefix,
                                                          std::string_view after,
                                                          std::size_t limit) {
  DROPOUTD_RETURN_IF_ERROR(Before());
  auto keys = store().List(prefix, after, limit);
  DROPOUTD_RETURN_IF_ERROR(After(false));
  return keys;
}

}  // namespace dropoutd
