// A running server: listeners, services and their end.
#ifndef DROPOUTD_SERVER_MAIN_SERVER_H_
#define DROPOUTD_SERVER_MAIN_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/ticker.h"
#include "server/engine/engine.h"
#include "server/main/auth/security.h"
#include "server/main/flags.h"
#include "server/main/gate/admission.h"
#include "server/main/gate/gate.h"
#include "server/main/health/store_watch.h"
#include "server/main/health/watchdog.h"
#include "server/main/listen/acceptor.h"
#include "server/main/metrics/monitor.h"
#include "server/service/dropout_service.h"
#include "server/store/store.h"

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

  // Where metrics are; empty without --metrics_listen.
  std::string metrics_address() const { return monitor_ == nullptr ? "" : monitor_->address(); }

  // Reads certificates and tokens again.
  void Reload() { security_->Reload(); }

  // Turns health to NOT_SERVING, refuses new calls, serves those that are arriving or worked on
  // until the deadline, and ends the rest and all connections.
  void Drain();

 private:
  Server(const Flags& flags, std::unique_ptr<Security> security, std::unique_ptr<Store> store);

  bool IsReady() const;
  MetricFamilies Metrics();
  StatusReport Status();

  absl::Status OpenSharedMemory();
  void AddListeners(std::vector<ListeningSockets> sockets, grpc::ServerBuilder& builder);
  // Health, as the acceptor and the watchdog see it.
  void UpdateHealth();

  const Flags flags_;
  std::unique_ptr<SharedMemory> shared_memory_;
  const std::unique_ptr<Security> security_;
  const std::unique_ptr<Monitor> monitor_;         // Null without --metrics_listen.
  const std::unique_ptr<Store> store_;             // Null: sessions live and die with the process.
  const std::unique_ptr<StoreWatch> store_watch_;  // Null unless both are there.
  Engine engine_;
  Admission admission_;
  Acceptor acceptor_;
  Gate gate_;
  DropoutService service_;
  std::vector<std::string> addresses_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Watchdog> watchdog_;
  std::unique_ptr<Ticker> memory_release_;
  std::unique_ptr<Ticker> stream_ends_;  // Null where connections may grow old.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_SERVER_H_
