#include "server/main/listen/connection_table.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/main/listen/listen_address.h"
#include "server/main/listen/listening_sockets.h"

namespace dropoutd {
namespace {

constexpr int kMilliseconds = 60'000;  // To wait at most.

// A server's end of a connection from this process, and the client's.
struct Pair {
  explicit Pair(const ListeningSockets& listener) {
    sockaddr_storage name = {};
    socklen_t size = sizeof(name);
    getsockname(listener.descriptors()[0], reinterpret_cast<sockaddr*>(&name), &size);
    client = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&name), size), 0);
    pollfd waits = {listener.descriptors()[0], POLLIN, 0};
    EXPECT_EQ(poll(&waits, 1, kMilliseconds), 1);
    server = accept4(listener.descriptors()[0], nullptr, nullptr, SOCK_CLOEXEC);
    EXPECT_GE(server, 0);
  }
  ~Pair() {
    CloseServer();
    close(client);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  void CloseServer() {
    if (server >= 0) close(std::exchange(server, -1));
  }

  // As grpc::ServerContext::peer() names it, over IPv4.
  std::string Ipv4Name() const {
    sockaddr_in name = {};
    socklen_t size = sizeof(name);
    getsockname(client, reinterpret_cast<sockaddr*>(&name), &size);
    return absl::StrCat("ipv4:127.0.0.1:", ntohs(name.sin_port));
  }

  // Whether the server's end was shut down.
  bool IsEnded() const {
    char byte;
    return recv(client, &byte, 1, MSG_DONTWAIT) == 0;
  }

  int client = -1;
  int server = -1;
};

class ConnectionTableTest : public testing::Test {
 protected:
  std::unique_ptr<Pair> Connect() { return std::make_unique<Pair>(listener_); }

  const ListeningSockets listener_ = *ListeningSockets::Open("127.0.0.1:0");
};

TEST_F(ConnectionTableTest, CountsWhatIsOpen) {
  ConnectionTable table(10, 100);
  const auto a = Connect();
  const auto b = Connect();
  EXPECT_TRUE(table.Add(a->server));
  EXPECT_TRUE(table.Add(b->server));
  EXPECT_EQ(table.Count(), 2u);
  a->CloseServer();
  EXPECT_EQ(table.Count(), 1u);
  b->CloseServer();
  EXPECT_EQ(table.Count(), 0u);
}

TEST_F(ConnectionTableTest, TheLimitIsOfThoseThatAreOpen) {
  ConnectionTable table(2, 100);
  const auto a = Connect();
  const auto b = Connect();
  const auto c = Connect();
  EXPECT_TRUE(table.Add(a->server));
  EXPECT_TRUE(table.Add(b->server));
  EXPECT_FALSE(table.Add(c->server));
  EXPECT_EQ(table.Count(), 2u);
  a->CloseServer();
  EXPECT_TRUE(table.Add(c->server));
}

// The kernel gives the lowest number that is free.
TEST_F(ConnectionTableTest, ADescriptorThatIsUsedAgainIsAnotherConnection) {
  ConnectionTable table(1, 100);
  auto a = Connect();
  const int descriptor = a->server;
  const std::string name = a->Ipv4Name();
  EXPECT_TRUE(table.Add(descriptor));
  a->CloseServer();
  const auto b = Connect();
  ASSERT_EQ(dup2(b->server, descriptor), descriptor);
  EXPECT_TRUE(table.Add(descriptor));
  EXPECT_EQ(table.Count(), 1u);
  // Calls of the old name are not the new connection's.
  for (int i = 0; i < 5000; ++i) table.CallBegins(name);
  EXPECT_EQ(table.abused(), 0u);
  close(descriptor);
}

TEST_F(ConnectionTableTest, OneWithManyTimesItsCallsIsClosed) {
  ConnectionTable table(10, 3);
  const auto a = Connect();
  const auto b = Connect();
  table.Add(a->server);
  table.Add(b->server);
  for (int i = 0; i < 30; ++i) table.CallBegins(a->Ipv4Name());
  EXPECT_FALSE(a->IsEnded());
  table.CallEnds(a->Ipv4Name());
  table.CallBegins(a->Ipv4Name());
  EXPECT_FALSE(a->IsEnded());  // Those under way count.
  EXPECT_EQ(table.abused(), 0u);
  table.CallBegins(a->Ipv4Name());
  EXPECT_TRUE(a->IsEnded());
  EXPECT_EQ(table.abused(), 1u);
  EXPECT_FALSE(b->IsEnded());
}

// More than streams may send before their handlers begin.
void SendMuch(const Pair& pair) {
  const std::vector<char> bytes(1 << 16);
  std::vector<char> taken(1 << 16);
  for (int i = 0; i < 160; ++i) {
    ASSERT_EQ(send(pair.client, bytes.data(), bytes.size(), 0), 1 << 16);
    ASSERT_EQ(recv(pair.server, taken.data(), taken.size(), MSG_WAITALL), 1 << 16);
  }
}

