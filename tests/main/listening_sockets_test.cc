#include "server/main/listen/listening_sockets.h"

#include <gtest/gtest.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "server/main/listen/listen_address.h"

namespace dropoutd {
namespace {

class Folder {
 public:
  Folder() {
    std::string name = testing::TempDir() + "/listenXXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string Path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

sockaddr_storage NameOf(int descriptor) {
  sockaddr_storage name = {};
  socklen_t size = sizeof(name);
  EXPECT_EQ(getsockname(descriptor, reinterpret_cast<sockaddr*>(&name), &size), 0);
  return name;
}

std::string PortOf(int descriptor) {
  const sockaddr_storage name = NameOf(descriptor);
  char port[NI_MAXSERV] = {};
  EXPECT_EQ(getnameinfo(reinterpret_cast<const sockaddr*>(&name), sizeof(name), nullptr, 0, port,
                        sizeof(port), NI_NUMERICSERV),
            0);
  return port;
}

// Whether a client gets through to HOST:PORT.
bool IsReached(const std::string& address) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(HostOf(address).c_str(), PortTextOf(address).c_str(), &hints, &found) != 0) {
    return false;
  }
  const int client = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool is_reached = connect(client, found->ai_addr, found->ai_addrlen) == 0;
  close(client);
  freeaddrinfo(found);
  return is_reached;
}

std::size_t AddressesOf(const char* host) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::size_t count = 0;
  if (getaddrinfo(host, nullptr, &hints, &found) != 0) return 0;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) ++count;
  freeaddrinfo(found);
  return count;
}

bool HasIpv6() {
  const auto sockets = ListeningSockets::Open("[::1]:0");
  return sockets.ok();
}

std::string WhyNot(const std::string& address) {
  return std::string(ListeningSockets::Open(address).status().message());
}

TEST(ListeningSocketsTest, PicksAPortAndNamesIt) {
  const auto sockets = ListeningSockets::Open("127.0.0.1:0");
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  ASSERT_EQ(sockets->descriptors().size(), 1u);
  EXPECT_EQ(sockets->address(), "127.0.0.1:" + PortOf(sockets->descriptors()[0]));
  EXPECT_TRUE(IsReached(sockets->address()));
}

TEST(ListeningSocketsTest, AHostListensOnAllItsAddressesWithOnePort) {
  const auto sockets = ListeningSockets::Open("localhost:0");
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  if (HasIpv6()) {
    EXPECT_EQ(sockets->descriptors().size(), AddressesOf("localhost"));
  }
  for (const int each : sockets->descriptors()) {
    EXPECT_EQ("localhost:" + PortOf(each), sockets->address());
  }
}

TEST(ListeningSocketsTest, Ipv6StandsInBrackets) {
  if (!HasIpv6()) GTEST_SKIP() << "no IPv6 here";
  const auto sockets = ListeningSockets::Open("[::1]:0");
  ASSERT_EQ(sockets->descriptors().size(), 1u);
  EXPECT_EQ(sockets->address(), "[::1]:" + PortOf(sockets->descriptors()[0]));
  EXPECT_TRUE(IsReached(sockets->address()));
}

TEST(ListeningSocketsTest, AllIpv6AddressesAreAllIpv4AddressesToo) {
  if (!HasIpv6()) GTEST_SKIP() << "no IPv6 here";
  const auto sockets = ListeningSockets::Open("[::]:0");
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  EXPECT_TRUE(IsReached("127.0.0.1:" + PortTextOf(sockets->address())));
  EXPECT_TRUE(IsReached("[::1]:" + PortTextOf(sockets->address())));
}

TEST(ListeningSocketsTest, SaysWhatKeepsItFromListening) {
  const auto sockets = ListeningSockets::Open("127.0.0.1:0");
  ASSERT_TRUE(sockets.ok());
  EXPECT_EQ(WhyNot(sockets->address()),
            "cannot listen on " + sockets->address() + ": another process listens there");
  EXPECT_EQ(WhyNot("192.0.2.1:0"),
            "cannot listen on 192.0.2.1:0: it is not one of this machine's addresses");
  EXPECT_NE(WhyNot("no.such.host.invalid:0"), "");
}

TEST(ListeningSocketsTest, ThePortIsFreeAtOnceAfterwards) {
  std::string address;
  {
    const auto sockets = ListeningSockets::Open("127.0.0.1:0");
    address = sockets->address();
    EXPECT_TRUE(IsReached(address));
  }
  EXPECT_FALSE(IsReached(address));
  EXPECT_TRUE(ListeningSockets::Open(address).ok());
}

TEST(ListeningSocketsTest, AUnixSocketIsRemovedAtItsEnd) {
  const Folder folder;
  const std::string path = folder.Path("socket");
  {
    const auto sockets = ListeningSockets::Open("unix:" + path);
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    EXPECT_EQ(sockets->address(), "unix:" + path);
    EXPECT_TRUE(IsSocketInUse("unix:" + path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(ListeningSocketsTest, AUnixSocketInUseIsNotTakenOver) {
  const Folder folder;
  const std::string address = "unix:" + folder.Path("socket");
  const auto sockets = ListeningSockets::Open(address);
  EXPECT_EQ(WhyNot(address), "cannot listen on " + address + ": another process listens there");
  EXPECT_TRUE(IsSocketInUse(address));  // Nor removed.
}

TEST(ListeningSocketsTest, AUnixSocketOfAProcessThatIsGoneIsTakenOver) {
  const Folder folder;
  const std::string path = folder.Path("socket");
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof(name.sun_path));
  std::memcpy(name.sun_path, path.data(), path.size());
  const int left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(left, reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
  close(left);
  ASSERT_TRUE(std::filesystem::exists(path));
  const auto sockets = ListeningSockets::Open("unix:" + path);
  EXPECT_TRUE(sockets.ok()) << sockets.status();
  EXPECT_TRUE(IsSocketInUse("unix:" + path));
}

TEST(ListeningSocketsTest, AFileOfAnotherKindStays) {
  const Folder folder;
  const std::string path = folder.Path("file");
  std::ofstream(path) << "text";
  EXPECT_FALSE(ListeningSockets::Open("unix:" + path).ok());
  EXPECT_EQ(std::filesystem::file_size(path), 4u);
}

}  // namespace
}  // namespace dropoutd
