#include "server/main/gate/admission.h"

#include <mutex>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

// Adds `amount` unless that passes `limit`; says by how much it would have.
bool Take(std::atomic<std::int64_t>& counter, std::int64_t amount, std::int64_t limit,
          std::int64_t& before) {
  before = counter.fetch_add(amount);
  if (limit == 0 || before + amount <= limit) return true;
  counter.fetch_sub(amount);
  return false;
}

}  // namespace

absl::Status Admission::Party::Enter(const Admittance& call,
                                     std::chrono::steady_clock::time_point now, const char* whose) {
  DROPOUTD_RETURN_IF_ERROR(Charge(call.bytes, whose));
  std::int64_t before;
  if (call.is_stream && !Take(streams, 1, limits.streams, before)) {
    bytes -= call.bytes;
    return MakeError(Reason::kQuotaStreams,
                     absl::StrCat(whose, " has ", before, " streams open, the most allowed"));
  }
  if (!rate.Allow(now)) {
    Leave(call);
    return MakeError(Reason::kQuotaCallRate,
                     absl::StrCat(whose, " has made ", limits.calls_per_second,
                                  " calls in the last second, the most allowed"));
  }
  return absl::OkStatus();
}

absl::Status Admission::Party::Charge(std::int64_t amount, const char* whose) {
  std::int64_t before;
  if (Take(bytes, amount, limits.bytes_in_flight, before)) return absl::OkStatus();
  return MakeError(
      Reason::kQuotaBytesInFlight,
      absl::StrCat(whose, "'s requests in flight hold ", before, " bytes, this one has ", amount,
                   ", the most allowed is ", limits.bytes_in_flight));
}

void Admission::Party::Leave(const Admittance& call) {
  bytes -= call.bytes;
  if (call.is_stream) --streams;
}

absl::Status Admission::Enter(const Admittance& call, std::chrono::steady_clock::time_point now) {
  ++calls_;  // Before draining_ is looked at, so that AwaitEmpty does not miss the call.
  absl::Status status = EnterParties(call, now);
  if (!status.ok()) CountOut();
  return status;
}

absl::Status Admission::EnterParties(const Admittance& call,
                                     std::chrono::steady_clock::time_point now) {
  if (draining_) {
    return MakeError(Reason::kDraining, "the server is shutting down; try again elsewhere");
  }
  // The tenant first, so that one over its limits takes nothing from the others.
  Party* const tenant = call.tenant.empty() ? nullptr : &PartyOf(call.tenant);
  if (tenant != nullptr) DROPOUTD_RETURN_IF_ERROR(tenant->Enter(call, now, "the tenant"));
  absl::Status status = total_.Enter(call, now, "the server");
  if (!status.ok() && tenant != nullptr) tenant->Leave(call);
  return status;
}

void Admission::Leave(const Admittance& call) {
  total_.Leave(call);
  if (!call.tenant.empty()) PartyOf(call.tenant).Leave(call);
  CountOut();
}

void Admission::CountOut() {
  if (--calls_ != 0 || !draining_) return;
  const std::lock_guard lock(empty_mutex_);
  empty_.notify_all();
}

bool Admission::AwaitEmpty(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(empty_mutex_);
  return empty_.wait_until(lock, deadline, [&] { return calls_ == 0; });
}

absl::Status Admission::Charge(std::string_view tenant, std::int64_t bytes) {
  Party* const party = tenant.empty() ? nullptr : &PartyOf(tenant);
  if (party != nullptr) DROPOUTD_RETURN_IF_ERROR(party->Charge(bytes, "the tenant"));
  absl::Status status = total_.Charge(bytes, "the server");
  if (!status.ok() && party != nullptr) party->bytes -= bytes;
  return status;
}

void Admission::Refund(std::string_view tenant, std::int64_t bytes) {
  total_.bytes -= bytes;
  if (!tenant.empty()) PartyOf(tenant).bytes -= bytes;
}

Admission::Party& Admission::PartyOf(std::string_view tenant) {
  {
    const std::shared_lock lock(mutex_);
    if (const auto found = tenants_.find(tenant); found != tenants_.end()) return *found->second;
  }
  const std::unique_lock lock(mutex_);
  auto& party = tenants_[std::string(tenant)];
  if (party == nullptr) party = std::make_unique<Party>(tenant_limits_);
  return *party;
}

}  // namespace dropoutd
