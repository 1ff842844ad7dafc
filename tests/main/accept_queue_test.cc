#include "server/main/health/accept_queue.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "server/main/own_sockets.h"

namespace dropoutd {
namespace {

// A listener with connections that nobody accepts unless told to.
class AcceptQueueTest : public testing::Test {
 protected:
  ~AcceptQueueTest() override {
    for (const int each : sockets_) close(each);
    if (!folder_.empty()) {
      unlink((folder_ + "/socket").c_str());
      rmdir(folder_.c_str());
    }
  }

  void ListenOnTcp() {
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Listen(name);
    address_ = "127.0.0.1:" +
               std::to_string(ntohs(reinterpret_cast<const sockaddr_in*>(&name_)->sin_port));
  }

  void ListenOnUnixSocket() {
    std::string folder = "/tmp/accept-queue-XXXXXX";
    folder_ = mkdtemp(folder.data());
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    std::snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", folder_.c_str());
    Listen(name);
    address_ = std::string("unix:") + name.sun_path;
  }

  // A client that stays, or one that resets its connection at once.
  void Connect(bool reset = false) {
    const int client = socket(name_.ss_family, SOCK_STREAM, 0);
    ASSERT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&name_), name_size_), 0);
    if (!reset) {
      sockets_.push_back(client);
      return;
    }
    const linger none = {.l_onoff = 1, .l_linger = 0};
    ASSERT_EQ(setsockopt(client, SOL_SOCKET, SO_LINGER, &none, sizeof(none)), 0);
    close(client);
  }

  void Accept() {
    const int server = accept(listener_, nullptr, nullptr);
    ASSERT_GE(server, 0);
    sockets_.push_back(server);
  }

  int Look() {
    queue_.Take(LookAtQueue(listener_));
    return queue_.looks_without_accept();
  }

  int listener_ = -1;
  std::string address_;
  AcceptQueue queue_;

 private:
  template <typename Name>
  void Listen(const Name& name) {
    listener_ = socket(reinterpret_cast<const sockaddr*>(&name)->sa_family, SOCK_STREAM, 0);
    sockets_.push_back(listener_);
    ASSERT_EQ(bind(listener_, reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
    ASSERT_EQ(listen(listener_, 16), 0);
    ASSERT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&name_), &name_size_), 0);
  }

  std::string folder_;
  std::vector<int> sockets_;
  sockaddr_storage name_ = {};
  socklen_t name_size_ = sizeof(name_);
};

TEST_F(AcceptQueueTest, AnAcceptIsSeenByTheQueuesLength) {
  ListenOnTcp();
  EXPECT_EQ(Look(), 0);
  for (int i = 0; i < 3; ++i) Connect();
  EXPECT_EQ(Look(), 1);
  EXPECT_EQ(Look(), 2);
  Connect();  // More that wait are no sign.
  EXPECT_EQ(Look(), 3);
  Accept();
  EXPECT_EQ(Look(), 0);
  EXPECT_EQ(Look(), 1);
  for (int i = 0; i < 3; ++i) Accept();
  EXPECT_EQ(Look(), 0);
  EXPECT_EQ(Look(), 0);
}

TEST_F(AcceptQueueTest, ClientsThatGoAwayAreNoSignOfAnAccept) {
  ListenOnTcp();
  Connect();
  for (int i = 0; i < 5; ++i) Connect(true);
  EXPECT_EQ(Look(), 1);
  EXPECT_EQ(Look(), 2);
  EXPECT_EQ(LookAtQueue(listener_).length, 6u);
}

TEST_F(AcceptQueueTest, OfAUnixSocketOnlyAnEmptyQueueIsASign) {
  ListenOnUnixSocket();
  EXPECT_EQ(Look(), 0);
  Connect();
  Connect(true);
  EXPECT_EQ(Look(), 1);
  Accept();
  EXPECT_EQ(Look(), 2);
  Accept();
  EXPECT_EQ(Look(), 0);
}

TEST_F(AcceptQueueTest, AClosedListenerIsNoAlarm) { EXPECT_TRUE(LookAtQueue(-1).is_empty); }

TEST_F(AcceptQueueTest, SocketsAreFoundByTheirAddress) {
  ListenOnTcp();
  Connect();
  const std::string port = address_.substr(address_.rfind(':'));
  for (const std::string host : {"127.0.0.1", "localhost", "0.0.0.0", "[::]"}) {
    const auto found = SocketsAt({"127.0.0.1:1", host + port});
    ASSERT_EQ(found.size(), 1u) << host;
    EXPECT_EQ(found[0].descriptor, listener_);
    EXPECT_EQ(found[0].kind, OwnSocket::Kind::kListener);
    EXPECT_EQ(found[0].address, host + port);
  }
  Accept();
  const auto both = SocketsAt({address_});
  ASSERT_EQ(both.size(), 2u);
  const OwnSocket& accepted = both[both[0].descriptor == listener_ ? 1 : 0];
  EXPECT_EQ(accepted.kind, OwnSocket::Kind::kConnection);
  EXPECT_TRUE(SocketsAt({"127.0.0.1:1", "unix:/no/such/socket"}).empty());
  ListenOnUnixSocket();
  const auto found = SocketsAt({address_});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].descriptor, listener_);
}

}  // namespace
}  // namespace dropoutd
