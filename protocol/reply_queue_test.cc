#include "protocol/reply_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace bettong::protocol {
namespace {

grid::Ticket TicketOf(uint64_t sequence, uint16_t part = 0) {
  grid::Ticket ticket;
  ticket.sequence = sequence;
  ticket.part = part;
  return ticket;
}

class ReplyQueueTest : public testing::Test {
 protected:
  uint64_t Issue() { return queue_.Issue(); }
  Gather* Put(uint64_t sequence, std::string_view bytes, uint16_t part = 0) {
    return queue_.Put(TicketOf(sequence, part), bytes);
  }
  Gather& Expect(uint64_t sequence, size_t parts) {
    auto gather = std::make_unique<Gather>();
    gather->parts.resize(parts);
    return queue_.Expect(sequence, std::move(gather));
  }

  std::string out_;
  ReplyQueue queue_{out_};
};

TEST_F(ReplyQueueTest, RepliesInOrderGoStraightThrough) {
  const uint64_t a = Issue(), b = Issue();
  Put(a, "a");
  EXPECT_EQ(out_, "a");
  Put(b, "b");
  EXPECT_EQ(out_, "ab");
  EXPECT_TRUE(queue_.idle());
}

TEST_F(ReplyQueueTest, EarlyRepliesWaitForTheirTurn) {
  const uint64_t a = Issue(), b = Issue(), c = Issue(), d = Issue();
  Put(c, "c");
  Put(b, "b");
  EXPECT_EQ(out_, "");
  EXPECT_EQ(queue_.outstanding(), 4u);
  Put(a, "a");
  EXPECT_EQ(out_, "abc");
  Put(d, "d");
  EXPECT_EQ(out_, "abcd");
}

TEST_F(ReplyQueueTest, EveryOrderOfFiveGivesTheSameOutput) {
  std::vector<uint64_t> order = {1, 2, 3, 4, 5};
  do {
    std::string out;
    ReplyQueue queue(out);
    for (int i = 0; i < 5; ++i) queue.Issue();
    for (uint64_t sequence : order) queue.Put(TicketOf(sequence), std::to_string(sequence));
    ASSERT_EQ(out, "12345");
    ASSERT_TRUE(queue.idle());
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(ReplyQueueTest, PartsAreHandedBackWhenTheLastOneIsIn) {
  const uint64_t a = Issue(), b = Issue();
  Expect(a, 2);
  EXPECT_EQ(Put(a, "x", 1), nullptr);
  EXPECT_EQ(Put(b, "b"), nullptr);
  Gather* gather = Put(a, "y", 0);
  ASSERT_NE(gather, nullptr);
  EXPECT_EQ(gather->parts[0] + gather->parts[1], "yx");
  EXPECT_EQ(out_, "");
  queue_.Finish(a, "merged");
  EXPECT_EQ(out_, "mergedb");
}

TEST_F(ReplyQueueTest, FirstPartThatIsNotNullCompletesTheCommand) {
  const uint64_t a = Issue();
  Expect(a, 3).first_wins = true;
  EXPECT_EQ(Put(a, "*-1\r\n", 0), nullptr);
  EXPECT_NE(Put(a, "*1\r\n:1\r\n", 2), nullptr);
  queue_.Finish(a, "done");
  EXPECT_EQ(Put(a, "*1\r\n:2\r\n", 1), nullptr) << "late parts are ignored";
  EXPECT_EQ(out_, "done");
  const uint64_t b = Issue();
  Put(b, "b");
  EXPECT_EQ(out_, "doneb");
}

TEST_F(ReplyQueueTest, SumsTakeAnyNumberOfParts) {
  const uint64_t a = Issue();
  Gather& gather = Expect(a, 1);
  gather.sums = true;
  gather.parts_missing = 100'000;
  for (int i = 0; i < 99'999; ++i) ASSERT_EQ(Put(a, ":1\r\n"), nullptr);
  Gather* complete = Put(a, ":2\r\n");
  ASSERT_NE(complete, nullptr);
  std::string merged;
  ReplyWriter writer(merged, false);
  MergeSum(*complete, writer);
  EXPECT_EQ(merged, ":100001\r\n");
}

TEST_F(ReplyQueueTest, DiscardedRepliesLeaveNoTrace) {
  const uint64_t a = Issue();
  queue_.Discard(a);
  const uint64_t b = Issue(), c = Issue();
  queue_.Discard(c);
  Put(b, "b");
  Put(a, "a");
  Put(c, "c");
  EXPECT_EQ(out_, "b");
  EXPECT_TRUE(queue_.idle());
}

TEST(Gather, ElementsGoBackToTheOrderOfTheKeys) {
  Gather gather;
  gather.parts = {"*2\r\n$1\r\na\r\n$-1\r\n", "*1\r\n*2\r\n:1\r\n$2\r\nxx\r\n"};
  gather.part_of_key = {0, 1, 0};
  std::string out;
  ReplyWriter reply(out, false);
  MergeByKey(gather, reply);
  EXPECT_EQ(out, "*3\r\n$1\r\na\r\n*2\r\n:1\r\n$2\r\nxx\r\n$-1\r\n");
}

TEST(Gather, ErrorAmongThePartsIsFound) {
  Gather gather;
  gather.parts = {":1\r\n", "-ERR no\r\n"};
  EXPECT_EQ(gather.Error(), "-ERR no\r\n");
}

}  // namespace
}  // namespace bettong::protocol
