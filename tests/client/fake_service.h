// A DropoutService that records what it is asked and answers what it is told.
#ifndef DROPOUTD_TESTS_CLIENT_FAKE_SERVICE_H_
#define DROPOUTD_TESTS_CLIENT_FAKE_SERVICE_H_

#include <grpcpp/server_context.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "dropout/v1/dropout_service.grpc.pb.h"

namespace dropout {

// Thread-safe.
class FakeService final : public v1::DropoutService::Service {
 public:
  // Runs before each answer; a status that is not OK becomes the answer. It may keep
  // state if calls come one by one.
  using Hook = std::function<grpc::Status(grpc::ServerContext&)>;

  void SetHook(Hook hook) {
    const std::lock_guard lock(mutex_);
    hook_ = std::make_shared<Hook>(std::move(hook));
  }

  // What calls with an answer of this type get from now on; empty until then.
  template <typename Response>
  void SetResponse(const Response& response) {
    const std::lock_guard lock(mutex_);
    responses_[Response::descriptor()->full_name()] = response.SerializeAsString();
  }

  // The last request of this type.
  template <typename Request>
  Request Received() {
    const std::lock_guard lock(mutex_);
    Request request;
    request.ParseFromString(requests_[Request::descriptor()->full_name()]);
    return request;
  }

  // Metadata `x-session-id` of the last call; "" where it had none.
  std::string session_metadata() {
    const std::lock_guard lock(mutex_);
    return session_metadata_;
  }

  int call_count() {
    const std::lock_guard lock(mutex_);
    return call_count_;
  }

#define FAKE_RPC(Method, Request, Response)                                     \
  grpc::Status Method(grpc::ServerContext* context, const v1::Request* request, \
                      Response* response) override {                            \
    return Handle(*context, *request, response);                                \
  }
  FAKE_RPC(CreateSession, CreateSessionRequest, v1::Session)
  FAKE_RPC(GetSession, GetSessionRequest, v1::Session)
  FAKE_RPC(ListSessions, ListSessionsRequest, v1::ListSessionsResponse)
  FAKE_RPC(DeleteSession, DeleteSessionRequest, google::protobuf::Empty)
  FAKE_RPC(CreateLayer, CreateLayerRequest, v1::Layer)
  FAKE_RPC(UpdateLayer, UpdateLayerRequest, v1::Layer)
  FAKE_RPC(DeleteLayer, DeleteLayerRequest, google::protobuf::Empty)
  FAKE_RPC(SetMode, SetModeRequest, v1::SetModeResponse)
  FAKE_RPC(Forward, ForwardRequest, v1::ForwardResponse)
  FAKE_RPC(Backward, BackwardRequest, v1::BackwardResponse)
  FAKE_RPC(GetMask, GetMaskRequest, v1::Mask)
  FAKE_RPC(ReleaseSteps, ReleaseStepsRequest, v1::ReleaseStepsResponse)
  FAKE_RPC(SetParameters, SetParametersRequest, google::protobuf::Empty)
  FAKE_RPC(GetParameters, GetParametersRequest, v1::GetParametersResponse)
  FAKE_RPC(CreateSharedMemory, CreateSharedMemoryRequest, v1::SharedMemory)
  FAKE_RPC(DeleteSharedMemory, DeleteSharedMemoryRequest, google::protobuf::Empty)
  FAKE_RPC(ExportSession, ExportSessionRequest, v1::ExportSessionResponse)
  FAKE_RPC(ImportSession, ImportSessionRequest, v1::Session)
  FAKE_RPC(ForkSession, ForkSessionRequest, v1::Session)
  FAKE_RPC(GetServerInfo, GetServerInfoRequest, v1::ServerInfo)
#undef FAKE_RPC

 private:
  template <typename Request, typename Response>
  grpc::Status Handle(grpc::ServerContext& context, const Request& request, Response* response) {
    if (const std::shared_ptr<Hook> hook = Record(context, request); hook != nullptr) {
      if (grpc::Status status = (*hook)(context); !status.ok()) return status;
    }
    const std::lock_guard lock(mutex_);
    response->ParseFromString(responses_[Response::descriptor()->full_name()]);
    return grpc::Status::OK;
  }

  template <typename Request>
  std::shared_ptr<Hook> Record(const grpc::ServerContext& context, const Request& request) {
    const std::lock_guard lock(mutex_);
    ++call_count_;
    requests_[Request::descriptor()->full_name()] = request.SerializeAsString();
    const auto& metadata = context.client_metadata();
    const auto id = metadata.find("x-session-id");
    session_metadata_ =
        id == metadata.end() ? "" : std::string(id->second.data(), id->second.size());
    return hook_;
  }

  std::mutex mutex_;
  std::shared_ptr<Hook> hook_;
  int call_count_ = 0;
  std::string session_metadata_;
  std::map<std::string, std::string> requests_;
  std::map<std::string, std::string> responses_;
};

}  // namespace dropout

#endif  // DROPOUTD_TESTS_CLIENT_FAKE_SERVICE_H_
