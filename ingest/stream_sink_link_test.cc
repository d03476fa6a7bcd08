#include "ingest/stream_sink_link.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <deque>
#include <optional>
#include <utility>

#include "ingest/stream_pulse.h"
#include "ingest/stream_testing.h"

namespace bettong::ingest {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

const std::string kNodeId = FromHex("000102030405060708090a0b0c0d0e0f");
const std::string kOffered = "OFFER 1 000102030405060708090a0b0c0d0e0f alerts s3";

// A receiver, byte by byte, with one connection at a time.
class Receiver {
 public:
  Receiver() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(at);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
  }
  ~Receiver() {
    Close();
    ::close(listener_);
  }
  void Listen() { EXPECT_EQ(::listen(listener_, 8), 0); }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  // Takes the next connection, if there is one.
  bool Accept() {
    const int next = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
    if (next < 0) return false;
    Close();
    socket_ = next;
    heard_.clear();
    ended_ = false;
    ++connections;
    return true;
  }
  void Say(std::string_view bytes) {
    EXPECT_EQ(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // All of this connection, " END" behind it at the end.
  std::vector<std::string> Heard() {
    Read(SIZE_MAX);
    std::vector<std::string> lines = DescribeFrames(heard_);
    if (ended_) lines.push_back("END");
    return lines;
  }
  size_t Read(size_t most) {
    char bytes[65536];
    size_t size = 0;
    while (socket_ >= 0 && !ended_ && size < most) {
      const ssize_t got =
          ::recv(socket_, bytes, std::min(sizeof(bytes), most - size), MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) break;
      if (got <= 0) ended_ = true;
      if (got > 0) heard_.append(bytes, static_cast<size_t>(got)), size += size_t(got);
    }
    return size;
  }
  size_t heard_bytes() const { return heard_.size(); }
  void Finish() { ::shutdown(socket_, SHUT_WR); }
  void Close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

  int connections = 0;

 private:
  int listener_;
  int socket_ = -1;
  uint16_t port_ = 0;
  std::string heard_;
  bool ended_ = false;
};

class StreamSinkLinkTest : public ::testing::Test, public StreamSinkOwner {
 protected:
  void Open(std::string address = "") {
    config_.name = "alerts";
    config_.kind = SinkKind::kBettongStream;
    config_.address = address.empty() ? receiver_.address() : address;
    config_.token = "s3";
    link_ = std::make_unique<StreamSinkLink>(
        io_, *this, config_, kNodeId, [this](std::string_view line) { log_.emplace_back(line); },
        StreamSinkLinkOptions{.clock = [this] { return now_ms_; },
                              .tick_every = std::chrono::milliseconds(1)});
    link_->Start();
  }
  // With a receiver that has these positions.
  void Resumed(const std::vector<StreamPosition>& positions = {}) {
    receiver_.Listen();
    Open();
    Accepted();
    receiver_.Say(ResumeBytes(positions));
    ASSERT_TRUE(Until([&] { return !calls_.empty(); }));
  }
  void Accepted() {
    ASSERT_TRUE(Until([&] { return receiver_.Accept(); }));
    ASSERT_TRUE(Until([&] { return receiver_.Heard().size() == 1; }));
    EXPECT_THAT(receiver_.Heard(), ElementsAre(kOffered));
  }
  ~StreamSinkLinkTest() override {
    if (link_ == nullptr) return;
    link_->Stop();
    EXPECT_TRUE(Until([&] { return link_->ended(); }));
    // Nothing is left that would look for it: AddressSanitizer watches.
    link_.reset();
    io_.restart();
    io_.poll();
  }
  bool Until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      io_.restart();
      io_.poll();
    }
    return true;
  }
  bool Hears(size_t lines) {
    return Until([&] { return receiver_.Heard().size() >= lines; });
  }

