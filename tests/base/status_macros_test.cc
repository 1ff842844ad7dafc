#include "server/base/status_macros.h"

#include <gtest/gtest.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/error.h"

namespace dropoutd {
namespace {

absl::Status Outer(const absl::Status& inner, bool& went_on) {
  DROPOUTD_RETURN_IF_ERROR(inner);
  went_on = true;
  return absl::OkStatus();
}

TEST(StatusMacros, ReturnIfErrorReturnsErrorsOnly) {
  bool went_on = false;
  EXPECT_EQ(ReasonOf(Outer(MakeError(Reason::kDraining, "bye"), went_on)), Reason::kDraining);
  EXPECT_FALSE(went_on);
  EXPECT_TRUE(Outer(absl::OkStatus(), went_on).ok());
  EXPECT_TRUE(went_on);
}

absl::StatusOr<int> Sum(absl::StatusOr<std::unique_ptr<int>> a, absl::StatusOr<int> b) {
  DROPOUTD_ASSIGN_OR_RETURN(const std::unique_ptr<int> x, std::move(a));
  DROPOUTD_ASSIGN_OR_RETURN(const int y, b);
  return *x + y;
}

TEST(StatusMacros, AssignOrReturnMovesTheValue) {
  EXPECT_EQ(Sum(std::make_unique<int>(2), 3).value(), 5);
}

TEST(StatusMacros, AssignOrReturnReturnsTheFirstError) {
  EXPECT_EQ(ReasonOf(Sum(MakeError(Reason::kInternal, ""), 3).status()), Reason::kInternal);
  EXPECT_EQ(ReasonOf(Sum(std::make_unique<int>(2), MakeError(Reason::kDraining, "")).status()),
            Reason::kDraining);
}

}  // namespace
}  // namespace dropoutd
