// Checks what a store answers, key by key.
#ifndef DROPOUTD_TESTS_SIMULATION_STORE_CHECKER_H_
#define DROPOUTD_TESTS_SIMULATION_STORE_CHECKER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/simulation/history.h"
#include "tests/simulation/key_model.h"
#include "tests/simulation/scheduler.h"

namespace dropoutd {

// The models of all keys, and what was wrong. Of the simulation's threads.
class StoreChecker {
 public:
  struct Clock {
    std::function<std::int64_t()> now;     // Of the store, in microseconds.
    std::function<std::int64_t()> latest;  // That it has ever shown.
  };

  // A call of which the fate is unknown may take effect for `patience` after its end.
  // `may_step_back`: the store's clock may.
  StoreChecker(Scheduler& scheduler, Clock clock, std::chrono::nanoseconds patience,
               bool may_step_back);

  struct Call {
    std::string key;
    KeyModel::CallId id = 0;
    std::int64_t clock = 0;
    std::size_t client = 0;
  };
  Call Begin(std::size_t client, std::string_view key, KeyCall call);
  void End(const Call& call, const KeyAnswer& answer);
  void EndUnknown(const Call& call, std::string_view why);
  void Pin(const Call& call);
  void Renew(const Call& call, Token incarnation, std::chrono::nanoseconds ttl);

  // Every change that is answered kDone is on the replicas, and so of the last Mark.
  void set_replicates(bool replicates) { replicates_ = replicates; }

  // What the store has at this moment may come back: Restore, where it does.
  void Mark();
  void Restore();

  std::size_t unknown(std::string_view key) { return ModelOf(key).unknown(); }

  // Something that is wrong whatever the model says.
  void Fail(std::string_view key, std::string_view what);
  void Note(std::string_view key, std::string text);

  bool has_failed() const { return !violation_.empty(); }
  const std::string& violation() const { return violation_; }  // The first, with its history.
  const History& history() const { return history_; }
  std::uint64_t calls() const { return calls_; }
  std::size_t lost_keys() const;

 private:
  KeyModel& ModelOf(std::string_view key);
  void ForgetLater(std::string_view key, KeyModel::CallId id);

  Scheduler& scheduler_;
  const Clock clock_;
  const std::chrono::nanoseconds patience_;
  const bool may_step_back_;
  bool replicates_ = false;
  std::map<std::string, KeyModel, std::less<>> models_;
  History history_;
  std::string violation_;
  std::uint64_t calls_ = 0;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_STORE_CHECKER_H_
