#include "server/main/gate/admission.h"

#include <cstddef>
#include <mutex>
#include <optional>

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

// The refusal that `terms` words, with the limit `most`. For a total, `held` is left out: no tenant
// learns what others hold.
absl::Status Refused(QuotaTerms terms, QuotaLimit whose, std::int64_t most, std::int64_t amount,
                     std::int64_t held) {
  const bool is_tenants = whose == QuotaLimit::kTenant;
  terms.most = is_tenants ? kNoTenantLimit : static_cast<std::size_t>(most);
  if (is_tenants) terms.most_of_tenant = static_cast<std::size_t>(most);
  const auto known = is_tenants ? std::optional(static_cast<std::size_t>(held)) : std::nullopt;
  return QuotaError(terms, whose, static_cast<std::size_t>(amount), known);
}

}  // namespace

absl::Status Admission::Party::Enter(const Admittance& call,
                                     std::chrono::steady_clock::time_point now, QuotaLimit whose) {
  DROPOUTD_RETURN_IF_ERROR(Charge(call.bytes, whose));
  std::int64_t before;
  if (call.is_stream && !Take(streams, 1, limits.streams, before)) {
    bytes -= call.bytes;
    return Refused({.reason = Reason::kQuotaStreams,
                    .things = "streams",
                    .flag = "max_streams",
                    .remedy = "end streams"},
                   whose, limits.streams, 1, before);
  }
  if (!rate.Allow(now)) {
    Leave(call);
    return Refused({.reason = Reason::kQuotaCallRate,
                    .things = "calls in this second",
                    .flag = "max_calls_per_second",
                    .remedy = "call again later"},
                   whose, limits.calls_per_second, 1, limits.calls_per_second);
  }
  return absl::OkStatus();
}

absl::Status Admission::Party::Charge(std::int64_t amount, QuotaLimit whose) {
  std::int64_t before;
  if (Take(bytes, amount, limits.bytes_in_flight, before)) return absl::OkStatus();
  return Refused({.reason = Reason::kQuotaBytesInFlight,
                  .things = "bytes of requests in flight",
                  .flag = "max_bytes_in_flight",
                  .remedy = "call again when others have ended"},
                 whose, limits.bytes_in_flight, amount, before);
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
  if (tenant != nullptr) DROPOUTD_RETURN_IF_ERROR(tenant->Enter(call, now, QuotaLimit::kTenant));
  absl::Status status = total_.Enter(call, now, QuotaLimit::kTotal);
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
  if (party != nullptr) DROPOUTD_RETURN_IF_ERROR(party->Charge(bytes, QuotaLimit::kTenant));
  absl::Status status = total_.Charge(bytes, QuotaLimit::kTotal);
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
