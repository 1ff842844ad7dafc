#include "server/main/gate/admission.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "server/base/error.h"

namespace dropoutd {
namespace {

const std::chrono::steady_clock::time_point kNow{std::chrono::hours(1)};

std::string ReasonText(const absl::Status& status) {
  return status.ok() ? "OK" : std::string(ReasonName(ReasonOf(status).value()));
}

class AdmissionTest : public testing::Test {
 protected:
  std::string Enter(const Admittance& call) { return ReasonText(admission_.Enter(call, kNow)); }

  Admission admission_{{.bytes_in_flight = 100, .calls_per_second = 50, .streams = 3},
                       {.bytes_in_flight = 60, .calls_per_second = 20, .streams = 2}};
};

TEST_F(AdmissionTest, BytesOfATenantAndInAll) {
  EXPECT_EQ(Enter({"red", 60}), "OK");
  EXPECT_EQ(Enter({"red", 1}), "QUOTA_BYTES_IN_FLIGHT");
  EXPECT_EQ(Enter({"blue", 40}), "OK");
  EXPECT_EQ(Enter({"blue", 1}), "QUOTA_BYTES_IN_FLIGHT");  // Of the server.
  EXPECT_EQ(admission_.bytes_in_flight(), 100);
  admission_.Leave({"red", 60});
  EXPECT_EQ(Enter({"blue", 20}), "OK");
  EXPECT_EQ(Enter({"blue", 1}), "QUOTA_BYTES_IN_FLIGHT");  // Of the tenant.
  admission_.Leave({"blue", 40});
  admission_.Leave({"blue", 20});
  EXPECT_EQ(admission_.bytes_in_flight(), 0);
}

TEST_F(AdmissionTest, RefusalsNameTheFlagAndNoFiguresOfOthers) {
  EXPECT_EQ(Enter({"red", 57, true}), "OK");
  EXPECT_EQ(admission_.Enter({"red", 4}, kNow).message(),
            "no room for 4 more bytes of requests in flight: --tenant_max_bytes_in_flight allows "
            "60, of which you have 57; call again when others have ended");
  EXPECT_EQ(admission_.Enter({"blue", 44}, kNow).message(),
            "no room for 44 more bytes of requests in flight: --max_bytes_in_flight allows 100 in "
            "all; call again when others have ended");
  EXPECT_EQ(Enter({"red", 0, true}), "OK");
  EXPECT_EQ(admission_.Enter({"red", 0, true}, kNow).message(),
            "no room for 1 more streams: --tenant_max_streams allows 2, of which you have 2; end "
            "streams");
}

TEST_F(AdmissionTest, WithoutATenantOnlyTheTotalCounts) {
  EXPECT_EQ(Enter({"", 100}), "OK");
  EXPECT_EQ(Enter({"", 1}), "QUOTA_BYTES_IN_FLIGHT");
}

TEST_F(AdmissionTest, FurtherBytesOfACallThatIsInside) {
  EXPECT_EQ(Enter({"red", 10}), "OK");
  admission_.Drain();  // The call goes on.
  EXPECT_EQ(ReasonText(admission_.Charge("red", 50)), "OK");
  EXPECT_EQ(ReasonText(admission_.Charge("red", 1)), "QUOTA_BYTES_IN_FLIGHT");  // Of the tenant.
  EXPECT_EQ(ReasonText(admission_.Charge("", 41)), "QUOTA_BYTES_IN_FLIGHT");    // Of the server.
  EXPECT_EQ(ReasonText(admission_.Charge("blue", 41)), "QUOTA_BYTES_IN_FLIGHT");
  EXPECT_EQ(ReasonText(admission_.Charge("blue", 40)), "OK");  // The refused one took nothing.
  admission_.Refund("red", 50);
  admission_.Refund("blue", 40);
  EXPECT_EQ(admission_.bytes_in_flight(), 10);
  admission_.Leave({"red", 10});
  EXPECT_EQ(admission_.bytes_in_flight(), 0);
}

TEST_F(AdmissionTest, DrainedWhenTheLastCallHasLeft) {
  const auto soon = [] { return std::chrono::steady_clock::now() + std::chrono::milliseconds(1); };
  EXPECT_EQ(Enter({"red", 1}), "OK");
  EXPECT_EQ(Enter({"", 1, true}), "OK");
  admission_.Drain();
  EXPECT_EQ(Enter({"red", 1}), "DRAINING");
  EXPECT_FALSE(admission_.AwaitEmpty(soon()));
  admission_.Leave({"red", 1});
  EXPECT_FALSE(admission_.AwaitEmpty(soon()));
  std::thread last([&] { admission_.Leave({"", 1, true}); });
  EXPECT_TRUE(admission_.AwaitEmpty(std::chrono::steady_clock::now() + std::chrono::hours(1)));
  last.join();
}

TEST_F(AdmissionTest, StreamsOfATenantAndInAll) {
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Enter({"red", 0, true}), "OK");
  EXPECT_EQ(Enter({"red", 0, true}), "QUOTA_STREAMS");
  EXPECT_EQ(Enter({"red", 0, false}), "OK");
  EXPECT_EQ(Enter({"blue", 0, true}), "OK");
  EXPECT_EQ(Enter({"blue", 0, true}), "QUOTA_STREAMS");
  admission_.Leave({"red", 0, true});
  EXPECT_EQ(Enter({"blue", 0, true}), "OK");
  EXPECT_EQ(admission_.streams(), 3);
}

TEST_F(AdmissionTest, ATenantOverItsRateTakesNothingFromTheOthers) {
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Enter({"red", 1}), "OK");
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(Enter({"red", 1}), "QUOTA_CALL_RATE");
  EXPECT_EQ(admission_.bytes_in_flight(), 20);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Enter({"blue", 1}), "OK");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Enter({"green", 1}), "OK");
  EXPECT_EQ(Enter({"green", 1}), "QUOTA_CALL_RATE");  // Of the server.
  EXPECT_EQ(admission_.bytes_in_flight(), 50);
}

TEST_F(AdmissionTest, ManyThreadsNeverHoldMoreThanTheMost) {
  constexpr std::int64_t kEach = 30;
  Admission admission{{.bytes_in_flight = 100}, {}};
  std::atomic<std::int64_t> inside{0};
  std::atomic<bool> exceeded{false};
  std::vector<std::thread> threads(8);
  for (std::thread& thread : threads) {
    thread = std::thread([&] {
      for (int call = 0; call < 2000; ++call) {
        if (!admission.Enter({"", kEach}, kNow).ok()) continue;
        if (inside.fetch_add(kEach) + kEach > 100) exceeded = true;
        inside.fetch_sub(kEach);
        admission.Leave({"", kEach});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(exceeded);
  EXPECT_TRUE(admission.Enter({"", 100}, kNow).ok());
}

TEST_F(AdmissionTest, DrainingRefusesAll) {
  EXPECT_EQ(Enter({"red", 1}), "OK");
  admission_.Drain();
  EXPECT_EQ(Enter({"red", 1}), "DRAINING");
  admission_.Leave({"red", 1});
  EXPECT_EQ(admission_.bytes_in_flight(), 0);
}

}  // namespace
}  // namespace dropoutd
