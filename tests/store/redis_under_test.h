// Redis, for the conformance suite.
#ifndef DROPOUTD_TESTS_STORE_REDIS_UNDER_TEST_H_
#define DROPOUTD_TESTS_STORE_REDIS_UNDER_TEST_H_

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "server/store/redis_store.h"
#include "tests/store/redis_process.h"
#include "tests/store/store_conformance.h"

namespace dropoutd {

// A real server, whose clock is the machine's.
class RedisUnderTest final : public StoreUnderTest {
 public:
  explicit RedisUnderTest(
      const std::function<std::unique_ptr<Store>(std::unique_ptr<Store>)>& wrap =
          [](auto store) { return store; })
      : store_(wrap(RedisStore::Open(redis_.address()).value())) {}

  Store& store() override { return *store_; }
  bool Advance(std::chrono::milliseconds by) override {
    if (by > std::chrono::seconds(3)) return false;
    // Redis counts whole milliseconds.
    std::this_thread::sleep_for(by + std::chrono::milliseconds(2));
    return true;
  }

 private:
  RedisProcess redis_;
  const std::unique_ptr<Store> store_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_STORE_REDIS_UNDER_TEST_H_
