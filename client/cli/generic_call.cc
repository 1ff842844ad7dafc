#include "client/cli/generic_call.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/security.h"
#include "client/session_id.h"
#include "client/status.h"
#include "dropout/v1/dropout_service.grpc.pb.h"

namespace dropout::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

const google::protobuf::ServiceDescriptor& Service() {
  // The table's own file name: nothing else refers to the object file that registers it, and
  // the linker would leave it out.
  static const auto* const service =
      google::protobuf::DescriptorPool::generated_pool()
          ->FindFileByName(::descriptor_table_dropout_2fv1_2fdropout_5fservice_2eproto.filename)
          ->FindServiceByName("DropoutService");
  return *service;
}

std::unique_ptr<Message> NewMessage(const Descriptor* type) {
  return std::unique_ptr<Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

absl::StatusOr<std::string> EncodeRequest(const MethodDescriptor& method, const std::string& json) {
  const auto message = NewMessage(method.input_type());
  const auto status = google::protobuf::util::JsonStringToMessage(json, message.get());
  if (!status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a ", method.input_type()->name(), ": ", std::string(status.message())));
  }
  return message->SerializeAsString();
}

// The session that a request names, itself or in the operation that it carries; else "".
std::string SessionIdOf(const Message& message) {
  const auto* reflection = message.GetReflection();
  const FieldDescriptor* id = message.GetDescriptor()->FindFieldByName("session_id");
  if (id != nullptr) return reflection->GetString(message, id);
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_repeated()) continue;
    const std::string nested = SessionIdOf(reflection->GetMessage(message, field));
    if (!nested.empty()) return nested;
  }
  return "";
}

// What sends a session's calls to the server that has it.
void AddSessionMetadata(const MethodDescriptor& method, const std::vector<std::string>& requests,
                        grpc::ClientContext* context) {
  if (requests.empty()) return;
  const auto message = NewMessage(method.input_type());
  message->ParseFromString(requests[0]);
  const std::string session_id = SessionIdOf(*message);
  if (IsValidSessionId(session_id)) context->AddMetadata("x-session-id", session_id);
}

absl::StatusOr<std::string> DecodeAnswer(const MethodDescriptor& method, grpc::ByteBuffer* buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer->Dump(&slices).ok()) return absl::DataLossError("the answer cannot be read");
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  const auto message = NewMessage(method.output_type());
  if (!message->ParseFromString(bytes)) {
    return absl::DataLossError(absl::StrCat("the answer is not a ", method.output_type()->name()));
  }
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = !method.server_streaming();
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(*message, &json, options);
  if (!status.ok()) return absl::DataLossError(std::string(status.message()));
  while (!json.empty() && json.back() == '\n') json.pop_back();
  return json;
}

// One call with one event loop: it reads while it writes, since a server may stop reading
// when nobody takes its answers.
class EventLoop {
 public:
  EventLoop(const std::string& address, const ClientOptions& options,
            const MethodDescriptor& method, const std::vector<std::string>& requests)
      : requests_(requests), stub_(MakeChannel(address, options)) {
    // These count only if they are set before the call is made.
    AddSessionMetadata(method, requests, &context_);
    AddToken(options, &context_);
    if (options.timeout.count() > 0) {
      context_.set_deadline(
          gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                       gpr_time_from_nanos(options.timeout.count(), GPR_TIMESPAN)));
    }
    const std::string path = absl::StrCat("/", method.service()->full_name(), "/", method.name());
    stream_ = stub_.PrepareCall(&context_, path, &queue_);
  }

  ~EventLoop() { queue_.Shutdown(); }

  // Passes each answer to `on_answer`; an error of its ends the call.
  absl::Status Run(const std::function<absl::Status(grpc::ByteBuffer*)>& on_answer) {
    stream_->StartCall(TagOf(Event::kStart));
    int pending = 1;
    bool reading = true;
    absl::Status answer_status;
    void* tag;
    bool ok;
    while (pending > 0 && queue_.Next(&tag, &ok)) {
      --pending;
      switch (EventOf(tag)) {
        case Event::kStart:
          Read(&pending);
          [[fallthrough]];
        case Event::kWrite:
          if (ok) Write(&pending);
          break;
        case Event::kRead:
          if (ok && answer_status.ok()) {
            answer_status = on_answer(&answer_);
            if (!answer_status.ok()) context_.TryCancel();
          }
          if (ok) {
            Read(&pending);
          } else if (std::exchange(reading, false)) {
            stream_->Finish(&status_, TagOf(Event::kFinish));
            ++pending;
          }
          break;
        case Event::kFinish:
          break;
      }
    }
    return answer_status.ok() ? ToAbslStatus(status_, context_) : answer_status;
  }

 private:
  enum class Event : std::intptr_t { kStart = 1, kWrite, kRead, kFinish };

  static void* TagOf(Event event) { return reinterpret_cast<void*>(event); }
  static Event EventOf(void* tag) {
    return static_cast<Event>(reinterpret_cast<std::intptr_t>(tag));
  }

  static std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                                    const ClientOptions& options) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    const auto credentials = MakeCredentials(options, &arguments);
    return grpc::CreateCustomChannel(address, credentials, arguments);
  }

  void Read(int* pending) {
    answer_.Clear();
    stream_->Read(&answer_, TagOf(Event::kRead));
    ++*pending;
  }

  // Sends the next request, or that there are no more.
  void Write(int* pending) {
    if (next_ > requests_.size()) return;
    if (next_ == requests_.size()) {
      stream_->WritesDone(TagOf(Event::kWrite));
    } else {
      const grpc::Slice slice(requests_[next_]);
      stream_->Write(grpc::ByteBuffer(&slice, 1), TagOf(Event::kWrite));
    }
    ++next_;
    ++*pending;
  }

  const std::vector<std::string>& requests_;
  std::size_t next_ = 0;  // Past the end by one once all is said.
  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::ByteBuffer answer_;
  grpc::Status status_;
};

}  // namespace

const MethodDescriptor* FindMethod(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  if (slash == std::string::npos) return Service().FindMethodByName(name);
  const std::string service = name.substr(name[0] == '/' ? 1 : 0, slash - (name[0] == '/' ? 1 : 0));
  return service == Service().full_name() ? Service().FindMethodByName(name.substr(slash + 1))
                                          : nullptr;
}

std::string MethodNames() {
  std::string names;
  for (int i = 0; i < Service().method_count(); ++i) {
    absl::StrAppend(&names, i == 0 ? "" : ", ", Service().method(i)->name());
  }
  return names;
}

absl::StatusOr<std::vector<std::string>> EncodeRequests(const MethodDescriptor& method,
                                                        const std::vector<std::string>& json) {
  if (!method.client_streaming() && json.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(method.name(), " takes one message, not ", json.size()));
  }
  std::vector<std::string> requests;
  for (const std::string& text : json) {
    auto request = EncodeRequest(method, text);
    if (!request.ok()) return request.status();
    requests.push_back(*std::move(request));
  }
  return requests;
}

absl::Status CallMethod(const std::string& address, const ClientOptions& options,
                        const MethodDescriptor& method, const std::vector<std::string>& requests,
                        const std::function<void(const std::string&)>& on_answer) {
  EventLoop loop(address, options, method, requests);
  return loop.Run([&](grpc::ByteBuffer* buffer) {
    const auto json = DecodeAnswer(method, buffer);
    if (json.ok()) on_answer(*json);
    return json.status();
  });
}

}  // namespace dropout::cli
