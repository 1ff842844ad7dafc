// What every store must do, as tests of any of them.
#ifndef DROPOUTD_TESTS_STORE_STORE_CONFORMANCE_H_
#define DROPOUTD_TESTS_STORE_STORE_CONFORMANCE_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "server/store/store.h"

namespace dropoutd {

// A store under test, and what it runs on. Its destructor ends that.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;

  virtual Store& store() = 0;

  // The time by which sessions expire.
  virtual StoreTime Now() = 0;

  // Returns when what expires at `end` has expired.
  virtual void AwaitEnd(StoreTime end) = 0;

  // Lets the store lose what it once answered; false if nothing can make it do so.
  virtual bool LoseHistory() = 0;
};

struct StoreKind {
  std::string name;
  std::function<std::unique_ptr<StoreUnderTest>()> make;
};

// Names the kind in the lists of tests.
inline void PrintTo(const StoreKind& kind, std::ostream* out) { *out << kind.name; }

// Instantiate with each kind of store.
class StoreConformanceTest : public testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    under_test_ = GetParam().make();
    ASSERT_NE(under_test_, nullptr);
  }

  Store& store() { return under_test_->store(); }
  StoreTime Later(std::chrono::milliseconds after = std::chrono::hours(1)) {
    return under_test_->Now() + after;
  }

  // Makes a session that is not there yet.
  void Create(const std::string& key, const std::string& document = "document");

  // The field's value, or nothing.
  std::optional<std::string> Get(const std::string& key, const std::string& field);

  std::unique_ptr<StoreUnderTest> under_test_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_STORE_STORE_CONFORMANCE_H_
