// The conformance cases (tests/conformance) through the C++ client, against a real dropoutd.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "client/convert.h"
#include "client/convert_time.h"
#include "client/session_id.h"
#include "dropout/client.h"
#include "tests/client/conformance_json.h"
#include "tests/client/server_process.h"

namespace dropout {
namespace {

using Answer = absl::StatusOr<Json>;

std::vector<Json> LoadCases() {
  std::vector<Json> cases;
  for (const auto& entry : std::filesystem::directory_iterator(DROPOUT_CONFORMANCE_DIR)) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream file(entry.path());
    Json content = Json::parse(file);
    for (Json& one : content.at("cases")) cases.push_back(std::move(one));
  }
  return cases;
}

template <typename Value>
Answer JsonOf(const absl::StatusOr<Value>& value) {
  if (!value.ok()) return value.status();
  return ToJson(*value);
}

Answer JsonOf(const absl::Status& status) {
  if (!status.ok()) return status;
  return Json::object();
}

template <typename Request>
StepRef StepOf(const Request& request) {
  StepRef ref;
  ref.session_id = request.session_id();
  ref.layer_id = request.layer_id();
  if (request.has_step()) ref.step = request.step();
  ref.sample_offset = request.sample_offset();
  if (request.has_sequence_id()) ref.sequence_id = request.sequence_id();
  return ref;
}

// Makes the cases' calls through a Client.
class Driver {
 public:
  explicit Driver(Client& client) : client_(client) {}

  Answer Call(const std::string& rpc, const Json& request) {
    static const std::map<std::string, Answer (Driver::*)(const Json&)> calls = {
        {"CreateSession", &Driver::CreateSession},
        {"GetSession", &Driver::GetSession},
        {"DeleteSession", &Driver::DeleteSession},
        {"CreateLayer", &Driver::CreateLayer},
        {"UpdateLayer", &Driver::UpdateLayer},
        {"DeleteLayer", &Driver::DeleteLayer},
        {"SetMode", &Driver::SetMode},
        {"Forward", &Driver::Forward},
        {"Backward", &Driver::Backward},
        {"GetMask", &Driver::GetMask},
        {"ReleaseSteps", &Driver::ReleaseSteps},
        {"SetParameters", &Driver::SetParameters},
        {"GetParameters", &Driver::GetParameters},
    };
    return (this->*calls.at(rpc))(request);
  }

 private:
  Answer CreateSession(const Json& json) {
    auto request = ParseMessage<v1::CreateSessionRequest>(json);
    SessionOptions options;
    options.session_id = request.session_id();
    if (request.has_seed()) options.seed = request.seed();
    options.mode = static_cast<Mode>(request.mode());
    options.ttl = FromProto(request.ttl());
    options.layers = FromProto<Layer>(std::move(*request.mutable_layers()));
    return JsonOf(client_.CreateSession(options));
  }

  Answer GetSession(const Json& json) {
    return JsonOf(client_.GetSession(json.at("session_id").get<std::string>()));
  }

  Answer DeleteSession(const Json& json) {
    return JsonOf(client_.DeleteSession(json.at("session_id").get<std::string>()));
  }

  Answer CreateLayer(const Json& json) {
    auto request = ParseMessage<v1::CreateLayerRequest>(json);
    return JsonOf(
        client_.CreateLayer(request.session_id(), FromProto(std::move(*request.mutable_layer()))));
  }

  Answer UpdateLayer(const Json& json) {
    auto request = ParseMessage<v1::UpdateLayerRequest>(json);
    return JsonOf(
        client_.UpdateLayer(request.session_id(), FromProto(std::move(*request.mutable_layer()))));
  }

  Answer DeleteLayer(const Json& json) {
    const auto request = ParseMessage<v1::DeleteLayerRequest>(json);
    return JsonOf(client_.DeleteLayer(request.session_id(), request.layer_id()));
  }

  Answer SetMode(const Json& json) {
    const auto request = ParseMessage<v1::SetModeRequest>(json);
    const Mode mode = static_cast<Mode>(request.mode());
    const auto ids = client_.SetMode(request.session_id(), mode,
                                     {request.layer_ids().begin(), request.layer_ids().end()});
    if (!ids.ok()) return ids.status();
    return Json{{"layer_ids", *ids}, {"mode", ToJson(mode)}};
  }

  Answer Forward(const Json& json) {
    auto request = ParseMessage<v1::ForwardRequest>(json);
    const Tensor input = FromProto(std::move(*request.mutable_input()));
    const auto result = client_.Forward(StepOf(request), input.View(), request.return_mask());
    if (!result.ok()) return result.status();
    Json answer = {
        {"output", ToJson(result->output)}, {"mode", ToJson(result->mode)}, {"p", result->p}};
    if (result->mask.has_value()) answer["mask"] = ToJson(*result->mask);
    return answer;
  }

