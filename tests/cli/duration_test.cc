#include "client/cli/duration.h"

#include <gtest/gtest.h>

#include <chrono>

namespace dropout::cli {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(DurationTest, Parses) {
  EXPECT_EQ(*ParseDuration("1h"), hours(1));
  EXPECT_EQ(*ParseDuration("30m"), minutes(30));
  EXPECT_EQ(*ParseDuration("10s"), seconds(10));
  EXPECT_EQ(*ParseDuration("1h30m"), minutes(90));
  EXPECT_EQ(*ParseDuration("1.5h"), minutes(90));
  EXPECT_EQ(*ParseDuration("250ms"), milliseconds(250));
  EXPECT_EQ(*ParseDuration("1ns"), nanoseconds(1));
}

TEST(DurationTest, RefusesOtherTextAndRanges) {
  for (const char* text :
       {"", "5", "h", "1x", "1h 30", "0", "0s", "-1s", "inf", "-inf", "3000000h", "0.1ns"}) {
    EXPECT_EQ(ParseDuration(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(DurationTest, FormatsForPeople) {
  EXPECT_EQ(FormatDuration(minutes(90)), "1h30m");
  EXPECT_EQ(FormatDuration(milliseconds(250)), "250ms");
  EXPECT_EQ(FormatDuration(minutes(59) + seconds(12) + milliseconds(999)), "59m12s");
}

TEST(DurationTest, FormatsAsProtobufJson) {
  EXPECT_EQ(FormatSeconds(hours(1)), "3600s");
  EXPECT_EQ(FormatSeconds(milliseconds(250)), "0.25s");
  EXPECT_EQ(FormatSeconds(nanoseconds(1)), "0.000000001s");
  EXPECT_EQ(FormatSeconds(-milliseconds(1500)), "-1.5s");
  EXPECT_EQ(FormatSeconds(nanoseconds(0)), "0s");
}

TEST(DurationTest, FormatsTimes) {
  const std::chrono::system_clock::time_point time(seconds(1700000000) + milliseconds(500));
  EXPECT_EQ(FormatTimestamp(time), "2023-11-14T22:13:20.5Z");
  EXPECT_EQ(FormatTimestamp(std::chrono::system_clock::time_point(seconds(0))),
            "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatRelative(time, time), "in 0s");
  EXPECT_EQ(FormatRelative(time + minutes(5), time), "in 5m");
  EXPECT_EQ(FormatRelative(time + minutes(5) - milliseconds(1), time), "in 5m");
  EXPECT_EQ(FormatRelative(time - seconds(90), time), "1m30s ago");
}

}  // namespace
}  // namespace dropout::cli
