#include "client/stream_call.h"

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "client/status.h"

namespace dropout {
namespace {

constexpr char kExchangeMethod[] = "/dropout.v1.DropoutService/Exchange";
constexpr std::size_t kMaxIdleStreams = 64;

gpr_timespec DeadlineOf(TimeLeft time_left) {
  if (!time_left.has_value()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_nanos(time_left->count(), GPR_TIMESPAN));
}

}  // namespace

// A stream and the one operation at a time that it carries. All of it happens on the
// caller's thread, which writes pieces while answers come back. Once an operation has failed
// before all of its pieces were sent the stream is of no further use: what becomes of those under
// way could be taken for the next operation's. Not thread-safe.
class ExchangeStream {
 public:
  ExchangeStream(std::shared_ptr<Channel> channel, const std::string& session_id,
                 bool wait_for_ready)
      : channel_(std::move(channel)), session_id_(session_id) {
    context_.set_wait_for_ready(wait_for_ready);
    AddSessionMetadata(session_id, &context_);
    channel_->AddCredentials(&context_);
    stream_ = channel_->raw.PrepareCall(&context_, kExchangeMethod, &queue_);
    stream_->StartCall(Tag(kStart));
    pending_ = kStart;
  }

  ~ExchangeStream() {
    context_.TryCancel();
    while (pending_ != 0) Await(gpr_inf_future(GPR_CLOCK_MONOTONIC));
  }

  const std::shared_ptr<Channel>& channel() const { return channel_; }
  const std::string& session_id() const { return session_id_; }

  // Whether another operation may follow.
  bool usable() const { return !broken_; }

  absl::StatusOr<StepAnswer> Run(const StepCall& call, std::size_t piece_bytes, MemoryLoan& loan,
                                 TimeLeft time_left) {
    const gpr_timespec deadline = DeadlineOf(time_left);
    StepAnswer answer;
    absl::Status error;
    std::size_t sent = 0;
    bool is_sent = false;
    bool is_answered = false;
    is_read_ = false;
    ++operation_;
    // After the last message of the answer only a write under way is waited for.
    while (!is_answered || (pending_ & kWrite) != 0) {
      if (!is_answered && (pending_ & (kStart | kWrite)) == 0 && !is_sent && !broken_) {
        Write(NextMessage(call, piece_bytes, operation_, loan, &sent, &is_sent));
      }
      if (!is_answered && (pending_ & (kStart | kRead)) == 0 && !broken_) Read();
      if (broken_) return Broken(deadline);
      if (!Await(deadline)) return TimeOut();
      if (!std::exchange(is_read_, false)) continue;
      ExchangeHead head;
      if (absl::Status read = ReadExchange(incoming_, operation_, call.place, &answer, &head);
          !read.ok()) {
        Abandon();
        return read;
      }
      if (head.is_error) {
        error = ToAbslStatus(head.error);
        // A server that knows no numbers may answer further pieces of the operation too.
        if (!is_sent || (head.operation == 0 && call.tensor.byte_size > piece_bytes)) Abandon();
      }
      is_answered = head.is_error || !head.has_more;
      if (is_answered && !is_sent && error.ok()) {
        Abandon();
        return absl::InternalError("the answer ended before its request");
      }
    }
    if (!error.ok()) return error;
    return answer;
  }

 private:
  enum : int { kStart = 1, kWrite = 2, kRead = 4, kFinish = 8 };

  static void* Tag(int operation) { return reinterpret_cast<void*>(std::intptr_t{operation}); }

  static grpc::ByteBuffer NextMessage(const StepCall& call, std::size_t piece_bytes,
                                      std::uint64_t operation, MemoryLoan& loan, std::size_t* sent,
                                      bool* is_sent) {
    const bool is_first = *sent == 0;
    const Piece piece = {static_cast<const char*>(call.tensor.data) + *sent,
                         std::min(piece_bytes, call.tensor.byte_size - *sent)};
    *sent += piece.byte_size;
    *is_sent = *sent == call.tensor.byte_size;
    const ExchangeFrame frame = {operation, !*is_sent};
    if (!is_first) return ExchangeDataBytes(piece, frame, loan);
    const int number = call.is_forward ? v1::ExchangeRequest::kForwardFieldNumber
                                       : v1::ExchangeRequest::kBackwardFieldNumber;
    return ExchangeBytes(number, call.fields, call.tensor, piece, frame, loan);
  }

