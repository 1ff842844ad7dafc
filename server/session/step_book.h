// The steps of one layer: what each Forward did, so that Backward can do the same.
#ifndef DROPOUTD_SERVER_SESSION_STEP_BOOK_H_
#define DROPOUTD_SERVER_SESSION_STEP_BOOK_H_

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "server/dropout/layer_config.h"
#include "server/dropout/packed_bits.h"
#include "server/dropout/plan.h"
#include "server/dropout/shape.h"
#include "server/session/mask_cache.h"
#include "server/session/retained_input.h"

namespace dropoutd {

struct StepKey {
  std::uint64_t step = 0;
  std::int64_t sample_offset = 0;
  std::uint64_t sequence_id = 0;  // 0 where the layer is keyed by step.

  friend auto operator<=>(const StepKey&, const StepKey&) = default;
};

// What was in force at a step's Forward. Together with the session's seed it gives the
// mask of a counter-based generator again.
struct StepRecord {
  std::shared_ptr<const LayerConfig> config;
  std::uint64_t revision = 1;  // Of the configuration.
  Mode mode = Mode::kTrain;
  DropRate rate;
  Shape shape;                               // Of the input.
  CacheId mask_id = 0;                       // In the mask cache, if it is still there.
  CacheId input_id = 0;                      // In the input cache, if the gradient needs it.
  std::shared_ptr<const PackedBits> pinned;  // Of a sequential generator: never evicted.
  std::uint64_t nonce = 0;                   // As the store has it; 0 without a store.
};

// What all books of a server share. Thread-safe.
struct StepBudget {
  StepBudget(MaskCache& cache_in, std::size_t max_per_layer_in, std::size_t max_total_in,
             std::size_t input_cache_bytes = std::size_t{256} << 20,
             std::size_t max_parameter_bytes_in = std::size_t{1} << 30)
      : cache(cache_in),
        max_per_layer(max_per_layer_in),
        max_total(max_total_in),
        inputs(input_cache_bytes),
        max_parameter_bytes(max_parameter_bytes_in) {}

  MaskCache& cache;
  const std::size_t max_per_layer;
  const std::size_t max_total;
  std::atomic<std::size_t> total{0};
  InputCache inputs;
  const std::size_t max_parameter_bytes;
  std::atomic<std::size_t> parameter_bytes{0};  // Of all layers.
};

// Not thread-safe: the session's lock guards it. Owns its records, their masks and
// inputs in the caches and their reservations there.
class StepBook {
 public:
  explicit StepBook(StepBudget& budget) : budget_(budget) {}
  ~StepBook() { Clear(); }
  StepBook(const StepBook&) = delete;
  StepBook& operator=(const StepBook&) = delete;

  const std::map<StepKey, StepRecord>& records() const { return records_; }

  // Null if there is none. Valid until the book changes.
  const StepRecord* Find(const StepKey& key) const;

  // Makes room for a record at `key`: forgets the lowest step that can be made again, if
  // a limit is reached. QUOTA_STEPS if every step is of a sequential generator. Check forgets none.
  absl::Status CheckRoom(const StepKey& key) const;
  absl::Status MakeRoom(const StepKey& key);

  // Replaces the record at `key`. A pinned mask's bytes must have been reserved.
  void Put(const StepKey& key, StepRecord record);

  // Whether there was one.
  bool Release(const StepKey& key);

  // Forgets every step up to and including `step`; returns how many records.
  std::uint64_t ReleaseThrough(std::uint64_t step);

  void Clear();

 private:
  using Records = std::map<StepKey, StepRecord>;

  bool HasRoom(const StepKey& key) const;
  Records::const_iterator FindVictim() const;
  absl::Status NoRoom() const;
  void ForgetData(const StepRecord& record);
  Records::iterator Remove(Records::const_iterator at);

  StepBudget& budget_;
  Records records_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_STEP_BOOK_H_
