// The steps of a layer that are here.
#ifndef DROPOUTD_SERVER_SESSION_LAYER_BOOK_H_
#define DROPOUTD_SERVER_SESSION_LAYER_BOOK_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "server/session/step_book.h"

namespace dropoutd {

// `is_gone` and turns are guarded by its session's lock; the rest is thread-safe. Calls under way
// may hold it when its layer has gone: then nothing is written to it any more.
struct LayerBook {
  LayerBook(Budgets& budgets, TenantBudgetRef tenant) : steps(budgets, std::move(tenant)) {}

  // Counts what has begun to change a step, or one of its group, in a store.
  std::uint32_t& TurnOf(const StepKey& key) { return turns[key.step % turns.size()]; }

  bool is_gone = false;
  std::array<std::uint32_t, 16> turns{};
  StepBook steps;
  std::atomic<std::uint32_t> stored{0};  // Records that were written to a store.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_LAYER_BOOK_H_
