#include "server/main/flags.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace dropoutd {
namespace {

// What the server would run with; nothing if it would exit.
std::optional<Flags> Parse(std::vector<std::string> given) {
  given.insert(given.begin(), "dropoutd");
  std::vector<const char*> arguments;
  for (const std::string& argument : given) arguments.push_back(argument.c_str());
  int exit_status = 0;
  return ParseFlags(static_cast<int>(arguments.size()), arguments.data(), exit_status);
}

// The tenants' limits, in the order of the totals' below.
std::vector<std::size_t> OfTenant(const Flags& flags) {
  const Limits& limits = flags.limits;
  return {limits.tenant_max_sessions,        limits.tenant_max_steps,
          limits.tenant_mask_cache_bytes,    limits.tenant_input_cache_bytes,
          limits.tenant_max_parameter_bytes, flags.shared_memory_options.tenant_max_bytes};
}

const std::vector<std::string> kTotals = {"max_sessions",        "max_steps",
                                          "mask_cache_bytes",    "input_cache_bytes",
                                          "max_parameter_bytes", "max_shared_memory_bytes"};

// --PREFIXNAME=VALUE for each of the totals, where the first has `first` and each other 1000 more.
std::vector<std::string> Values(const std::string& prefix, std::size_t first) {
  std::vector<std::string> flags;
  for (const std::string& total : kTotals) {
    flags.push_back("--" + prefix + total + "=" + std::to_string(first));
    first += 1000;
  }
  return flags;
}

class FlagsTest : public testing::Test {
 protected:
  FlagsTest() {
    std::string name = (std::filesystem::temp_directory_path() / "flags-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    tokens_ = folder_ + "/tokens";
    std::ofstream(tokens_) << "\n";
  }
  ~FlagsTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  std::string tokens_;
};

using Sizes = std::vector<std::size_t>;

TEST_F(FlagsTest, WithoutCredentialsTheOneTenantMayHaveAll) {
  const auto flags = Parse(Values("", 10'001));
  ASSERT_TRUE(flags.has_value());
  EXPECT_EQ(OfTenant(*flags), (Sizes{10'001, 11'001, 12'001, 13'001, 14'001, 15'001}));
}

TEST_F(FlagsTest, WithTokensATenantMayHaveHalf) {
  std::vector<std::string> given = Values("", 10'001);
  given.push_back("--auth_tokens=" + tokens_);
  const auto flags = Parse(given);
  ASSERT_TRUE(flags.has_value());
  EXPECT_EQ(OfTenant(*flags), (Sizes{5'001, 5'501, 6'001, 6'501, 7'001, 7'501}));
}

TEST_F(FlagsTest, WithClientCertificatesToo) {
  const auto flags = Parse({"--tls_client_ca=" + tokens_, "--tls_cert=" + tokens_,
                            "--tls_key=" + tokens_, "--max_steps=10", "--max_sessions=1"});
  ASSERT_TRUE(flags.has_value());
  EXPECT_EQ(flags->limits.tenant_max_steps, 5u);
  EXPECT_EQ(flags->limits.tenant_max_sessions, 1u);
}

TEST_F(FlagsTest, WhatIsSetCounts) {
  std::vector<std::string> given = Values("tenant_", 5'000);
  given.push_back("--auth_tokens=" + tokens_);
  const auto flags = Parse(given);
  ASSERT_TRUE(flags.has_value());
  EXPECT_EQ(OfTenant(*flags), (Sizes{5'000, 6'000, 7'000, 8'000, 9'000, 10'000}));
}

TEST_F(FlagsTest, TheEnvironmentAndTheFileSetThemToo) {
  const std::string file = folder_ + "/flags.toml";
  std::ofstream(file) << "tenant_max_steps = 7\ntenant_max_sessions = 8\n";
  setenv("DROPOUTD_TENANT_MASK_CACHE_BYTES", "3MiB", 1);
  setenv("DROPOUTD_TENANT_MAX_SESSIONS", "9", 1);
  const auto flags = Parse({"--config=" + file, "--auth_tokens=" + tokens_});
  unsetenv("DROPOUTD_TENANT_MASK_CACHE_BYTES");
  unsetenv("DROPOUTD_TENANT_MAX_SESSIONS");
  ASSERT_TRUE(flags.has_value());
  EXPECT_EQ(flags->limits.tenant_max_steps, 7u);
  EXPECT_EQ(flags->limits.tenant_max_sessions, 9u);
  EXPECT_EQ(flags->limits.tenant_mask_cache_bytes, std::size_t{3} << 20);
}

TEST_F(FlagsTest, ValuesThatMakeNoSenseAreRefused) {
  EXPECT_FALSE(Parse({"--tenant_max_sessions=0"}).has_value());
  EXPECT_FALSE(Parse({"--tenant_max_steps=-1"}).has_value());
  EXPECT_FALSE(Parse({"--tenant_max_shared_memory_bytes=4095"}).has_value());
  EXPECT_TRUE(Parse({"--tenant_mask_cache_bytes=0"}).has_value());
}

TEST_F(FlagsTest, HelpNamesEachLimitOfTenants) {
  testing::internal::CaptureStdout();
  EXPECT_FALSE(Parse({"--help"}).has_value());
  const std::string help = testing::internal::GetCapturedStdout();
  for (const std::string& total : kTotals) {
    EXPECT_NE(help.find("--tenant_" + total), std::string::npos) << total;
  }
  EXPECT_EQ(help.find("18446744073709551615"), std::string::npos) << help;
}

}  // namespace
}  // namespace dropoutd
