// A tenant that holds every limit full, and goes on asking for more.
#ifndef DROPOUTD_TESTS_BENCH_TENANT_FILLER_H_
#define DROPOUTD_TESTS_BENCH_TENANT_FILLER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "dropout/client.h"

namespace dropoutd::bench {

// What a server may hold. A tenant may hold half of it.
struct FilledLimits {
  std::size_t sessions;
  std::size_t steps;
  std::size_t steps_of_layer;
  std::size_t mebibytes;  // Of masks, of inputs, of parameters, of shared memory.

  // For dropoutd.
  std::vector<std::string> Flags() const;
};

// Not thread-safe.
class TenantFiller {
 public:
  // `client`: one that shows the tenant's token and repeats no call. Its server has these limits.
  // Throws std::runtime_error if the limits cannot be reached.
  TenantFiller(dropout::Client client, const FilledLimits& limits);

  // Asks for more of what is full, of one thing after the other. Throws std::runtime_error unless
  // the call is refused for it.
  void AskForMore();

 private:
  struct Request {
    std::string reason;  // For which it is refused.
    std::function<absl::Status()> call;
  };

  void FillParameters();
  void FillSharedMemory();
  void FillSessions();
  void FillSteps();
  void FillMasks();
  void FillInputs();

  absl::Status Create(const std::string& session_id, const std::vector<dropout::Layer>& layers);
  absl::Status SetWeight(const std::string& session_id, const std::string& layer_id,
                         std::size_t features);
  // A Forward at a step of its own.
  absl::Status Run(const std::string& session_id, const std::string& layer_id,
                   const std::vector<std::int64_t>& shape);

  dropout::Client client_;
  const FilledLimits limits_;
  std::size_t steps_ = 0;  // That it holds.
  std::uint64_t next_step_ = 0;
  std::size_t next_request_ = 0;
  std::vector<Request> requests_;
};

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_TENANT_FILLER_H_