  // StreamSinkOwner: gives the outputs it has, above what is stored.
  void OnResume(std::span<const StreamPosition> positions) override {
    std::string call = "resume";
    for (const StreamPosition& position : positions) {
      absl::StrAppend(&call, " ", position.partition.value(), ":", position.sequence);
    }
    calls_.push_back(call);
    next_ = 0;
    if (refuse_) link_->Refuse(StreamError::kRefused, "an old copy");
  }
  void OnStored(const StreamPosition& position) override {
    calls_.push_back(absl::StrCat("stored ", position.partition.value(), ":", position.sequence));
  }
  void OnRoom() override {
    ++rooms_;
    while (next_ < outputs_.size() && link_->takes_outputs()) {
      const auto& [position, event] = outputs_[next_++];
      link_->Send({.position = position, .stream = "alerts", .event = event});
    }
  }
  void OnRefused(const StreamRefusal& refusal) override {
    calls_.push_back(absl::StrCat("refused ", std::string(StreamErrorName(refusal.code)), " ",
                                  std::string(refusal.text)));
  }

  boost::asio::io_context io_{1};
  int64_t now_ms_ = 1'000'000;
  Receiver receiver_;
  SinkConfig config_;
  std::vector<std::string> log_;
  std::vector<std::string> calls_;
  std::deque<std::pair<StreamPosition, std::string>> outputs_;
  size_t next_ = 0;
  size_t rooms_ = 0;
  bool refuse_ = false;
  std::unique_ptr<StreamSinkLink> link_;
};

TEST_F(StreamSinkLinkTest, OffersAndSendsWhatIsNotStored) {
  outputs_ = {{At(3, 9), "old"}, {At(3, 11), "a"}, {At(4, 1), "b"}};
  Resumed({At(3, 9)});
  EXPECT_THAT(calls_, ElementsAre("resume 3:9"));
  ASSERT_TRUE(Hears(3));
  receiver_.Say(StoredBytes({At(3, 11), At(4, 1)}) + PingBytes(7));
  ASSERT_TRUE(Hears(4));
  link_->Send({.position = At(4, 2), .stream = "more", .event = ""});
  ASSERT_TRUE(Hears(5));
  EXPECT_THAT(receiver_.Heard(), ElementsAre(kOffered, "OUT 3 11 alerts a", "OUT 4 1 alerts b",
                                             "PONG 7", "OUT 4 2 more "));
  EXPECT_THAT(calls_, ElementsAre("resume 3:9", "stored 3:11", "stored 4:1"));
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(StreamSinkLinkTest, ConnectsAgainAndSendsAgain) {
  outputs_ = {{At(1, 1), "a"}, {At(1, 2), "b"}};
  Resumed();
  ASSERT_TRUE(Hears(3));
  receiver_.Close();
  Accepted();
  EXPECT_FALSE(link_->takes_outputs());
  receiver_.Say(ResumeBytes({At(1, 1)}));
  ASSERT_TRUE(Hears(2));
  EXPECT_THAT(receiver_.Heard(), ElementsAre(kOffered, "OUT 1 2 alerts b"));
  EXPECT_THAT(calls_, ElementsAre("resume", "resume 1:1"));
  ASSERT_THAT(log_, SizeIs(2));
  EXPECT_EQ(log_[0], absl::StrCat("sink alerts, ", config_.address,
                                  ": closed by the receiver; trying again"));
  EXPECT_THAT(log_[1], HasSubstr(": connected"));
}

TEST_F(StreamSinkLinkTest, ReceiverMayComeLater) {
  Open();  // nobody listens
  ASSERT_TRUE(Until([&] { return !log_.empty(); }));
  receiver_.Listen();
  Accepted();
  receiver_.Say(ResumeBytes({}));
  ASSERT_TRUE(Until([&] { return link_->takes_outputs(); }));
  EXPECT_THAT(log_,
              ElementsAre(HasSubstr("Connection refused; trying again"), HasSubstr(": connected")));
}

TEST_F(StreamSinkLinkTest, LocalhostIsAnAddress) {
  receiver_.Listen();
  Open("localhost" + receiver_.address().substr(receiver_.address().rfind(':')));
  Accepted();
}

TEST_F(StreamSinkLinkTest, GoingIsWorthAnotherAttempt) {
  Resumed();
  receiver_.Say(ErrorBytes(StreamError::kGoing, "too many\nconnections"));
  ASSERT_TRUE(Until([&] { return receiver_.Accept(); }));
  EXPECT_THAT(calls_, ElementsAre("resume"));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("the receiver says going: too many\\nconnections; "
                                          "trying again")));
}

