// Large buffers whose pages are mapped already: the first write to a fresh page costs more
// than the work that dropout does on it.
#ifndef DROPOUTD_SERVER_MEMORY_BUFFER_POOL_H_
#define DROPOUTD_SERVER_MEMORY_BUFFER_POOL_H_

#include <chrono>
#include <cstddef>
#include <memory>

namespace dropoutd {

// Hands out buffers and keeps what comes back for the next who asks, up to a number of
// bytes. Thread-safe. Buffers may outlive the pool; they are freed when they come back.
class BufferPool {
  class State;

 public:
  // Owns its memory, which has whatever it had before in it. Aligned to 64 bytes. Movable.
  class Buffer {
   public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept;
    Buffer& operator=(Buffer&& other) noexcept;
    ~Buffer();

    std::byte* data() const { return data_; }

    // At least the size that was asked for, and at least 64 KiB.
    std::size_t size() const { return size_; }

   private:
    friend class BufferPool;
    Buffer(std::shared_ptr<State> state, std::byte* data, std::size_t size);

    std::shared_ptr<State> state_;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
  };

  // Keeps at most `max_idle_bytes` that nobody uses.
  explicit BufferPool(std::size_t max_idle_bytes);
  ~BufferPool();

  // A buffer of `size` bytes or more. Throws std::bad_alloc.
  Buffer Take(std::size_t size);

  // Frees the buffers that nobody has used for `unused_for`.
  void ReleaseIdle(std::chrono::nanoseconds unused_for);

  // What is kept and not in use.
  std::size_t idle_bytes() const;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MEMORY_BUFFER_POOL_H_
