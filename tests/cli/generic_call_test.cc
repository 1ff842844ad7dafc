#include "client/cli/generic_call.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "dropout/client.h"
#include "dropout/v1/dropout_service.grpc.pb.h"

namespace dropout::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Sends back what it gets.
class EchoService final : public v1::DropoutService::Service {
 public:
  grpc::Status GetSession(grpc::ServerContext* context, const v1::GetSessionRequest* request,
                          v1::Session* response) override {
    const auto& metadata = context->client_metadata();
    const auto id = metadata.find("x-session-id");
    if (id != metadata.end()) session_metadata_ = {id->second.data(), id->second.size()};
    if (request->session_id() == "none") {
      context->AddTrailingMetadata("dropout-error-reason", "SESSION_NOT_FOUND");
      return {grpc::StatusCode::NOT_FOUND, "no such session"};
    }
    if (request->session_id() == "slow") {
      while (!context->IsCancelled()) std::this_thread::yield();
      return grpc::Status::CANCELLED;
    }
    response->set_session_id(request->session_id());
    response->set_seed(18446744073709551615u);
    return grpc::Status::OK;
  }

  grpc::Status Exchange(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::ExchangeResponse, v1::ExchangeRequest>* stream) override {
    v1::ExchangeRequest request;
    while (stream->Read(&request)) {
      v1::ExchangeResponse response;
      response.set_data(request.data());
      response.set_has_more(request.has_more());
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  const std::string& session_metadata() const { return session_metadata_; }

 private:
  std::string session_metadata_;
};

class GenericCallTest : public testing::Test {
 protected:
  GenericCallTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    builder.SetMaxReceiveMessageSize(-1);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~GenericCallTest() override { server_->Shutdown(); }

  absl::Status Call(const std::string& method, const std::vector<std::string>& json,
                    std::chrono::nanoseconds timeout = std::chrono::seconds(60)) {
    const auto requests = EncodeRequests(*FindMethod(method), json);
    if (!requests.ok()) return requests.status();
    ClientOptions options;
    options.timeout = timeout;
    return CallMethod(address_, options, *FindMethod(method), *requests,
                      [this](const std::string& answer) { answers_.push_back(answer); });
  }

  EchoService service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::vector<std::string> answers_;
};

TEST(FindMethodTest, FindsMethodsByBothNames) {
  for (const char* name :
       {"Exchange", "dropout.v1.DropoutService/Exchange", "/dropout.v1.DropoutService/Exchange"}) {
    ASSERT_NE(FindMethod(name), nullptr) << name;
    EXPECT_EQ(FindMethod(name)->name(), "Exchange");
  }
  for (const char* name : {"", "/", "exchange", "other.Service/Exchange", "Exchange/"}) {
    EXPECT_EQ(FindMethod(name), nullptr) << name;
  }
  EXPECT_THAT(MethodNames(), HasSubstr("CreateSession, GetSession, "));
}

TEST_F(GenericCallTest, UnaryAnswerIsIndentedJsonOfAllFields) {
  ASSERT_TRUE(Call("GetSession", {R"({"sessionId": "s-1"})"}).ok());
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_THAT(answers_[0], HasSubstr("\n \"session_id\": \"s-1\",\n"));
  EXPECT_THAT(answers_[0], HasSubstr("\"seed\": \"18446744073709551615\""));
  EXPECT_THAT(answers_[0], HasSubstr("\"layers\": []"));
  EXPECT_EQ(service_.session_metadata(), "s-1");
}

TEST_F(GenericCallTest, ErrorsCarryTheReason) {
  const absl::Status status = Call("GetSession", {R"({"session_id": "none"})"});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "no such session");
  EXPECT_EQ(ErrorReason(status), "SESSION_NOT_FOUND");
  EXPECT_TRUE(answers_.empty());
}

TEST_F(GenericCallTest, RequestsThatDoNotFit) {
  for (const char* json : {R"({"nothing": 1})", R"({"session_id": 1})", "[]", "1"}) {
    EXPECT_EQ(Call("GetSession", {json}).code(), absl::StatusCode::kInvalidArgument) << json;
  }
  EXPECT_EQ(Call("GetSession", {}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Call("GetSession", {"{}", "{}"}).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(GenericCallTest, StreamsMessagesInOrder) {
  ASSERT_TRUE(
      Call("Exchange", {R"({"data": "YQ==", "has_more": true})", R"({"data": "Yg=="})"}).ok());
  EXPECT_THAT(answers_, ElementsAre(R"({"has_more":true,"operation":"0","data":"YQ=="})",
                                    R"({"has_more":false,"operation":"0","data":"Yg=="})"));
}

TEST_F(GenericCallTest, EmptyStream) {
  EXPECT_TRUE(Call("Exchange", {}).ok());
  EXPECT_TRUE(answers_.empty());
}

// More than the windows of both directions hold: a client that wrote all first would wait
// for ever.
TEST_F(GenericCallTest, ReadsWhileItWrites) {
  const std::string data = absl::Base64Escape(std::string(1 << 20, 'x'));
  const std::vector<std::string> messages(32, absl::StrCat("{\"data\":\"", data, "\"}"));
  ASSERT_TRUE(Call("Exchange", messages).ok());
  EXPECT_EQ(answers_.size(), messages.size());
}

TEST_F(GenericCallTest, TimeLimit) {
  EXPECT_EQ(Call("GetSession", {R"({"session_id": "slow"})"}, std::chrono::milliseconds(50)).code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(GenericCallTest, ServerThatIsAway) {
  server_->Shutdown();
  EXPECT_EQ(Call("GetSession", {"{}"}).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace dropout::cli
