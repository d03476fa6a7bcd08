#include "ingest/admission_notice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace bettong::ingest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AdmissionNoticeTest : public ::testing::Test {
 protected:
  // One of the inputs, which are all held back by the same.
  void Held(bool first, Admission why = Admission::kOverMemory) {
    notice_.Change(first ? Admission::kOpen : why_, why, now_);
    why_ = why;
  }
  void Released() { notice_.Change(why_, Admission::kOpen, now_); }
  std::vector<std::string> TakeLog() { return std::exchange(log_, {}); }

  std::vector<std::string> log_;
  AdmissionNotice notice_{"source test",
                          [this](std::string_view line) { log_.emplace_back(line); }};
  AdmissionNotice::Clock::time_point now_{};
  Admission why_ = Admission::kOpen;
};

TEST_F(AdmissionNoticeTest, SaysOnceThatItBeginsAndOnceThatItEnds) {
  now_ += seconds(100);
  EXPECT_EQ(notice_.admission(), Admission::kOpen);
  Held(true);
  Held(true);  // a second connection
  for (int i = 0; i < 5000; ++i) now_ += milliseconds(5), Held(false);
  EXPECT_THAT(TakeLog(),
              ElementsAre(HasSubstr("source test: not read while the node is over max")));
  EXPECT_EQ(notice_.admission(), Admission::kOverMemory);
  Released();
  EXPECT_EQ(notice_.admission(), Admission::kOverMemory);
  EXPECT_THAT(log_, IsEmpty());
  Released();
  EXPECT_EQ(notice_.admission(), Admission::kOpen);
  EXPECT_THAT(TakeLog(), ElementsAre("source test: no longer held back, after 25 s"));
}

TEST_F(AdmissionNoticeTest, SaysWhichLimitItIs) {
  now_ += seconds(100);
  Held(true, Admission::kOutboxFull);
  EXPECT_THAT(TakeLog(), ElementsAre("source test: not read while a full outbox waits for a sink"));
  EXPECT_EQ(DescribeAdmission(notice_.admission()), "closed (outputs wait for a sink)");
  Released();
  now_ += seconds(100);
  Held(true, Admission::kDiskFull);
  EXPECT_THAT(TakeLog(), Contains("source test: not read while the log's disk is full"));
  EXPECT_EQ(DescribeAdmission(notice_.admission()), "closed (the log's disk is full)");
  Released();
  now_ += seconds(100);
  Held(true, Admission::kLogBehind);
  EXPECT_THAT(TakeLog(), Contains("source test: not read while too much waits for the log's disk"));
  EXPECT_EQ(DescribeAdmission(notice_.admission()), "closed (the log is behind)");
  Released();
}

TEST_F(AdmissionNoticeTest, OnAndOffIsSaidNowAndThenAndStayingAlways) {
  now_ += seconds(100);
  Held(true);
  Released();
  EXPECT_EQ(TakeLog().size(), 2u);
  for (int i = 0; i < 1000; ++i) {
    Held(true);
    now_ += milliseconds(5);
    Held(false);
    Released();
  }
  EXPECT_THAT(TakeLog(), IsEmpty());  // five seconds
  Held(true);
  now_ += kAdmissionNoticeEvery - seconds(5) - milliseconds(1);
  Held(false);
  EXPECT_THAT(TakeLog(), IsEmpty());
  now_ += milliseconds(1);
  Held(false);
  EXPECT_THAT(TakeLog(), ElementsAre(HasSubstr("not read")));
  Released();
  EXPECT_THAT(TakeLog(), ElementsAre(HasSubstr("no longer held back, after 5 s")));
}

TEST_F(AdmissionNoticeTest, AFullWindowIsCountedAndNotTold) {
  now_ += seconds(100);
  Held(true, Admission::kWindowFull);
  EXPECT_EQ(notice_.admission(), Admission::kWindowFull);
  EXPECT_EQ(DescribeAdmission(notice_.admission()), "closed (its events wait for their turns)");
  now_ += seconds(3);
  Released();
  EXPECT_THAT(TakeLog(), IsEmpty());
  EXPECT_EQ(notice_.pauses(), 1u);
  EXPECT_EQ(notice_.Paused(Admission::kWindowFull, now_), seconds(3));
}

TEST_F(AdmissionNoticeTest, TimeGoesToTheReasonThereWas) {
  now_ += seconds(100);
  Held(true, Admission::kWindowFull);
  now_ += seconds(2);
  Held(false, Admission::kOverMemory);
  now_ += seconds(4);
  EXPECT_EQ(notice_.Paused(Admission::kWindowFull, now_), seconds(2));
  EXPECT_EQ(notice_.Paused(Admission::kOverMemory, now_), seconds(4));
  EXPECT_EQ(notice_.PausedInAll(now_), seconds(6));
  Released();
  EXPECT_THAT(TakeLog(),
              ElementsAre(HasSubstr("not read"), "source test: no longer held back, after 4 s"));
  now_ += seconds(50);
  EXPECT_EQ(notice_.PausedInAll(now_), seconds(6));
}

TEST_F(AdmissionNoticeTest, TheGravestReasonIsShown) {
  now_ += seconds(100);
  notice_.Change(Admission::kOpen, Admission::kOverMemory, now_);
  notice_.Change(Admission::kOpen, Admission::kWindowFull, now_);
  EXPECT_EQ(notice_.admission(), Admission::kOverMemory);
  now_ += seconds(20);
  // The other one is held back as ever, which is no news.
  notice_.Change(Admission::kOverMemory, Admission::kOpen, now_);
  EXPECT_EQ(notice_.admission(), Admission::kWindowFull);
  EXPECT_THAT(TakeLog(),
              ElementsAre(HasSubstr("not read"), "source test: no longer held back, after 20 s"));
  notice_.Change(Admission::kWindowFull, Admission::kOpen, now_);
  EXPECT_EQ(notice_.admission(), Admission::kOpen);
  EXPECT_THAT(TakeLog(), IsEmpty());
}

TEST_F(AdmissionNoticeTest, TwoInputsArePausedTwiceForTheTimeOfBoth) {
  now_ += seconds(100);
  Held(true, Admission::kWindowFull);
  now_ += seconds(2);
  Held(true, Admission::kWindowFull);
  now_ += seconds(2);
  Released();
  now_ += seconds(2);
  Released();
  EXPECT_EQ(notice_.pauses(), 2u);
  EXPECT_EQ(notice_.PausedInAll(now_), seconds(6));
}

TEST_F(AdmissionNoticeTest, AnInputThatGoesIsNoLongerHeldBack) {
  {
    AdmissionHold hold(notice_);
    hold.Set(Admission::kOpen);
    hold.Set(Admission::kOverMemory);
    hold.Set(Admission::kOverMemory);
    EXPECT_EQ(notice_.admission(), Admission::kOverMemory);
  }
  EXPECT_EQ(notice_.admission(), Admission::kOpen);
  EXPECT_EQ(log_.size(), 2u);
}

}  // namespace
}  // namespace bettong::ingest
