// A server of the simulation: an engine over its store.
#ifndef DROPOUTD_TESTS_SIMULATION_ENGINE_SERVER_H_
#define DROPOUTD_TESTS_SIMULATION_ENGINE_SERVER_H_

#include <chrono>
#include <memory>

#include "server/engine/engine.h"
#include "tests/simulation/engine_face.h"
#include "tests/simulation/scheduler.h"

namespace dropoutd {

// Virtual time, and a wall clock that is wrong by `offset`.
class ServerClock final : public Clock {
 public:
  ServerClock(const Scheduler& scheduler, Nanoseconds offset)
      : scheduler_(scheduler), offset_(offset) {}

  SteadyTime Now() const override { return SteadyTime(std::chrono::hours(1) + scheduler_.now()); }
  WallTime WallNow() const override {
    return WallTime(std::chrono::duration_cast<WallTime::duration>(
        std::chrono::hours(24 * 365 * 50) + scheduler_.now() + offset_));
  }

 private:
  const Scheduler& scheduler_;
  const Nanoseconds offset_;
};

// One process of it: what is left when it ends is what its store keeps. Whoever calls it holds it.
struct EngineServer {
  // `store` may be null.
  EngineServer(const Scheduler& scheduler, Nanoseconds clock_offset, const Limits& limits,
               std::unique_ptr<Store> store_in, const MakeEngineFace& make_face)
      : clock(scheduler, clock_offset),
        store(std::move(store_in)),
        engine(limits, clock, store.get(), Sweeping::kByCaller),
        face(make_face ? make_face(engine) : std::make_unique<EngineFace>(engine)) {}

  const ServerClock clock;
  const std::unique_ptr<Store> store;
  Engine engine;
  const std::unique_ptr<EngineFace> face;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_ENGINE_SERVER_H_
