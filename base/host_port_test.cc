#include "base/host_port.h"

#include <gtest/gtest.h>

namespace bettong {
namespace {

TEST(HostPort, NamesAndAddresses) {
  EXPECT_EQ(ParseHostPort("localhost:9000")->host, "localhost");
  EXPECT_EQ(ParseHostPort("localhost:9000")->port, 9000);
  EXPECT_EQ(ParseHostPort("[::1]:0")->host, "::1");
  EXPECT_EQ(ParseHostPort("[::1]:0")->port, 0);
  EXPECT_EQ(ParseHostPort("10.0.0.1:65535")->port, 65535);
  for (const char* bad : {"", ":", "host", ":1", "host:", "host:x", "host:65536", "host:-1",
                          "host:1 ", "::1:80", "[]:80"}) {
    EXPECT_FALSE(ParseHostPort(bad).ok()) << bad;
  }
}

TEST(HostPort, FormatIsWhatParseReads) {
  EXPECT_EQ(FormatHostPort("::1", 9000), "[::1]:9000");
  EXPECT_EQ(FormatHostPort("127.0.0.1", 0), "127.0.0.1:0");
}

TEST(HostPort, Loopback) {
  for (const char* host : {"localhost", "127.0.0.1", "127.9.9.9", "::1"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "example.org", "128.0.0.1", ""}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

}  // namespace
}  // namespace bettong
