#include "server/store/memory_store.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/store/store_conformance.h"

namespace dropoutd {
namespace {

class MemoryUnderTest final : public StoreUnderTest {
 public:
  Store& store() override { return store_; }
  StoreTime Now() override { return now_; }
  void AwaitEnd(StoreTime end) override { now_ = end; }

 private:
  StoreTime now_ = std::chrono::system_clock::now();
  MemoryStore store_{[this] { return now_; }};
};

INSTANTIATE_TEST_SUITE_P(Memory, StoreConformanceTest,
                         testing::Values(StoreKind{
                             "Memory", [] { return std::make_unique<MemoryUnderTest>(); }}),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace dropoutd
