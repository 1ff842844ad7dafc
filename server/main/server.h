// A running server: listeners, services and their end.
#ifndef DROPOUTD_SERVER_MAIN_SERVER_H_
#define DROPOUTD_SERVER_MAIN_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/main/admission.h"
#include "server/main/flags.h"
#include "server/service/dropout_service.h"
#include "server/session/engine.h"

namespace dropoutd {

// Serves from Start to Drain. The destructor drains.
class Server {
 public:
  // Listens on every address of `flags`, or fails with a message that names the one that
  // cannot be used.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const Flags& flags);
  ~Server();

  // The addresses in the order of the flags, with the ports that were picked.
  const std::vector<std::string>& addresses() const { return addresses_; }

  // Turns health to NOT_SERVING, refuses new calls, waits for those in flight until the
  // deadline, and cancels the rest.
  void Drain();

 private:
  explicit Server(const Flags& flags);

  absl::Status OpenSharedMemory();

  const Flags flags_;
  std::unique_ptr<SharedMemory> shared_memory_;
  Engine engine_;
  Admission admission_;
  DropoutService service_;
  std::vector<std::string> addresses_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_SERVER_H_
