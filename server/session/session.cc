#include "server/session/session.h"

#include "server/base/status_macros.h"
#include "server/dropout/variant.h"
#include "server/session/session_changes.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

// A step's key in a layer of that configuration.
StepKey Normalized(StepKey key, const LayerConfig& config) {
  if (!IsSequenceKeyed(config)) key.sequence_id = 0;
  return key;
}

bool IsReleased(const LayerImage& layer, const StepKey& key) {
  return layer.releasing.has_value() && key.step <= *layer.releasing;
}

}  // namespace

Session::Session(std::string key, SharedVersion version, Budgets& budgets, SteadyTime now)
    : key_(std::move(key)),
      budgets_(budgets),
      tenant_(budgets.Open(TenantOf(key_))),
      incarnation_(version->image->incarnation),
      seed_(version->image->seed),
      ttl_(version->image->ttl),
      expire_time_(now + ttl_),
      version_(std::move(version)) {}

SharedVersion Session::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

void Session::ExtendStoredUntil(SteadyTime time) {
  SteadyTime now = stored_until_;
  while (now < time && !stored_until_.compare_exchange_weak(now, time)) {
  }
}

Session::Books Session::ShowLocked(SharedVersion next) {
  version_ = std::move(next);
  Books kept;
  for (const auto& [id, layer] : version_->image->layers) {
    if (auto book = books_.extract(layer->uid)) kept.insert(std::move(book));
  }
  for (const auto& [uid, book] : books_) {
    book->is_gone = true;
    book->steps.Clear();
  }
  books_.swap(kept);
  return kept;
}

void Session::Show(SharedVersion next) {
  Books gone;  // Goes after the lock.
  const std::lock_guard lock(mutex_);
  gone = ShowLocked(std::move(next));
}

void Session::ShowAfter(const SharedVersion& before, SharedVersion next) {
  Books gone;
  const std::lock_guard lock(mutex_);
  // Two calls that have read the same version have an object each of it.
  const bool is_same = version_ == before || (before->token && version_->token == before->token);
  if (is_same) gone = ShowLocked(std::move(next));
}

std::shared_ptr<LayerBook> Session::BookOf(const LayerImage& layer) const {
  if (const auto found = books_.find(layer.uid); found != books_.end()) return found->second;
  auto book = std::make_shared<LayerBook>(budgets_, tenant_);
  // Of an older version's layer nobody finds the steps: the call has a book to itself.
  const auto shown = version_->image->layers.find(layer.config->layer_id);
  if (shown == version_->image->layers.end() || shown->second->uid != layer.uid) {
    book->is_gone = true;
    return book;
  }
  return books_.emplace(layer.uid, std::move(book)).first->second;
}

LayerSnapshot Session::SnapshotLocked(const SharedLayer& layer,
                                      const std::optional<StepKey>& key) const {
  LayerSnapshot snapshot;
  snapshot.book = BookOf(*layer);
  snapshot.image = layer;
  snapshot.parameters = layer->parameters != nullptr ? layer->parameters : NoParameters();
  if (!key.has_value()) return snapshot;
  snapshot.key = Normalized(*key, *layer->config);
  snapshot.record_key = *snapshot.key;
  if (IsReleased(*layer, *key)) return snapshot;
  const StepBook& steps = snapshot.book->steps;
  SharedRecord record = steps.Find(snapshot.record_key);
  if (record == nullptr) {
    // An update may have changed what the layer is keyed by since the step's Forward.
    const bool by_sequence = IsSequenceKeyed(*layer->config);
    snapshot.record_key.sequence_id = by_sequence ? 0 : key->sequence_id;
    record = steps.Find(snapshot.record_key);
    if (record != nullptr && IsSequenceKeyed(*record->config) == by_sequence) record = nullptr;
  }
  snapshot.record = std::move(record);
  return snapshot;
}

absl::StatusOr<LayerSnapshot> Session::Snapshot(const SharedVersion& version,
                                                std::string_view layer_id,
                                                const std::optional<StepKey>& key) const {
  DROPOUTD_ASSIGN_OR_RETURN(const SharedLayer layer, FindLayer(*version->image, layer_id));
  const std::lock_guard lock(mutex_);
  return SnapshotLocked(layer, key);
}

absl::StatusOr<LayerSnapshot> Session::Snapshot(std::string_view layer_id,
                                                const std::optional<StepKey>& key) const {
  const std::lock_guard lock(mutex_);
  DROPOUTD_ASSIGN_OR_RETURN(const SharedLayer layer, FindLayer(*version_->image, layer_id));
  return SnapshotLocked(layer, key);
}

absl::Status Session::CheckRoom(const LayerBook& book, const StepKey& key) const {
  return book.steps.CheckRoom(key);
}

std::uint32_t Session::BeginTurn(LayerBook& book, const StepKey& key) {
  const std::lock_guard lock(mutex_);
  return ++book.TurnOf(key);
}

absl::Status Session::Commit(LayerBook& book, const StepKey& key, StepRecord record,
                             SharedBits mask, std::shared_ptr<const RetainedInput> input,
                             IfPresent if_present, std::optional<std::uint32_t> turn) {
  if (budgets_.holding() == Holding::kCopies && record.pinned != nullptr) {
    mask = std::exchange(record.pinned, nullptr);
  }
  const std::size_t pinned = record.pinned != nullptr ? record.pinned->byte_size() : 0;
  const std::lock_guard lock(mutex_);
  if (book.is_gone) return LayerNotFound(record.config->layer_id);
  if (turn.has_value() && *turn != book.TurnOf(key)) {
    ++book.TurnOf(key);
    book.steps.Release(key);
    return absl::OkStatus();
  }
  if (if_present == IfPresent::kKeep && book.steps.Find(key) != nullptr) return absl::OkStatus();
  DROPOUTD_ASSIGN_OR_RETURN(StepRoom room, book.steps.MakeRoom(key, pinned));
  if (mask != nullptr) {
    record.mask = book.steps.NewMask();
    record.mask.Put(std::move(mask));
  }
  if (input != nullptr) {
    record.input = book.steps.NewInput();
    record.input.Put(std::move(input));
  }
  book.steps.Put(key, std::move(record), std::move(room));
  return absl::OkStatus();
}

void Session::ReleaseStep(LayerBook& book, const StepKey& key) {
  const std::lock_guard lock(mutex_);
  ++book.TurnOf(key);
  book.steps.Release(key);
}

std::uint64_t Session::ReleaseThrough(std::optional<std::uint64_t> uid, std::uint64_t through) {
  std::uint64_t count = 0;
  const std::lock_guard lock(mutex_);
  for (const auto& [each, book] : books_) {
    if (uid.has_value() && each != *uid) continue;
    for (std::uint32_t& turn : book->turns) ++turn;
    count += book->steps.ReleaseThrough(through);
  }
  return count;
}

SharedVersion Session::VisitSteps(
    absl::FunctionRef<void(const LayerImage&, const StepBook&)> visit) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, layer] : version_->image->layers) {
    const auto book = books_.find(layer->uid);
    if (book != books_.end()) visit(*layer, book->second->steps);
  }
  return version_;
}

SharedStream& Session::stream() {
  const std::lock_guard lock(mutex_);
  // Made when first needed: few sessions have such a layer.
  if (stream_ == nullptr) stream_ = std::make_unique<SharedStream>(seed_);
  return *stream_;
}

SharedStream* Session::stream_if_any() const {
  const std::lock_guard lock(mutex_);
  return stream_.get();
}

}  // namespace dropoutd
