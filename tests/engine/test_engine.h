// The engine of the session room's tests: without a store, or over one.
#ifndef DROPOUTD_TESTS_ENGINE_TEST_ENGINE_H_
#define DROPOUTD_TESTS_ENGINE_TEST_ENGINE_H_

#include <cstdlib>
#include <memory>
#include <string_view>

#include "server/engine/engine.h"
#include "server/store/memory_store.h"

namespace dropoutd {

// What an engine's store is made from, and outlives it.
struct TestStore {
  explicit TestStore(const Clock& clock) {
    const char* const kind = std::getenv("DROPOUTD_TEST_STORE");
    if (kind == nullptr) return;
    const bool is_shared = std::string_view(kind) == "shared";
    store = std::make_unique<MemoryStore>([&clock] { return clock.Now(); }, is_shared);
  }

  std::unique_ptr<MemoryStore> store;
};

// DROPOUTD_TEST_STORE in the environment: "own" for a store of the engine's own, "shared" for one
// that other servers might write to; not set for none. What a client sees is the same.
class TestEngine : private TestStore, public Engine {
 public:
  explicit TestEngine(const Limits& limits, const Clock& clock = Clock::System())
      : TestStore(clock), Engine(limits, clock, TestStore::store.get()) {}

  bool is_stored() const { return TestStore::store != nullptr; }
  bool is_shared() const { return is_stored() && TestStore::store->is_shared(); }
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_ENGINE_TEST_ENGINE_H_
