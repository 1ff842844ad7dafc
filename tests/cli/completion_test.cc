#include "client/cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "client/cli/commands.h"
#include "tests/cli/support.h"

namespace dropout::cli {
namespace {

using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::UnorderedElementsAre;

class CompletionTest : public testing::Test {
 protected:
  CompletionTest() { AddAll(app_, context_); }

  // What bash offers for the last of these words.
  std::vector<std::string> Complete(const std::vector<std::string>& words) {
    const TemporaryFolder folder;
    {
      const FilePtr file(std::fopen(folder.File("script").c_str(), "w"));
      std::fputs(BashCompletion(app_).c_str(), file.get());
      std::fputs("COMP_WORDS=(dropoutctl", file.get());
      for (const std::string& word : words) std::fprintf(file.get(), " '%s'", word.c_str());
      std::fprintf(file.get(), ")\nCOMP_CWORD=%zu\n", words.size());
      std::fputs("_dropoutctl\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n", file.get());
    }
    std::FILE* pipe = popen(("bash -u '" + folder.File("script") + "' 2>&1").c_str(), "r");
    std::vector<std::string> replies;
    std::string line;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
      if (c != '\n') {
        line += static_cast<char>(c);
      } else if (!line.empty()) {
        replies.push_back(std::exchange(line, ""));
      }
    }
    EXPECT_EQ(pclose(pipe), 0);
    return replies;
  }

  CLI::App app_{"", "dropoutctl"};
  Context context_;
};

TEST_F(CompletionTest, BashOffersCommandsAndOptions) {
  EXPECT_THAT(Complete({"se"}), UnorderedElementsAre("session"));
  EXPECT_THAT(Complete({""}), IsSupersetOf({"session", "layer", "mode", "forward", "backward",
                                            "mask", "release", "parameters", "shared-memory",
                                            "info", "demo", "bench", "call", "completion"}));
  EXPECT_THAT(Complete({"session", "c"}), UnorderedElementsAre("create"));
  EXPECT_THAT(Complete({"session", "create", "--s"}), UnorderedElementsAre("--seed"));
  EXPECT_THAT(Complete({"layer", "create", "--b"}),
              UnorderedElementsAre("--broadcast-axes", "--block-size", "--bias"));
  EXPECT_THAT(Complete({"layer", "create", "--sch"}), UnorderedElementsAre("--schedule"));
  EXPECT_THAT(Complete({"demo", "--va"}), UnorderedElementsAre("--variant"));
  EXPECT_THAT(Complete({"demo", "--variant", "drop_"}),
              UnorderedElementsAre("drop_block", "drop_connect"));
  EXPECT_THAT(Complete({"layer", "create", "--variant", "gau"}), UnorderedElementsAre("gaussian"));
  EXPECT_THAT(Complete({"session", "create", "--j"}), UnorderedElementsAre("--json"));
  EXPECT_THAT(Complete({"layer", "create", "--s"}),
              UnorderedElementsAre("--scaling", "--schedule", "--share-channels", "--spatial"));
}

TEST_F(CompletionTest, BashSkipsValuesOfOptions) {
  EXPECT_THAT(Complete({"--address", "session", "mas"}), UnorderedElementsAre("mask"));
  EXPECT_THAT(Complete({"forward", "s", "l", "--input", "x"}), testing::IsEmpty());
}

TEST_F(CompletionTest, EveryScriptHasEveryCommandAndOption) {
  for (const std::string& script : {ZshCompletion(app_), FishCompletion(app_)}) {
    EXPECT_THAT(script, HasSubstr("shared-memory"));
    EXPECT_THAT(script, HasSubstr("sample-offset"));
    EXPECT_THAT(script, HasSubstr("address"));
  }
  EXPECT_THAT(FishCompletion(app_),
              HasSubstr("complete -c dropoutctl -n '__fish_seen_subcommand_from session; and "
                        "__fish_seen_subcommand_from create' -l seed -r"));
  EXPECT_THAT(ZshCompletion(app_), HasSubstr("#compdef dropoutctl\n"));
}

}  // namespace
}  // namespace dropout::cli
