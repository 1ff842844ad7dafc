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
// After which an idle stream of an extra channel is of no more use.
constexpr auto kExtraIdleTime = std::chrono::seconds(10);
// How long a stream on a connected channel may wait for its start before it tries another one:
// where no other starts meanwhile, and where others do.
constexpr auto kStartTime = std::chrono::milliseconds(100);
constexpr auto kLongStartTime = std::chrono::seconds(1);

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

  // To be asked before the first Run. False if the stream waits behind others of its channel: then
  // nothing has been sent, and another stream may serve. True also if it failed, which Run tells.
  bool Starts(Connection& connection, gpr_timespec deadline) {
    const Channel::Clock::time_point begin = Channel::Clock::now();
    while ((pending_ & kStart) != 0) {
      if (Await(gpr_time_min(DeadlineOf(kStartTime), deadline))) continue;
      if (gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), deadline) >= 0) return true;
      const bool is_stuck =
          !channel_->HasStarted(kStartTime) || Channel::Clock::now() - begin > kLongStartTime;
      if (is_stuck && channel_->IsReady() && connection.IsFull(*channel_)) return false;
    }
    return true;
  }

  absl::StatusOr<StepAnswer> Run(const StepCall& call, std::size_t piece_bytes, MemoryLoan& loan,
                                 gpr_timespec deadline) {
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
    if (good && operation == kStart) channel_->NoteStart();
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
  const gpr_timespec deadline = DeadlineOf(time_left);
  // An idle stream may have lost its server, which shows only when it is used. A call that is
  // repeated may have met one, and there may be more.
  std::unique_ptr<ExchangeStream> stream;
  if (call.is_safe && !call.wait_for_ready) stream = Take(call.session_id);
  if (stream == nullptr) stream = Open(call);
  while (!stream->Starts(connection_, deadline)) {
    stream.reset();
    stream = Open(call);
  }
  std::shared_ptr<Channel> channel = stream->channel();
  absl::StatusOr<StepAnswer> answer = stream->Run(call, piece_bytes_, loan, deadline);
  if (stream->usable()) {
    Return(std::move(stream));
  } else {
    stream.reset();
  }
  connection_.Settle(loan, std::move(channel));
  return answer;
}

std::unique_ptr<ExchangeStream> StreamTransport::Open(const StepCall& call) {
  return std::make_unique<ExchangeStream>(connection_.stream_channel(), call.session_id,
                                          call.wait_for_ready);
}

std::unique_ptr<ExchangeStream> StreamTransport::Take(const std::string& session_id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = std::find_if(idle_.rbegin(), idle_.rend(), [&](const Idle& idle) {
    return idle.stream->session_id() == session_id && connection_.Has(*idle.stream->channel());
  });
  if (found == idle_.rend()) return nullptr;
  std::unique_ptr<ExchangeStream> stream = std::move(found->stream);
  idle_.erase(std::next(found).base());
  return stream;
}

void StreamTransport::Return(std::unique_ptr<ExchangeStream> stream) {
  const Clock::time_point now = Clock::now();
  std::vector<Idle> surplus;  // Ends outside of the lock.
  const std::lock_guard<std::mutex> lock(mutex_);
  idle_.push_back({std::move(stream), now});
  std::size_t kept = 0;
  for (Idle& idle : idle_) {
    const bool is_old = idle.stream->channel()->is_extra && now - idle.since > kExtraIdleTime;
    if (is_old || (surplus.empty() && idle_.size() > kMaxIdleStreams)) {
      surplus.push_back(std::move(idle));
    } else if (&idle_[kept++] != &idle) {
      idle_[kept - 1] = std::move(idle);
    }
  }
  idle_.resize(kept);
}

}  // namespace dropout