TEST_F(ConnectionTableTest, OneThatSendsAndMakesNoCallIsClosed) {
  ConnectionTable table(10, 100);
  const auto sender = Connect();
  const auto caller = Connect();
  table.Add(sender->server);
  table.Add(caller->server);
  table.CallBegins(caller->Ipv4Name());
  table.CloseSenselessSenders();
  SendMuch(*sender);
  SendMuch(*caller);
  table.CloseSenselessSenders();
  EXPECT_TRUE(sender->IsEnded());
  EXPECT_FALSE(caller->IsEnded());
  EXPECT_EQ(table.abused(), 1u);
}

// The call is seen at one look, and ends before the next.
TEST_F(ConnectionTableTest, TheEndOfACallsRequestIsNotSenseless) {
  ConnectionTable table(10, 100);
  const auto caller = Connect();
  table.Add(caller->server);
  table.CallBegins(caller->Ipv4Name());
  table.CloseSenselessSenders();
  SendMuch(*caller);
  table.CallEnds(caller->Ipv4Name());
  table.CloseSenselessSenders();
  EXPECT_FALSE(caller->IsEnded());
  SendMuch(*caller);
  table.CloseSenselessSenders();
  EXPECT_TRUE(caller->IsEnded());
}

TEST_F(ConnectionTableTest, TellsAllPeersThatNoMoreWillCome) {
  ConnectionTable table(10, 100);
  const auto a = Connect();
  const auto b = Connect();
  table.Add(a->server);
  table.Add(b->server);
  b->CloseServer();
  EXPECT_EQ(table.ShutDownWrites(), 1u);
  EXPECT_TRUE(a->IsEnded());
}

// --- Names ----------------------------------------------------------------------------------

// A gRPC server that answers each call with the name that it has for the peer. It is given its
// connections as ours is.
class Mirror {
 public:
  Mirror() {
    grpc::ServerBuilder builder;
    using Kind = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        Kind::FROM_FD, grpc::InsecureServerCredentials());
    builder.RegisterCallbackGenericService(&service_);
    server_ = builder.BuildAndStart();
  }
  ~Mirror() { server_->Shutdown(std::chrono::system_clock::now()); }
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  void Serve(int listener, int connection) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
    parameters.listener_fd = listener;
    parameters.fd = connection;
    acceptor_->HandleNewConnection(&parameters);
  }

 private:
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    explicit Reactor(std::string peer) {
      Finish({grpc::StatusCode::ALREADY_EXISTS, std::move(peer)});
    }
    void OnDone() override { delete this; }
  };

  class Service final : public grpc::CallbackGenericService {
    grpc::ServerGenericBidiReactor* CreateReactor(
        grpc::GenericCallbackServerContext* context) override {
      return new Reactor(context->peer());
    }
  };

  Service service_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
};

// Connects to `target` of a server that listens on `address`. Whether the table knows the
// connection by the name that gRPC has for it.
void ExpectKnown(const std::string& address, const std::string& target, const std::string& prefix) {
  auto sockets = ListeningSockets::Open(address);
  if (!sockets.ok()) GTEST_SKIP() << sockets.status();
  const int listener = sockets->descriptors()[0];
  ConnectionTable table(10, 1);
  Mirror mirror;
  const auto channel =
      grpc::CreateChannel(absl::StrCat(target, ":", PortTextOf(sockets->address())),
                          grpc::InsecureChannelCredentials());
  channel->GetState(/*try_to_connect=*/true);
  pollfd waits = {listener, POLLIN, 0};
  ASSERT_EQ(poll(&waits, 1, kMilliseconds), 1);
  const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  ASSERT_GE(connection, 0);
  ASSERT_TRUE(table.Add(connection));
  mirror.Serve(listener, connection);

  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(kMilliseconds));
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(&context, "/a/b", grpc::ByteBuffer(), &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  const std::string peer = status.error_message();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS) << peer;
  EXPECT_EQ(peer.substr(0, prefix.size()), prefix);
  // By its name it is found, and closed.
  for (int i = 0; i < 11; ++i) table.CallBegins(peer);
  EXPECT_EQ(table.abused(), 1u) << peer;
}

TEST(ConnectionNamesTest, AreGrpcsOverIpv4) {
  ExpectKnown("127.0.0.1:0", "127.0.0.1", "ipv4:127.0.0.1:");
}

TEST(ConnectionNamesTest, AreGrpcsOverIpv6) { ExpectKnown("[::1]:0", "[::1]", "ipv6:%5B::1%5D:"); }

TEST(ConnectionNamesTest, AreGrpcsOverIpv4ToAnIpv6Socket) {
  ExpectKnown("[::]:0", "127.0.0.1", "ipv4:127.0.0.1:");
}

}  // namespace
}  // namespace dropoutd
