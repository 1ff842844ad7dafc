#include "tests/bench/echo_server.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/method_handler.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <thread>

namespace dropoutd::bench {
namespace {

using grpc::ByteBuffer;

// A way of serving: what is registered with the builder, and what runs beside the server.
class Model {
 public:
  virtual ~Model() = default;
  virtual void Register(grpc::ServerBuilder& builder) = 0;
  virtual void Start() {}
  virtual void Stop() {}
};

class SyncModel final : public Model {
 public:
  void Register(grpc::ServerBuilder& builder) override { builder.RegisterService(&service_); }

 private:
  class Service final : public grpc::Service {
   public:
    Service() {
      AddMethod(new grpc::internal::RpcServiceMethod(
          kEchoMethod, grpc::internal::RpcMethod::NORMAL_RPC,
          new grpc::internal::RpcMethodHandler<Service, ByteBuffer, ByteBuffer, ByteBuffer,
                                               ByteBuffer>(
              [](Service*, grpc::ServerContext*, const ByteBuffer* in, ByteBuffer* out) {
                *out = *in;
                return grpc::Status::OK;
              },
              this)));
    }
  };
  Service service_;
};

class CallbackModel final : public Model {
 public:
  void Register(grpc::ServerBuilder& builder) override { builder.RegisterService(&service_); }

 private:
  class Service final : public grpc::Service {
   public:
    Service() {
      AddMethod(new grpc::internal::RpcServiceMethod(
          kEchoMethod, grpc::internal::RpcMethod::NORMAL_RPC, nullptr));
      MarkMethodRawCallback(
          0, new grpc::internal::CallbackUnaryHandler<ByteBuffer, ByteBuffer>(
                 [](grpc::CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) {
                   *out = *in;
                   grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
                   reactor->Finish(grpc::Status::OK);
                   return reactor;
                 }));
    }
  };
  Service service_;
};

// One completion queue, and a thread for each processor that serves it.
class QueueModel final : public Model {
 public:
  void Register(grpc::ServerBuilder& builder) override {
    builder.RegisterAsyncGenericService(&service_);
    queue_ = builder.AddCompletionQueue();
  }

  void Start() override {
    const unsigned threads = std::max(2u, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < threads; ++i) {
      for (int calls = 0; calls < 32; ++calls) new Call(service_, *queue_);
      threads_.emplace_back([this] { Serve(); });
    }
  }

  void Stop() override {
    queue_->Shutdown();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  // A call, from its request to its end; owns itself.
  class Call {
   public:
    Call(grpc::AsyncGenericService& service, grpc::ServerCompletionQueue& queue)
        : service_(service), queue_(queue), stream_(&context_) {
      service_.RequestCall(&context_, &stream_, &queue_, &queue_, this);
    }

    void Proceed(bool good) {
      switch (state_++) {
        case 0:
          if (!good) break;
          new Call(service_, queue_);
          return stream_.Read(&bytes_, this);
        case 1:
          if (!good) break;
          return stream_.WriteAndFinish(bytes_, {}, grpc::Status::OK, this);
        default:
          break;
      }
      delete this;
    }

   private:
    grpc::AsyncGenericService& service_;
    grpc::ServerCompletionQueue& queue_;
    grpc::GenericServerContext context_;
    grpc::GenericServerAsyncReaderWriter stream_;
    ByteBuffer bytes_;
    int state_ = 0;
  };

  void Serve() {
    void* tag = nullptr;
    bool good = false;
    while (queue_->Next(&tag, &good)) static_cast<Call*>(tag)->Proceed(good);
  }

  grpc::AsyncGenericService service_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::vector<std::thread> threads_;
};

std::unique_ptr<Model> MakeModel(const std::string& name) {
  if (name == "sync") return std::make_unique<SyncModel>();
  if (name == "callback") return std::make_unique<CallbackModel>();
  if (name == "queue") return std::make_unique<QueueModel>();
  throw std::runtime_error("no such model of a server: " + name);
}

}  // namespace

int RunEchoServer(const std::string& model_name, const std::string& address,
                  const ChannelSettings& settings) {
  const std::unique_ptr<Model> model = MakeModel(model_name);
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  for (const auto& [name, value] : settings) builder.AddChannelArgument(name, value);
  int port = 0;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  model->Register(builder);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  model->Start();
  std::cout << "listening on "
            << (address.starts_with("unix:") ? address : "127.0.0.1:" + std::to_string(port))
            << std::endl;
  while (std::getchar() != EOF) {
  }
  server->Shutdown(std::chrono::system_clock::now());
  model->Stop();
  server->Wait();
  return 0;
}

}  // namespace dropoutd::bench
