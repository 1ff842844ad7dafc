// A running server: listeners, services and their end.
#ifndef DROPOUTD_SERVER_MAIN_SERVER_H_
#define DROPOUTD_SERVER_MAIN_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/engine.h"
#include "server/main/auth/security.h"
#include "server/main/flags.h"
#include "server/main/gate/admission.h"
#include "server/main/gate/gate.h"
#include "server/main/health/listener_watch.h"
#include "server/main/health/store_watch.h"
#include "server/main/metrics/monitor.h"
#include "server/service/dropout_service.h"
#include "server/store/store.h"

namespace dropoutd {

// Serves from Start to Drain. The destructor drains.
class Server {
 public:
  // Listens on every address of `flags`, or fails with a message that names the one that
  // cannot be used. `on_failure` is called once, from a thread of the server's, if it can do its
  // work no more and has to be stopped; then failed() is true.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const Flags& flags, std::function<void()> on_failure = [] {});
  ~Server();

  // The addresses in the order of the flags, with the ports that were picked.
  const std::vector<std::string>& addresses() const { return addresses_; }

  // Where metrics are; empty without --metrics_listen.
  std::string metrics_address() const { return monitor_ == nullptr ? "" : monitor_->address(); }

  bool failed() const { return failed_; }

  // Reads certificates and tokens again.
  void Reload() { security_->Reload(); }

  // Turns health to NOT_SERVING, refuses new calls, serves those that are arriving or worked on
  // until the deadline, and ends the rest and all connections.
  void Drain();

 private:
  Server(const Flags& flags, std::unique_ptr<Security> security, std::unique_ptr<Store> store);

  bool IsReady() const;
  MetricFamilies Metrics() const;
  StatusReport Status();

  absl::Status OpenSharedMemory();
  void WatchListeners(std::function<void()> on_failure);

  const Flags flags_;
  std::unique_ptr<SharedMemory> shared_memory_;
  const std::unique_ptr<Security> security_;
  const std::unique_ptr<Monitor> monitor_;         // Null without --metrics_listen.
  const std::unique_ptr<Store> store_;             // Null: sessions live and die with the process.
  const std::unique_ptr<StoreWatch> store_watch_;  // Null unless both are there.
  Engine engine_;
  Admission admission_;
  Gate gate_;
  DropoutService service_;
  std::vector<std::string> addresses_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ListenerWatch> listener_watch_;
  std::atomic<bool> failed_{false};
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_SERVER_H_
