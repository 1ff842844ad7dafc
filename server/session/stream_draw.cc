#include "server/session/stream_draw.h"

#include <memory>
#include <mutex>
#include <utility>

#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

SharedBits Share(PackedBits bits) { return std::make_shared<const PackedBits>(std::move(bits)); }

bool CanReplay(const StepRecord& record, const Shape& shape) {
  return record.pinned != nullptr && record.shape == shape;
}

// From the stream and the records that are here.
absl::StatusOr<StreamStep> TakeFromOwnStream(Call& call, const StepKey& asked, const Shape& shape,
                                             MaskCache& cache) {
  SharedStream& shared = call.session->stream();
  const std::lock_guard turn(shared.mutex);
  // The record is looked at again, because a call before this one in the stream may have been
  // a twin. Mode and options stay those that the call began with.
  DROPOUTD_ASSIGN_OR_RETURN(LayerSnapshot now,
                            call.session->Snapshot(call.config().layer_id, asked));
  if (now.state != call.layer.state) now.record.reset();  // Another layer took its name.
  call.layer.record = std::move(now.record);
  if (call.layer.record.has_value() && CanReplay(*call.layer.record, shape)) {
    const StepRecord& record = *call.layer.record;
    DROPOUTD_ASSIGN_OR_RETURN(const Plan plan, call.RecordedPlan(record, shape));
    return StreamStep{plan, record.pinned};
  }
  DROPOUTD_ASSIGN_OR_RETURN(const Plan plan, call.PresentPlan(shape));
  PackedBits bits(static_cast<std::size_t>(plan.layout.noise.ElementCount()));
  // Bytes first: making room may cost another step, which a call that fails must not do.
  DROPOUTD_RETURN_IF_ERROR(cache.Reserve(bits.byte_size()));
  const StepKey key = *call.layer.key;
  if (const absl::Status room = call.session->MakeRoom(*call.layer.state, key); !room.ok()) {
    cache.Unreserve(bits.byte_size());
    return room;
  }
  const SequentialNoise before = shared.noise;
  shared.noise.Draw(plan.rate.p, bits);
  StepRecord record = MakeRecord(call.layer, plan);
  record.pinned = Share(std::move(bits));
  const SharedBits pinned = record.pinned;
  const absl::Status committed = call.session->Commit(
      *call.layer.state, key, std::move(record), nullptr, nullptr, Session::IfPresent::kReplace);
  if (!committed.ok()) {
    // The layer went meanwhile: the stream must not have moved.
    shared.noise = before;
    cache.Unreserve(pinned->byte_size());
    return committed;
  }
  return StreamStep{plan, pinned};
}

// How often a draw is tried against those of other servers.
constexpr int kMostDraws = 32;

// From those in the store.
absl::StatusOr<StreamStep> TakeFromStoredStream(Call& call, const Shape& shape, MaskCache& cache,
                                                SessionKeeper& keeper) {
  // This server's own draws wait for each other here, and not at the store.
  const std::lock_guard turn(call.session->stream().mutex);
  for (int i = 0; i < kMostDraws; ++i) {
    DROPOUTD_ASSIGN_OR_RETURN(StreamPlace from, keeper.ReadStream(call));
    call.layer.record = from.record;
    if (from.record.has_value() && CanReplay(*from.record, shape)) {
      DROPOUTD_ASSIGN_OR_RETURN(const Plan plan, call.RecordedPlan(*from.record, shape));
      return StreamStep{plan, from.record->pinned};
    }
    DROPOUTD_ASSIGN_OR_RETURN(const Plan plan, call.PresentPlan(shape));
    PackedBits bits(static_cast<std::size_t>(plan.layout.noise.ElementCount()));
    SequentialNoise noise(call.session->seed());
    if (from.state.has_value() && !noise.SetState(*from.state)) {
      return MakeError(Reason::kStoreCorrupt, "the store's record of a stream is damaged");
    }
    // Bytes first: a call that fails must not have drawn.
    DROPOUTD_RETURN_IF_ERROR(cache.Reserve(bits.byte_size()));
    noise.Draw(plan.rate.p, bits);
    StepRecord record = MakeRecord(call.layer, plan);
    record.pinned = Share(std::move(bits));
    const SharedBits pinned = record.pinned;
    const absl::Status drawn = keeper.CommitDraw(call, from, noise.State(), record);
    if (drawn.ok()) {
      const absl::Status kept =
          call.session->Commit(*call.layer.state, *call.layer.key, std::move(record), nullptr,
                               nullptr, Session::IfPresent::kReplace);
      // Without room here the store's copy serves.
      if (!kept.ok()) cache.Unreserve(pinned->byte_size());
      return StreamStep{plan, pinned};
    }
    cache.Unreserve(pinned->byte_size());
    if (drawn.code() != absl::StatusCode::kAborted) return drawn;
  }
  return MakeError(Reason::kStoreUnavailable, "too many draws of the session at once");
}

}  // namespace

absl::StatusOr<StreamStep> TakeFromStream(Call& call, const StepKey& asked, const Shape& shape,
                                          MaskCache& cache, SessionKeeper& keeper) {
  if (keeper.store() != nullptr) return TakeFromStoredStream(call, shape, cache, keeper);
  return TakeFromOwnStream(call, asked, shape, cache);
}

}  // namespace dropoutd
