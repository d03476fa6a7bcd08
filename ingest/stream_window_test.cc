#include "ingest/stream_window.h"

#include <gtest/gtest.h>

namespace bettong::ingest {
namespace {

TEST(StreamWindow, AllowsSoManyBeyondWhatIsAcknowledged) {
  StreamWindow window;
  EXPECT_EQ(window.allowed(), kStreamWindowMessages);
  window.Receive(10, 100);
  window.Receive(20, 50);
  window.EndRead();
  window.Receive(30, 7);
  window.EndRead();
  EXPECT_EQ(window.allowed(), kStreamWindowMessages);
  EXPECT_EQ(window.bytes(), 157u);
  window.Acknowledge(9);
  window.Acknowledge(19);  // in the middle of the first read
  EXPECT_EQ(window.allowed(), kStreamWindowMessages);
  window.Acknowledge(20);
  EXPECT_EQ(window.allowed(), kStreamWindowMessages + 2);
  EXPECT_EQ(window.bytes(), 7u);
  window.Acknowledge(20);
  window.Acknowledge(30);
  EXPECT_EQ(window.allowed(), kStreamWindowMessages + 3);
  EXPECT_EQ(window.bytes(), 0u);
}

TEST(StreamWindow, ReadUnderWayIsNotAcknowledgedYet) {
  StreamWindow window;
  window.Receive(1, 10);
  window.Acknowledge(1);
  EXPECT_EQ(window.allowed(), kStreamWindowMessages);
  window.EndRead();
  window.EndRead();  // one without messages
  window.Acknowledge(1);
  EXPECT_EQ(window.allowed(), kStreamWindowMessages + 1);
  EXPECT_EQ(window.bytes(), 0u);
}

}  // namespace
}  // namespace bettong::ingest
