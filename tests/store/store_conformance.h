// What every store must do, as tests of any of them.
#ifndef DROPOUTD_TESTS_STORE_STORE_CONFORMANCE_H_
#define DROPOUTD_TESTS_STORE_STORE_CONFORMANCE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "server/base/token.h"
#include "server/store/store.h"

namespace dropoutd {

// A store under test, and what it runs on. Its destructor ends that.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;

  virtual Store& store() = 0;

  // Returns when at least `by` has passed by the store's clock; false where that takes too long.
  virtual bool Advance(std::chrono::milliseconds by) = 0;
};

struct StoreKind {
  std::string name;
  std::function<std::unique_ptr<StoreUnderTest>()> make;
};

// Names the kind in the lists of tests.
inline void PrintTo(const StoreKind& kind, std::ostream* out) { *out << kind.name; }

// Makes failures readable.
inline void PrintTo(StoreOutcome outcome, std::ostream* out) {
  constexpr const char* kNames[] = {"done",        "absent",           "conflict",
                                    "occupied",    "too many",         "full",
                                    "tenant full", "full of sessions", "staged lost"};
  *out << kNames[static_cast<int>(outcome)];
}

// A session as the test knows it.
struct SessionName {
  std::string key;
  Token incarnation;
  Token token;
};

using Fields = std::map<std::string, std::string>;
using Parts = std::map<std::string, std::string>;

// Instantiate with each kind of store. The suite's tests are in store_conformance_*.cc.
class StoreConformanceTest : public testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    under_test_ = GetParam().make();
    ASSERT_NE(under_test_, nullptr);
  }

  Store& store() { return under_test_->store(); }

  // A change that makes a session with one part, for an hour.
  static StoreChange New(const std::string& document = "document");
  // One of `session`, which must have the token that the test knows.
  static StoreChange ChangeOf(const SessionName& session);
  // One of its fields. No value: removes it. No token: it never existed.
  static StoreChange Write(const SessionName& session, const std::string& name,
                           std::optional<std::string> value, Token replaces = {});

  // Makes a session that is not there yet.
  SessionName Create(const std::string& key, const std::string& document = "document");

  // What became of a change; an error fails the test.
  StoreResult Commit(const std::string& key, const StoreChange& change);
  // Makes a change that must succeed; `session` learns the token.
  void Make(SessionName& session, const StoreChange& change);
  // Writes fields that never existed.
  void Fill(const SessionName& session, const std::vector<std::string>& names);

  StoreField Get(const std::string& key, const std::string& name);
  // None if the session is not there.
  Token TokenOf(const std::string& key);
  bool Exists(const std::string& key) { return static_cast<bool>(TokenOf(key)); }
  Parts PartsOf(const std::string& key);
  // All of them, by a snapshot.
  Fields FieldsOf(const std::string& key);

  std::unique_ptr<StoreUnderTest> under_test_;
};

// What the fields are that a snapshot has yet to answer, asked for `limit` at a time. Fails the
// test where they are not in order.
Fields Rest(StoreSnapshot& snapshot, std::size_t limit);

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_STORE_STORE_CONFORMANCE_H_
