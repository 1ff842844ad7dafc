#include "server/memory/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <list>
#include <mutex>
#include <new>
#include <utility>

namespace dropoutd {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kSmallest = std::size_t{64} << 10;
constexpr std::size_t kPage = 4096;

// From this size on memory is asked for in huge pages: fewer faults, and fewer misses of
// the table of pages when the kernel copies it to a socket.
constexpr std::size_t kHugeFrom = std::size_t{4} << 20;

// Sizes are rounded up to one of eight steps between two powers of two, so that buffers fit
// the next request of nearly the same size.
std::size_t RoundUp(std::size_t size) {
  size = std::max(size, kSmallest);
  const std::size_t step = std::max(kPage, std::bit_floor(size) / 8);
  if (size > ~step) throw std::bad_alloc();
  return (size + step - 1) / step * step;
}

std::byte* Map(std::size_t size) {
  void* const place =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED) throw std::bad_alloc();
  if (size >= kHugeFrom) madvise(place, size, MADV_HUGEPAGE);  // Only a wish.
  return static_cast<std::byte*>(place);
}

}  // namespace

class BufferPool::State {
 public:
  explicit State(std::size_t max_idle_bytes) : max_idle_bytes_(max_idle_bytes) {}
  ~State() { Close(); }

  // Null if none of this size is kept.
  std::byte* Take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(idle_.begin(), idle_.end(),
                                    [&](const Idle& idle) { return idle.size == size; });
    if (found == idle_.end()) return nullptr;
    std::byte* const data = found->data;
    idle_.erase(found);
    idle_bytes_ -= size;
    return data;
  }

  void Return(std::byte* data, std::size_t size) {
    const std::lock_guard lock(mutex_);
    idle_.push_front({data, size, Clock::now()});
    idle_bytes_ += size;
    FreePast(max_idle_bytes_);
  }

  void ReleaseIdle(Clock::time_point before) {
    const std::lock_guard lock(mutex_);
    while (!idle_.empty() && idle_.back().since < before) FreeLast();
  }

  // From now on nothing is kept.
  void Close() {
    const std::lock_guard lock(mutex_);
    max_idle_bytes_ = 0;
    FreePast(0);
  }

  std::size_t idle_bytes() const {
    const std::lock_guard lock(mutex_);
    return idle_bytes_;
  }

 private:
  struct Idle {
    std::byte* data;
    std::size_t size;
    Clock::time_point since;
  };

  // Frees what came back longest ago until at most `bytes` are kept. The lock is held.
  void FreePast(std::size_t bytes) {
    while (idle_bytes_ > bytes) FreeLast();
  }

  void FreeLast() {
    munmap(idle_.back().data, idle_.back().size);
    idle_bytes_ -= idle_.back().size;
    idle_.pop_back();
  }

  mutable std::mutex mutex_;
  std::size_t max_idle_bytes_;
  std::size_t idle_bytes_ = 0;
  std::list<Idle> idle_;  // What came back last is first.
};

BufferPool::Buffer::Buffer(std::shared_ptr<State> state, std::byte* data, std::size_t size)
    : state_(std::move(state)), data_(data), size_(size) {}

BufferPool::Buffer::Buffer(Buffer&& other) noexcept { *this = std::move(other); }

BufferPool::Buffer& BufferPool::Buffer::operator=(Buffer&& other) noexcept {
  std::swap(state_, other.state_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

BufferPool::Buffer::~Buffer() {
  if (data_ != nullptr) state_->Return(data_, size_);
}

BufferPool::BufferPool(std::size_t max_idle_bytes)
    : state_(std::make_shared<State>(max_idle_bytes)) {}

BufferPool::~BufferPool() { state_->Close(); }

BufferPool::Buffer BufferPool::Take(std::size_t size) {
  const std::size_t rounded = RoundUp(size);
  std::byte* data = state_->Take(rounded);
  if (data == nullptr) data = Map(rounded);
  return Buffer(state_, data, rounded);
}

void BufferPool::ReleaseIdle(std::chrono::nanoseconds unused_for) {
  state_->ReleaseIdle(Clock::now() - std::chrono::duration_cast<Clock::duration>(unused_for));
}

std::size_t BufferPool::idle_bytes() const { return state_->idle_bytes(); }

}  // namespace dropoutd