TEST_F(StreamSinkLinkTest, ReceiversRefusalIsTheEnd) {
  receiver_.Listen();
  Open();
  Accepted();
  receiver_.Say(ErrorBytes(StreamError::kDenied, "wrong token"));
  ASSERT_TRUE(Until([&] { return link_->ended(); }));
  EXPECT_THAT(calls_, ElementsAre("refused denied wrong token"));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("the receiver says denied: wrong token")));
  EXPECT_FALSE(receiver_.Accept());
  link_->Start();  // the operator has mended it
  Accepted();
}

TEST_F(StreamSinkLinkTest, OwnerRefusesAReceiverThatKnowsTooMuch) {
  refuse_ = true;
  receiver_.Listen();
  Open();
  Accepted();
  receiver_.Say(ResumeBytes({At(1, 99)}));
  ASSERT_TRUE(Hears(3));
  EXPECT_THAT(receiver_.Heard(), ElementsAre(kOffered, "ERROR refused an old copy", "END"));
  EXPECT_FALSE(link_->ended());  // until the receiver has closed, or a second is over
  receiver_.Finish();
  ASSERT_TRUE(Until([&] { return link_->ended(); }));
  EXPECT_EQ(rooms_, 0u);
}

TEST_F(StreamSinkLinkTest, ReceiverThatBreaksTheRulesIsRefused) {
  Resumed();
  receiver_.Say(StoredBytes({At(1, 1)}));
  receiver_.Finish();  // it is told all the same
  ASSERT_TRUE(Until([&] { return link_->ended(); }));
  EXPECT_THAT(receiver_.Heard(), ElementsAre(kOffered, StartsWith("ERROR malformed"), "END"));
  EXPECT_THAT(calls_, ElementsAre("resume", StartsWith("refused malformed STORED says 1")));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("refused, malformed: STORED says 1")));
}

TEST_F(StreamSinkLinkTest, RefusalBehindMuchOutputIsStillSaid) {
  for (uint64_t i = 1; i <= 100; ++i) outputs_.push_back({At(1, i), std::string(256u << 10, 'x')});
  Resumed();
  for (int i = 0; i < 200; ++i) io_.restart(), io_.poll();
  receiver_.Say(StoredBytes({At(2, 1)}));
  receiver_.Finish();
  for (int i = 0; i < 200; ++i) io_.restart(), io_.poll();
  EXPECT_FALSE(link_->ended());
  ASSERT_TRUE(Until([&] { return receiver_.Read(1u << 20), link_->ended(); }));
  const std::vector<std::string> heard = receiver_.Heard();
  ASSERT_GE(heard.size(), 2u);
  EXPECT_THAT(heard[heard.size() - 2], StartsWith("ERROR malformed STORED says 1"));
  EXPECT_EQ(heard.back(), "END");
}

TEST_F(StreamSinkLinkTest, PartingEndsAfterASecond) {
  Resumed();
  receiver_.Say(ResumeBytes({}));
  ASSERT_TRUE(Hears(3));
  EXPECT_FALSE(link_->ended());
  now_ms_ += kStreamPartingMs;
  ASSERT_TRUE(Until([&] { return link_->ended(); }));
}

TEST_F(StreamSinkLinkTest, SilentReceiverIsGivenUp) {
  Resumed();
  now_ms_ += kStreamAskAfterMs;
  ASSERT_TRUE(Hears(2));
  EXPECT_THAT(receiver_.Heard(), ElementsAre(kOffered, "PING 1"));
  now_ms_ += kStreamAnswerWithinMs;
  ASSERT_TRUE(Hears(3));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("no sign of life; trying again")));
  Accepted();
  now_ms_ += kStreamGreetingWithinMs;  // nor does it say RESUME
  ASSERT_TRUE(Until([&] { return receiver_.Accept(); }));
}

