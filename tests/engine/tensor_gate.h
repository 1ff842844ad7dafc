// A tensor that stops whoever touches it.
#ifndef DROPOUTD_TESTS_ENGINE_TENSOR_GATE_H_
#define DROPOUTD_TESTS_ENGINE_TENSOR_GATE_H_

#include <signal.h>

#include <array>
#include <atomic>
#include <cstddef>

namespace dropoutd {

// Memory for a tensor. The first thread that touches it after the construction waits there
// until Open, so that a test can act while a call is in the middle of its work. One at a
// time in the process: it handles SIGSEGV.
class TensorGate {
 public:
  explicit TensorGate(std::size_t byte_size);

  // Nobody may be waiting any more, or touch the memory later.
  ~TensorGate();
  TensorGate(const TensorGate&) = delete;
  TensorGate& operator=(const TensorGate&) = delete;

  // The elements, 0 at first.
  float* data() { return static_cast<float*>(memory_); }

  // Returns when a thread waits. False if none came in time.
  bool AwaitVisitor();

  // Lets the thread go on.
  void Open();

  // Whether the visitor gave up because Open did not come in time.
  bool gave_up() const { return gave_up_; }

 private:
  static void HandleFault(void* address);
  void Hold();

  const std::size_t byte_size_;
  struct sigaction before_ = {};
  void* memory_ = nullptr;
  std::array<int, 2> arrived_{};  // Pipes: the only way to wait in a signal handler.
  std::array<int, 2> opened_{};
  std::atomic<bool> gave_up_{false};
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_ENGINE_TENSOR_GATE_H_
