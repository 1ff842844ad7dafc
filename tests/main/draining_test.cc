// What a call gets that reaches the service after draining began. A whole server closes its
// connections at the same moment, so that only here such a call is sure to arrive.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "dropout/v1/dropout_service.grpc.pb.h"
#include "server/engine/engine.h"
#include "server/main/auth/authenticator.h"
#include "server/main/gate/admission.h"
#include "server/main/gate/gate.h"
#include "server/service/dropout_service.h"
#include "server/service/error_mapping.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;

class DrainingTest : public testing::Test {
 protected:
  DrainingTest() : service_(engine_, gate_, {}) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::DropoutService::NewStub(server_->InProcessChannel({}));
  }

  // The status of one call; its reason is in reason_.
  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::DropoutService::Stub::*method)(grpc::ClientContext*,
                                                                     const Request&, Response*),
                    const Request& request) {
    grpc::ClientContext context;
    Response response;
    grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    const auto& trailers = context.GetServerTrailingMetadata();
    const auto reason = trailers.find(kReasonMetadata);
    reason_ =
        reason == trailers.end() ? "" : std::string(reason->second.data(), reason->second.size());
    return status;
  }

  template <typename Request, typename Response>
  void ExpectDraining(grpc::Status (v1::DropoutService::Stub::*method)(grpc::ClientContext*,
                                                                       const Request&, Response*),
                      const Request& request) {
    const grpc::Status status = Call(method, request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
    EXPECT_EQ(reason_, "DRAINING");
    EXPECT_NE(status.error_message().find("shutting down"), std::string::npos);
  }

  Engine engine_{Limits{}};
  const Authenticator authenticator_{Credential::kNone};
  Admission admission_{{}, {}};
  ConnectionTable connections_{10, 100};
  Gate gate_{authenticator_, admission_, nullptr, connections_};
  DropoutService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::DropoutService::Stub> stub_;
  std::string reason_;
};

TEST_F(DrainingTest, EveryKindOfCallIsRefusedAndNothingIsDone) {
  using Stub = v1::DropoutService::Stub;
  v1::CreateSessionRequest create;
  create.set_session_id("before");
  ASSERT_TRUE(Call(&Stub::CreateSession, create).ok());

  admission_.Drain();
  create.set_session_id("after");
  ExpectDraining(&Stub::CreateSession, create);
  v1::DeleteSessionRequest remove;
  remove.set_session_id("before");
  ExpectDraining(&Stub::DeleteSession, remove);
  ExpectDraining(&Stub::GetServerInfo, v1::GetServerInfoRequest());
  ExpectDraining(&Stub::ListSessions, v1::ListSessionsRequest());
  // Before its errors are looked for: elsewhere the call may be a good one.
  ExpectDraining(&Stub::Forward, v1::ForwardRequest());
  ExpectDraining(&Stub::Backward, v1::BackwardRequest());
  ExpectDraining(&Stub::GetMask, v1::GetMaskRequest());

  EXPECT_TRUE(engine_.GetSession("before").ok());
  EXPECT_FALSE(engine_.GetSession("after").ok());
}

}  // namespace
}  // namespace dropoutd
