// People read what a store keeps with protoc, as stored.proto says.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "tests/persistence/examples.h"

namespace dropoutd {
namespace {

// What `tail -c +2 VALUE | protoc --decode` prints.
std::string Decoded(const std::string& message, const std::string& value) {
  std::string path = testing::TempDir() + "/value" + std::to_string(getpid());
  std::ofstream(path, std::ios::binary) << value;
  const std::string command = "tail -c +2 '" + path +
                              "' | '" DROPOUTD_PROTOC "' --decode=dropout.stored." + message +
                              " -I '" DROPOUTD_STORED_PROTO "' stored.proto 2>&1";
  FILE* const pipe = popen(command.c_str(), "r");
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  pclose(pipe);
  std::remove(path.c_str());
  return text;
}

TEST(ProtocTest, RecordsAreReadable) {
  const SessionImage image = ExampleSession();
  const std::string head = Decoded("SessionHead", *EncodeHead(image).value);
  EXPECT_NE(head.find("ttl_nanoseconds: 3600000000000\n"), head.npos) << head;
  EXPECT_NE(head.find("mode: MODE_EVAL\n"), head.npos) << head;
  const LayerImage& example = *image.layers.at("layer 5");
  const std::string layer = Decoded("StoredLayer", *EncodeLayer(example).value);
  EXPECT_NE(layer.find("layer_id: \"layer 5\"\n"), layer.npos) << layer;
  EXPECT_NE(layer.find("gamma: GAMMA_PAPER\n"), layer.npos) << layer;
  const StepRecord record = MakeRecord(example, MakeShape({8, 16}));
  EXPECT_EQ(Decoded("StoredStep", EncodeRecord(record, nullptr)),
            "revision: 7\nmode: MODE_EVAL\np: 0.1\nq: 0.9\nshape: 8\nshape: 16\nconfig {\n"
            "  p: 0.1\n  drop_block {\n    block_size: 3\n    block_size: 5\n"
            "    channel_axis: 1\n    gamma: GAMMA_PAPER\n    normalization: NORMALIZATION_BATCH\n"
            "    share_channels: true\n  }\n}\n");
}

}  // namespace
}  // namespace dropoutd