TEST_F(StreamSinkLinkTest, SlowReceiverBoundsWhatIsTaken) {
  const std::string event(256u << 10, 'x');
  for (uint64_t i = 1; i <= 400; ++i) outputs_.push_back({At(1, i), event});
  Resumed();
  size_t taken = 0;
  for (int quiet = 0; quiet < 200;) {
    io_.restart();
    io_.poll();
    quiet = next_ > taken ? 0 : quiet + 1;
    taken = next_;
  }
  EXPECT_LT(taken, 100u);  // the kernel's buffers, and some megabytes
  EXPECT_FALSE(link_->takes_outputs());
  // It reads nothing, and says from time to time that it lives.
  for (int i = 0; i < 10; ++i) {
    now_ms_ += kStreamAskAfterMs;
    receiver_.Say(StoredBytes({}));
    for (int turn = 0; turn < 10; ++turn) io_.restart(), io_.poll();
  }
  EXPECT_THAT(log_, IsEmpty());
  ASSERT_TRUE(Until([&] { return receiver_.Read(1u << 20), next_ == outputs_.size(); }));
  const size_t all = kOffered.size() + 400 * event.size();
  ASSERT_TRUE(Until([&] { return receiver_.Read(SIZE_MAX), receiver_.heard_bytes() > all; }));
  size_t outputs = 0;
  for (const std::string& line : receiver_.Heard()) outputs += line.starts_with("OUT");
  EXPECT_EQ(outputs, 400u);
}

TEST_F(StreamSinkLinkTest, SlowLineIsASignOfLife) {
  const std::string event(1u << 20, 'x');
  for (uint64_t i = 1; i <= 30; ++i) outputs_.push_back({At(1, i), event});
  Resumed();
  for (int i = 0; i < 200; ++i) io_.restart(), io_.poll();
  // It says nothing at all, but takes a part now and then.
  for (int i = 0; i < 12; ++i) {
    now_ms_ += kStreamAskAfterMs - 1;
    size_t read = 0;
    const size_t before = next_;
    ASSERT_TRUE(Until([&] {
      read += receiver_.Read(1u << 20);
      return next_ > before || read > (8u << 20) || next_ == outputs_.size();
    }));
  }
  EXPECT_THAT(log_, IsEmpty());
  EXPECT_EQ(receiver_.connections, 1);
}

TEST_F(StreamSinkLinkTest, StopsAtAnyTime) {
  Open();
  link_->Stop();  // before it has begun
  ASSERT_TRUE(Until([&] { return link_->ended(); }));
  link_->Start();
  ASSERT_TRUE(Until([&] { return !log_.empty(); }));
  link_->Stop();  // while it pauses
  ASSERT_TRUE(Until([&] { return link_->ended(); }));
  receiver_.Listen();
  link_->Start();
  Accepted();
  link_->Stop();  // while it converses
  ASSERT_TRUE(Until([&] { return link_->ended(); }));
  EXPECT_THAT(receiver_.Heard(), ElementsAre(kOffered, "END"));
}

TEST(StreamSinkLink, AddressesThatNeedNoNameService) {
  const auto check = [](const char* address) {
    return StreamSinkLink::Check({.name = "alerts", .address = address});
  };
  for (const char* good : {"127.0.0.1:9100", "[::1]:9100", "localhost:9100"}) {
    EXPECT_TRUE(check(good).ok()) << good;
  }
  EXPECT_FALSE(check("nonsense").ok());
  EXPECT_EQ(check("example.org:9100").message(),
            "example.org is neither an IP address nor \"localhost\"");
  EXPECT_TRUE(
      StreamSinkLink::Check({.name = std::string(kStreamTextBytesMax, 'x'), .address = "[::1]:1"})
          .ok());
  EXPECT_FALSE(StreamSinkLink::Check(
                   {.name = std::string(kStreamTextBytesMax + 1, 'x'), .address = "[::1]:1"})
                   .ok());
}

TEST(Backoff, DoublesUpToItsLimitAndBeginsAnew) {
  using std::chrono::milliseconds;
  Backoff backoff(milliseconds(50), milliseconds(2000));
  for (int expected : {50, 100, 200, 400, 800, 1600, 2000, 2000}) {
    EXPECT_EQ(backoff.Next(), milliseconds(expected));
  }
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), milliseconds(50));
}

}  // namespace
}  // namespace bettong::ingest
