// Fuzz target: a session in a store, whatever its records hold, as another server may have left it.
//
// The input: a byte whose lowest bit says whether the store is shared, and then records. A record
// is its kind (even: a part, odd: a field), the length of its name, the name, the length of its
// value in two bytes, little-endian, and the value; the last may be cut short. A store's checksums
// are right by then: this one has none.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "server/engine/engine.h"
#include "server/store/memory_store.h"
#include "tests/engine/manual_clock.h"
#include "tests/fuzz/use_session.h"

namespace {

using namespace dropoutd;

constexpr char kKey[] = "s";
constexpr std::size_t kMostRecords = 256;

// The input's bytes; zeros past its end.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : at_(data), left_(size) {}

  bool done() const { return left_ == 0; }

  std::size_t Byte() {
    if (left_ == 0) return 0;
    --left_;
    return *at_++;
  }

  std::string Bytes(std::size_t size) {
    const std::size_t n = std::min(size, left_);
    std::string bytes(reinterpret_cast<const char*>(at_), n);
    at_ += n;
    left_ -= n;
    return bytes;
  }

 private:
  const std::uint8_t* at_;
  std::size_t left_;
};

// A store with the engine that has it, and which meets each session for the first time.
class Server {
 public:
  explicit Server(bool is_shared)
      : store_([this] { return clock_.Now(); }, is_shared),
        engine_(LimitsOf(), clock_, &store_, Sweeping::kByCaller) {}

  void Run(Input& input) {
    if (!Make(input)) return;
    const auto session = engine_.GetSession(kKey);
    if (IsAnswer(session.status())) UseSession(engine_, *session);
    IsAnswer(engine_.ListSessions("", 10).status());
    IsAnswer(engine_.ForkSession(kKey, "fork").status());
    // None of these leaves anything, nor does a session that is damaged.
    IsAnswer(engine_.DeleteSession("fork"));
    if (!IsAnswer(engine_.DeleteSession(kKey))) std::abort();
    const EngineSummary summary = engine_.Summary();
    if (summary.sessions != 0 || summary.parameter_bytes != 0 || summary.steps != 0) std::abort();
    if (engine_.mask_cache().reserved() != 0) std::abort();
    // Removals are remembered for a while.
    clock_.Advance(std::chrono::hours(1));
    if (!store_.RemoveExpired().ok()) std::abort();
  }

 private:
  static Limits LimitsOf() {
    Limits limits;
    limits.max_mask_bytes = 1 << 20;
    return limits;
  }

  // False for what a store does not take, such as two records of one name.
  bool Make(Input& input) {
    StoreChange change;
    change.token = Token{1, ++changes_};
    change.incarnation = Token{2, changes_};
    change.expected = Token{};
    change.makes = SessionLimit{"", 100, 100};
    change.ttl = std::chrono::hours(1);
    for (std::size_t i = 0; i < kMostRecords && !input.done(); ++i) {
      const bool is_field = input.Byte() % 2 == 1;
      std::string name = input.Bytes(input.Byte());
      const std::size_t low = input.Byte();
      std::string value = input.Bytes(low | input.Byte() << 8);
      if (is_field) {
        change.writes.push_back({std::move(name), std::move(value), {}});
      } else {
        change.parts.push_back({std::move(name), std::move(value)});
      }
    }
    const auto made = store_.Commit(kKey, std::move(change));
    return made.ok() && made->outcome == StoreOutcome::kDone;
  }

  ManualClock clock_;  // Stands still while a session is there.
  MemoryStore store_;
  Engine engine_;
  std::uint64_t changes_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Server* const servers[] = {new Server(false), new Server(true)};
  Input input(data, size);
  const bool is_shared = input.Byte() % 2 == 1;
  servers[is_shared ? 1 : 0]->Run(input);
  return 0;
}
