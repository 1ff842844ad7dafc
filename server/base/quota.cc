#include "server/base/quota.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace dropoutd {

struct Quota::Core {
  explicit Core(const QuotaTerms& of) : terms(of) {
    terms.most_of_tenant = std::min(terms.most, terms.most_of_tenant);
  }

  QuotaTerms terms;
  std::atomic<std::size_t> held{0};
};

class QuotaAccount {
 public:
  explicit QuotaAccount(std::shared_ptr<Quota::Core> core) : core_(std::move(core)) {}

  std::size_t held() const { return held_; }

  QuotaLimit Take(std::size_t amount, std::size_t replaced) {
    if (!Add(held_, amount, replaced, core_->terms.most_of_tenant)) return QuotaLimit::kTenant;
    if (Add(core_->held, amount, replaced, core_->terms.most)) return QuotaLimit::kNone;
    held_ -= amount;
    return QuotaLimit::kTotal;
  }

  void TakeAnyway(std::size_t amount) {
    held_ += amount;
    core_->held += amount;
  }

  void GiveBack(std::size_t amount) {
    core_->held -= amount;
    held_ -= amount;
  }

  absl::Status Refusal(std::size_t amount, QuotaLimit limit) const {
    return QuotaError(core_->terms, limit, amount, held());
  }
  QuotaLimit Breaks(std::size_t amount, std::size_t replaced) const;

 private:
  static bool Fits(std::size_t held, std::size_t amount, std::size_t replaced, std::size_t most) {
    return amount == 0 || (amount <= most && held - std::min(held, replaced) <= most - amount);
  }

  static bool Add(std::atomic<std::size_t>& held, std::size_t amount, std::size_t replaced,
                  std::size_t most) {
    std::size_t seen = held;
    do {
      if (!Fits(seen, amount, replaced, most)) return false;
    } while (!held.compare_exchange_weak(seen, seen + amount));
    return true;
  }

  const std::shared_ptr<Quota::Core> core_;
  std::atomic<std::size_t> held_{0};
};

absl::Status QuotaError(const QuotaTerms& terms, QuotaLimit limit, std::size_t amount,
                        std::optional<std::size_t> held) {
  // Where a tenant may have everything its own limit goes by the name of the total.
  const bool is_own = limit == QuotaLimit::kTenant && terms.most_of_tenant < terms.most;
  const std::size_t most = is_own ? terms.most_of_tenant : terms.most;
  const std::string allowed =
      *terms.flag == '\0'
          ? absl::StrCat("the most is ", most, is_own ? " for each tenant" : "")
          : absl::StrCat("--", is_own ? "tenant_" : "", terms.flag, " allows ", most);
  std::string message = absl::StrCat("no room for ", amount, " more ", terms.things, ": ", allowed,
                                     limit == QuotaLimit::kTotal ? " in all" : "");
  if (held.has_value()) absl::StrAppend(&message, ", of which ", terms.holder, " ", *held);
  if (*terms.remedy != '\0') absl::StrAppend(&message, "; ", terms.remedy);
  return MakeError(terms.reason, message);
}

QuotaLimit QuotaAccount::Breaks(std::size_t amount, std::size_t replaced) const {
  const QuotaTerms& terms = core_->terms;
  if (!Fits(held_, amount, replaced, terms.most_of_tenant)) return QuotaLimit::kTenant;
  return Fits(core_->held, amount, replaced, terms.most) ? QuotaLimit::kNone : QuotaLimit::kTotal;
}

Charge& Charge::operator=(Charge&& other) noexcept {
  if (this == &other) return *this;
  Refund();
  account_ = std::move(other.account_);
  amount_ = std::exchange(other.amount_, 0);
  return *this;
}

void Charge::Absorb(Charge other) {
  if (other.account_ == nullptr) return;
  if (account_ == nullptr) account_ = other.account_;
  amount_ += std::exchange(other.amount_, 0);
}

void Charge::GiveBack(std::size_t amount) {
  if (amount == 0) return;
  account_->GiveBack(amount);
  amount_ -= amount;
}

absl::Status Charge::Resize(std::size_t amount) {
  if (amount <= amount_) {
    GiveBack(amount_ - amount);
    return absl::OkStatus();
  }
  const std::size_t more = amount - amount_;
  const QuotaLimit broken = account_->Take(more, 0);
  if (broken != QuotaLimit::kNone) return account_->Refusal(more, broken);
  amount_ = amount;
  return absl::OkStatus();
}

void Charge::Refund() noexcept {
  GiveBack(amount_);
  account_.reset();
}

Quota::Quota(const QuotaTerms& terms) : core_(std::make_shared<Core>(terms)) {}

QuotaAccountRef Quota::Open(std::string_view tenant) {
  return accounts_.Open(tenant, [this] { return std::make_shared<QuotaAccount>(core_); });
}

absl::StatusOr<Charge> Quota::Take(const QuotaAccountRef& account, std::size_t amount,
                                   std::size_t replaced) {
  const QuotaLimit broken = account->Take(amount, replaced);
  if (broken != QuotaLimit::kNone) return account->Refusal(amount, broken);
  return Charge(account, amount);
}

absl::StatusOr<Charge> Quota::Take(std::string_view tenant, std::size_t amount,
                                   std::size_t replaced) {
  return Take(Open(tenant), amount, replaced);
}

Charge Quota::TakeAnyway(const QuotaAccountRef& account, std::size_t amount) {
  account->TakeAnyway(amount);
  return Charge(account, amount);
}

QuotaLimit Quota::Breaks(const QuotaAccount& account, std::size_t amount,
                         std::size_t replaced) const {
  return account.Breaks(amount, replaced);
}

absl::Status Quota::Refusal(const QuotaAccount& account, std::size_t amount,
                            QuotaLimit limit) const {
  return account.Refusal(amount, limit);
}

std::size_t Quota::held() const { return core_->held; }
std::size_t Quota::HeldBy(const QuotaAccount& account) { return account.held(); }
std::size_t Quota::most() const { return core_->terms.most; }
std::size_t Quota::most_of_tenant() const { return core_->terms.most_of_tenant; }

std::optional<std::string> Quota::TenantOverLimit() const {
  std::size_t least = most_of_tenant();
  // The fast path: no tenant can hold more than all do.
  if (held() <= least) return std::nullopt;
  if (held() > most()) least = 0;
  std::optional<std::string> over;
  accounts_.ForEach([&](const std::string& tenant, const QuotaAccountRef& account) {
    if (account->held() <= least) return;
    over = tenant;
    least = account->held();
  });
  return over;
}

}  // namespace dropoutd