  Answer Backward(const Json& json) {
    auto request = ParseMessage<v1::BackwardRequest>(json);
    const Tensor gradient = FromProto(std::move(*request.mutable_output_gradient()));
    const auto result =
        client_.Backward(StepOf(request), gradient.View(), {.release = request.release()});
    if (!result.ok()) return result.status();
    return Json{{"input_gradient", ToJson(result->input_gradient)},
                {"parameter_gradients", ToJson(result->parameter_gradients)}};
  }

  Answer GetMask(const Json& json) {
    const auto request = ParseMessage<v1::GetMaskRequest>(json);
    return JsonOf(
        client_.GetMask(StepOf(request), {request.shape().begin(), request.shape().end()}));
  }

  Answer ReleaseSteps(const Json& json) {
    const auto request = ParseMessage<v1::ReleaseStepsRequest>(json);
    const auto count =
        client_.ReleaseSteps(request.session_id(), request.layer_id(), request.through_step());
    if (!count.ok()) return count.status();
    return Json{{"released_count", std::to_string(*count)}};
  }

  Answer SetParameters(const Json& json) {
    auto request = ParseMessage<v1::SetParametersRequest>(json);
    return JsonOf(
        client_.SetParameters(request.session_id(), request.layer_id(),
                              FromProto<Parameter>(std::move(*request.mutable_parameters()))));
  }

  Answer GetParameters(const Json& json) {
    const auto request = ParseMessage<v1::GetParametersRequest>(json);
    const auto parameters = client_.GetParameters(request.session_id(), request.layer_id());
    if (!parameters.ok()) return parameters.status();
    return Json{{"parameters", ToJson(*parameters)}};
  }

  Client& client_;
};

std::string CallDifference(const Json& call, const Answer& answer) {
  if (!answer.ok()) {
    if (!call.contains("error")) return answer.status().ToString();
    return Difference(call["error"], ErrorJson(answer.status()), "error");
  }
  if (call.contains("error")) return "succeeded, not " + call["error"].dump();
  return Difference(call.value("response", Json::object()), *answer, "response");
}

// What goes wrong in a case; empty: nothing.
std::string RunCase(const Json& one, Client& client) {
  Driver driver(client);
  const std::string session_id = NewSessionId();
  Json create = one.at("session");
  create["session_id"] = session_id;
  if (const Answer session = driver.Call("CreateSession", create); !session.ok()) {
    return session.status().ToString();
  }
  std::string difference;
  int number = 0;
  for (const Json& call : one.at("calls")) {
    Json request = Expanded(call.at("request"));
    request["session_id"] = session_id;
    const auto rpc = call.at("rpc").get<std::string>();
    difference = CallDifference(call, driver.Call(rpc, request));
    if (!difference.empty()) {
      difference = "call " + std::to_string(number) + ", " + rpc + ": " + difference;
      break;
    }
    ++number;
  }
  static_cast<void>(client.DeleteSession(session_id));  // The case may have deleted it.
  return difference;
}

bool Contains(const std::vector<std::string>& names, const Json& name) {
  return std::find(names.begin(), names.end(), name.get<std::string>()) != names.end();
}

bool HasAll(const Json& one, const ServerInfo& info) {
  const Json needs = one.value("needs", Json::object());
  for (const Json& name : needs.value("variants", Json::array())) {
    if (!Contains(info.variants, name)) return false;
  }
  for (const Json& name : needs.value("schedules", Json::array())) {
    if (!Contains(info.schedules, name)) return false;
  }
  for (const Json& name : needs.value("rpcs", Json::array())) {
    if (Contains(info.unsupported_rpcs, name)) return false;
  }
  return true;
}

TEST(ConformanceTest, EveryCase) {
  const ServerProcess server(DROPOUTD_PATH);
  Client client = Client::Connect(server.address()).value();
  const ServerInfo info = client.GetServerInfo().value();
  const std::vector<Json> cases = LoadCases();
  ASSERT_GT(cases.size(), 90u);
  std::size_t ran = 0;
  for (const Json& one : cases) {
    if (!HasAll(one, info)) continue;
    ++ran;
    EXPECT_EQ(RunCase(one, client), "") << one.at("name");
  }
  std::cout << ran << " of " << cases.size() << " cases\n";
}

TEST(ConformanceTest, TheComparisonFindsDifferences) {
  const Json expected = {{"scale", 2.0}, {"shape", {2, 3}}, {"bits", "AA=="}};
  EXPECT_EQ(Difference(expected, {{"scale", 2}, {"shape", {"2", "3"}}, {"bits", "AA=="}}, ""), "");
  for (const Json& wrong : {Json{{"scale", 3.0}}, Json{{"shape", {3, 2}}}, Json{{"shape", {2}}},
                            Json{{"bits", "AQ=="}}, Json{{"bits", nullptr}}}) {
    Json actual = expected;
    actual.update(wrong);
    EXPECT_NE(Difference(expected, actual, ""), "") << wrong;
  }
}

}  // namespace
}  // namespace dropout
