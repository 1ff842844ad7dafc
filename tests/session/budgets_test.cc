#include "server/session/budgets.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/session/short_forms.h"

namespace dropoutd {
namespace {

Limits ParameterLimits(std::size_t of_all, std::size_t of_tenant = kNoTenantLimit) {
  Limits limits;
  limits.max_parameter_bytes = of_all;
  limits.tenant_max_parameter_bytes = of_tenant;
  return limits;
}

// Of `byte_size` bytes.
Parameters MakeParameters(std::size_t byte_size) {
  Parameter weight;
  weight.name = kWeight;
  weight.data.resize(byte_size);
  Parameters parameters;
  parameters.Set(std::move(weight));
  return parameters;
}

absl::StatusOr<SharedParameters> Charge(Budgets& budgets, const std::string& tenant,
                                        std::size_t byte_size,
                                        const SharedParameters& replaced = nullptr) {
  return budgets.ChargeParameters(*budgets.Open(tenant), MakeParameters(byte_size),
                                  /*may_refuse=*/true, replaced);
}

TEST(BudgetsTest, ParametersAreChargedToTheirTenantUntilTheLastOwnerGoes) {
  Budgets budgets(ParameterLimits(100, 50));
  auto a = Charge(budgets, "a", 50);
  ASSERT_TRUE(a.ok());
  EXPECT_EQ((*a)->byte_size(), 50u);
  EXPECT_EQ(ReasonText(Charge(budgets, "a", 1)), "QUOTA_PARAMETER_BYTES");
  EXPECT_TRUE(Charge(budgets, "b", 50).ok());
  EXPECT_EQ(budgets.parameters().held(), 50u);
  const SharedParameters second = *a;
  a = SharedParameters();
  EXPECT_EQ(ReasonText(Charge(budgets, "a", 1)), "QUOTA_PARAMETER_BYTES");
}

TEST(BudgetsTest, ParametersTakeThePlaceOfThoseThatTheyReplace) {
  Budgets budgets(ParameterLimits(100));
  SharedParameters held = *Charge(budgets, "", 80);
  EXPECT_FALSE(Charge(budgets, "", 90).ok());
  for (int i = 0; i < 3; ++i) {
    auto next = Charge(budgets, "", 90, held);
    ASSERT_TRUE(next.ok()) << i;
    held = *std::move(next);
  }
  EXPECT_EQ(budgets.parameters().held(), 90u);
  EXPECT_EQ(ReasonText(Charge(budgets, "", 101, held)), "QUOTA_PARAMETER_BYTES");
}

TEST(BudgetsTest, WithoutTheChargeTheTensorsAreTheSame) {
  Budgets budgets(ParameterLimits(100));
  auto charged = *Charge(budgets, "", 80);
  const SharedParameters uncharged = Budgets::WithoutCharge(charged);
  EXPECT_EQ(uncharged->Find(kWeight), charged->Find(kWeight));
  charged.reset();
  EXPECT_EQ(budgets.parameters().held(), 0u);
  EXPECT_EQ(uncharged->byte_size(), 80u);
}

TEST(BudgetsTest, CopiesAreNeverRefusedButReported) {
  Budgets budgets(ParameterLimits(100, 60), Holding::kCopies);
  const auto copy = [&](const std::string& tenant, std::size_t byte_size) {
    return *budgets.ChargeParameters(*budgets.Open(tenant), MakeParameters(byte_size),
                                     /*may_refuse=*/false, nullptr);
  };
  SharedParameters a = copy("a", 60);
  SharedParameters b = copy("b", 40);
  EXPECT_FALSE(budgets.over_budget());
  const SharedParameters c = copy("c", 10);
  EXPECT_EQ(budgets.TenantOverBudget(), "a");  // It holds most.
  a.reset();
  EXPECT_FALSE(budgets.over_budget());
  const SharedParameters more = copy("b", 30);
  EXPECT_EQ(budgets.TenantOverBudget(), "b");  // Beyond its own limit.
}

TEST(BudgetsTest, InputsHaveLimitsOfTenantsToo) {
  Limits limits;
  limits.input_cache_bytes = 1000;
  limits.tenant_input_cache_bytes = 500;
  Budgets budgets(limits);
  EXPECT_EQ(budgets.inputs().budget(), 1000u);
  EXPECT_EQ(budgets.inputs().tenant_budget(), 500u);
}

}  // namespace
}  // namespace dropoutd