  void Write(const grpc::ByteBuffer& message) {
    pending_ |= kWrite;
    stream_->Write(message, Tag(kWrite));
  }

  void Read() {
    pending_ |= kRead;
    stream_->Read(&incoming_, Tag(kRead));
  }

  // Waits for the next thing to end; false if the deadline passes first.
  bool Await(gpr_timespec deadline) {
    void* tag = nullptr;
    bool good = false;
    if (queue_.AsyncNext(&tag, &good, deadline) != grpc::CompletionQueue::GOT_EVENT) return false;
    const auto operation = static_cast<int>(reinterpret_cast<std::intptr_t>(tag));
    pending_ &= ~operation;
    if (operation == kRead) is_read_ = good;
    if (!good) broken_ = true;
    is_write_lost_ = is_write_lost_ || (!good && operation == kWrite);
    return true;
  }

  // Ends the stream, and waits until gRPC has nothing more to do with the caller's memory.
  void Abandon() {
    broken_ = true;
    context_.TryCancel();
    while (pending_ != 0) Await(gpr_inf_future(GPR_CLOCK_MONOTONIC));
  }

  absl::Status TimeOut() {
    Abandon();
    return absl::DeadlineExceededError("Deadline Exceeded");
  }

  // The status of a stream that has ended by itself.
  absl::Status Broken(gpr_timespec deadline) {
    // gRPC has no status before all that has come is read, or given up; after a reset of the stream
    // a read may wait without end.
    if (is_write_lost_) context_.TryCancel();
    grpc::Status status;
    pending_ |= kFinish;
    stream_->Finish(&status, Tag(kFinish));
    while (pending_ != 0) {
      if (!Await(deadline)) return TimeOut();
    }
    const bool is_own = is_write_lost_ && status.error_code() == grpc::StatusCode::CANCELLED;
    if (status.ok() || is_own) return absl::UnavailableError("the server ended the stream");
    return ToAbslStatus(status, context_);
  }

  const std::shared_ptr<Channel> channel_;
  const std::string session_id_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::ByteBuffer incoming_;
  std::uint64_t operation_ = 0;  // The number of the last one that began.
  int pending_ = 0;              // What is under way.
  bool is_read_ = false;         // A message has come in.
  bool is_write_lost_ = false;
  bool broken_ = false;
};

StreamTransport::StreamTransport(Connection& connection, std::size_t piece_bytes)
    : connection_(connection), piece_bytes_(piece_bytes) {}

StreamTransport::~StreamTransport() = default;

absl::StatusOr<StepAnswer> StreamTransport::Call(const StepCall& call, TimeLeft time_left) {
  MemoryLoan loan;
  // An idle stream may have lost its server, which shows only when it is used. A call that is
  // repeated may have met one, and there may be more.
  std::unique_ptr<ExchangeStream> stream =
      call.is_safe && !call.wait_for_ready
          ? Take(call.session_id)
          : std::make_unique<ExchangeStream>(connection_.channel(), call.session_id,
                                             call.wait_for_ready);
  std::shared_ptr<Channel> channel = stream->channel();
  absl::StatusOr<StepAnswer> answer = stream->Run(call, piece_bytes_, loan, time_left);
  if (stream->usable()) {
    Return(std::move(stream));
  } else {
    stream.reset();
  }
  connection_.Settle(loan, std::move(channel));
  return answer;
}

std::unique_ptr<ExchangeStream> StreamTransport::Take(const std::string& session_id) {
  std::shared_ptr<Channel> channel = connection_.channel();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = std::find_if(idle_.rbegin(), idle_.rend(), [&](const auto& stream) {
      return stream->session_id() == session_id && stream->channel() == channel;
    });
    if (found != idle_.rend()) {
      std::unique_ptr<ExchangeStream> stream = std::move(*found);
      idle_.erase(std::next(found).base());
      return stream;
    }
  }
  return std::make_unique<ExchangeStream>(std::move(channel), session_id,
                                          /*wait_for_ready=*/false);
}

void StreamTransport::Return(std::unique_ptr<ExchangeStream> stream) {
  std::unique_ptr<ExchangeStream> oldest;  // Ends outside of the lock.
  const std::lock_guard<std::mutex> lock(mutex_);
  idle_.push_back(std::move(stream));
  if (idle_.size() <= kMaxIdleStreams) return;
  oldest = std::move(idle_.front());
  idle_.erase(idle_.begin());
}

}  // namespace dropout
