// A server that makes random calls of a store.
#ifndef DROPOUTD_TESTS_SIMULATION_STORE_CLIENT_H_
#define DROPOUTD_TESTS_SIMULATION_STORE_CLIENT_H_

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/store/store.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/store_checker.h"

namespace dropoutd {

struct StoreWorkload {
  std::size_t keys = 4;
  std::size_t fields = 6;
  std::size_t parts = 4;
  std::size_t most_unknown = 5;  // Of one key: then it is only read.
  std::chrono::nanoseconds pause = std::chrono::milliseconds(20);
  double short_lived = 0;  // Sessions that end in seconds.
  double stages = 0.3;     // Of those that are made.
  double blind = 0.1;      // Calls that expect something old or made up.
  double limited = 0.2;
  double turnover = 0.05;  // Calls that remove a session.

  static StoreWorkload Draw(RandomSource64& random);
  std::string Print() const;
};

// Keeps for each key what it was answered last, as an engine does, and tells the checker all.
class StoreClient {
 public:
  StoreClient(Scheduler& scheduler, StoreChecker& checker, const StoreWorkload& workload,
              std::size_t number, Store& store);

  // One random call, of one of the keys.
  void Step();

  // Whether every key is answered for and can be written, each call in `bound`.
  void ExpectLife(std::chrono::nanoseconds bound);

  // Its process has ended: another has its place.
  void Forget() { known_.clear(); }

 private:
  // The part that says that fields of kErased are about to go: nobody may write them before it has
  // been taken out, as EraseRange leaves no trace by which a late write could be known.
  static constexpr const char* kErasing = "erasing";

  // What it knows of a key; may be old.
  struct Known {
    bool is_there = false;
    Token incarnation;
    Token token;    // Of the session, or of its removal.
    Token removal;  // The last one heard of.
    std::map<std::string, Token> parts;
    std::map<std::string, Token> fields;
  };

  std::string KeyOf(std::size_t index) const;
  std::string RandomKey();
  std::string RandomField();
  Token Maybe(Token token);  // Or, seldom, another.
  FieldRange RandomRange();
  std::chrono::nanoseconds Ttl();

  void Make(const std::string& key);
  void Change(const std::string& key, bool only_fields);
  void Release(const std::string& key);  // One field, whatever the session's token is.
  void Read(const std::string& key, bool knows);
  void Remove(const std::string& key);
  void Erase(const std::string& key);
  bool IsErasing(const std::string& key) { return known_[key].parts.count(kErasing) != 0; }
  void ReadAll(const std::string& key);
  void ReadTokens();
  void List();

  bool Stage(const std::string& key, Token incarnation, KeyCall& call);
  void AddWrites(const Known& known, StoreChange& change);
  void AddParts(StoreChange& change);
  absl::StatusOr<StoreResult> Commit(const std::string& key, StoreChange change);
  bool CommitChecked(const std::string& key, KeyCall call);  // Whether it is done.
  bool SetErasing(const std::string& key, bool is_erasing);
  static void LearnParts(const StoreChange& change, Known& known);
  void Learn(const std::string& key, const StoreChange& change, const StoreResult& result);
  std::optional<KeyAnswer> AnswerOf(const std::string& key, const StoreAnswer& answer,
                                    const std::map<std::string, Token>& copy);
  bool IsLost(const absl::Status& status, const StoreChecker::Call& call);

  Scheduler& scheduler_;
  RandomSource64& random_;
  StoreChecker& checker_;
  const StoreWorkload workload_;
  const std::size_t number_;
  Store& store_;
  std::map<std::string, Known> known_;
  bool may_dawdle_ = true;  // Between the calls that stage.
  bool was_lost_ = false;   // A call was not answered.
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_STORE_CLIENT_H_
