// How command lines parse: what fits where, and what is wrong usage.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "client/cli/commands.h"

namespace dropout::cli {
namespace {

// Parses a command line without running the command.
class CommandLine {
 public:
  CommandLine() { AddAll(app_, context_); }

  // Whether it parses and names a command to run.
  bool Parses(std::vector<std::string> words) {
    words.insert(words.begin(), "dropoutctl");
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    try {
      app_.parse(static_cast<int>(argv.size()), argv.data());
    } catch (const CLI::ParseError&) {
      return false;
    }
    return context_.run != nullptr;
  }

  const GlobalOptions& options() const { return context_.options; }

 private:
  CLI::App app_{"", "dropoutctl"};
  Context context_;
};

bool Parses(const std::vector<std::string>& words) { return CommandLine().Parses(words); }

TEST(RootCommandTest, GlobalOptionsFitBeforeAndAfter) {
  const std::vector<std::vector<std::string>> lines = {
      {"--json", "--address", "h:1", "--timeout=2.5", "session", "get", "s"},
      {"session", "get", "s", "--json", "--address=h:1", "--timeout", "2.5"},
      {"session", "--json", "get", "--address", "h:1", "s", "--timeout", "2.5"}};
  for (const auto& words : lines) {
    CommandLine line;
    ASSERT_TRUE(line.Parses(words));
    EXPECT_TRUE(line.options().json);
    EXPECT_EQ(line.options().address, "h:1");
    EXPECT_EQ(line.options().timeout_seconds, 2.5);
  }
}

TEST(RootCommandTest, EveryCommandParses) {
  const std::vector<std::vector<std::string>> lines = {
      {"session", "create"},
      {"session", "create", "--id", "i", "--seed", "18446744073709551615", "--mode", "eval",
       "--ttl", "1h30m", "--layer", "a,p=0.5", "--layer", "b,p=0"},
      {"session", "get", "s"},
      {"session", "list", "--page-size", "5", "--all"},
      {"session", "delete", "s"},
      {"session", "export", "s", "--output", "-"},
      {"session", "import", "s.session", "--id", "copy"},
      {"session", "fork", "s", "--id", "copy"},
      {"layer", "create", "s", "l", "--p", "0.5", "--generator", "numpy_legacy", "--scaling",
       "none", "--broadcast-axes", "-1,2", "--mode", "train", "--variant", "dropout"},
      {"layer", "create", "s", "l", "--variant", "drop_block", "--block-size", "3,5", "--gamma",
       "paper", "--schedule", "linear:0:0.5:0:1000"},
      {"layer", "create", "s", "l", "--variant", "stochastic_depth", "--depth-mode", "batch",
       "--depth-index", "1", "--depth-count", "2"},
      {"layer", "get", "s", "l"},
      {"layer", "list", "s"},
      {"layer", "update", "s", "l", "--broadcast-axes", "none"},
      {"layer", "delete", "s", "l"},
      {"mode", "s", "train"},
      {"mode", "s", "eval", "a", "b"},
      {"forward", "s", "l", "--input", "-", "--output", "-", "--step", "1", "--sample-offset", "2",
       "--sequence", "3", "--mask-output", "m", "--dtype", "bfloat16"},
      {"backward", "s", "l", "--gradient", "g", "--step", "0", "--release"},
      {"backward", "s", "l", "--gradient", "g", "--step", "0", "--weight-squared-norm", "2.5",
       "--gradient-output", "weight=w.npy", "--gradient-output", "bias=b.npy"},
      {"mask", "s", "l", "--step", "0", "--shape", "4,5", "--png", "p", "--ascii"},
      {"release", "s", "--through-step", "9", "--layer", "l"},
      {"parameters", "set", "s", "l", "a=b", "c=d"},
      {"parameters", "get", "s", "l", "name", "--output", "-"},
      {"shared-memory", "create", "s", "4096"},
      {"shared-memory", "delete", "s", "r"},
      {"info"},
      {"demo"},
      {"demo", "--variant", "drop_block", "--ascii"},
      {"bench", "--variant", "dropout", "--shape", "64,1024", "--dtype", "float16", "--seconds",
       "0.5", "--concurrency", "4", "--backward"},
      {"call", "GetSession", "{}"},
      {"completion", "bash"},
      {"completion", "zsh"},
      {"completion", "fish"}};
  for (const auto& words : lines) EXPECT_TRUE(Parses(words)) << testing::PrintToString(words);
}

TEST(RootCommandTest, NamesOfCommandsCanBeIds) {
  EXPECT_TRUE(Parses({"session", "get", "session"}));
  EXPECT_TRUE(Parses({"layer", "get", "info", "layer"}));
  EXPECT_TRUE(Parses({"mode", "demo", "eval", "mode", "forward"}));
}

TEST(RootCommandTest, WrongUsage) {
  const std::vector<std::vector<std::string>> lines = {
      {},
      {"nothing"},
      {"session"},
      {"session", "get"},
      {"session", "get", "s", "more"},
      {"session", "create", "--seed", "-1"},
      {"session", "create", "--seed", "18446744073709551616"},
      {"session", "create", "--seed", "1x"},
      {"session", "create", "--ttl", "5"},
      {"session", "create", "--layer", "a,p=x"},
      {"session", "create", "--layer", "a"},
      {"session", "create", "--mode", "TRAIN"},
      {"layer", "create", "s", "l", "--p", "x"},
      {"layer", "create", "s", "l", "--variant", "other"},
      {"layer", "create", "s", "l", "--schedule", "linear:1"},
      {"demo", "--variant", "other"},
      {"mode", "s"},
      {"mode", "s", "on"},
      {"forward", "s", "l"},
      {"forward", "s", "l", "--input", "x", "--dtype", "float32"},
      {"forward", "s", "l", "--input", "x", "--step", "-1"},
      {"backward", "s", "l", "--gradient", "g"},
      {"backward", "s", "l", "--gradient", "g", "--step", "0", "--gradient-output", "weight"},
      {"backward", "s", "l", "--gradient", "g", "--step", "0", "--gradient-output", "w=-"},
      {"backward", "s", "l", "--gradient", "g", "--step", "0", "--gradient-output", "w=a",
       "--gradient-output", "w=b"},
      {"mask", "s", "l"},
      {"mask", "s", "l", "--step", "0", "--shape", "4x5"},
      {"release", "s"},
      {"bench", "--concurrency", "0"},
      {"bench", "--seconds", "-1"},
      {"bench", "--seconds", "inf"},
      {"info", "--timeout", "-1"},
      {"info", "--timeout", "nan"},
      {"info", "--timeout", "1e300"},
      {"info", "--address", "nothing"},
      {"info", "--address", "host:0"},
      {"info", "--address", "host:65536"},
      {"info", "--address", ":1"},
      {"info", "--address", "unix:"},
      {"info", "--unknown"},
      {"completion"},
      {"completion", "sh"}};
  for (const auto& words : lines) EXPECT_FALSE(Parses(words)) << testing::PrintToString(words);
}

TEST(RootCommandTest, Addresses) {
  for (const std::string address :
       {"127.0.0.1:50051", "host.example:1", "[::1]:65535", "unix:/tmp/x", "dns:///host:80"}) {
    CommandLine line;
    EXPECT_TRUE(line.Parses({"info", "--address", address})) << address;
    EXPECT_EQ(line.options().address, address);
  }
}

}  // namespace
}  // namespace dropout::cli
