#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace bettong {
namespace {

// RFC 3720, B.4.
TEST(Crc32c, GivesTheValuesOfRfc3720) {
  std::string rising, falling;
  for (int i = 0; i < 32; ++i) {
    rising.push_back(static_cast<char>(i));
    falling.push_back(static_cast<char>(31 - i));
  }
  std::string scsi_read(48, '\0');
  scsi_read[0] = 0x01;
  scsi_read[1] = static_cast<char>(0xc0);
  scsi_read[16] = 0x14;
  scsi_read[22] = 0x04;
  scsi_read[27] = 0x14;
  scsi_read[31] = 0x18;
  scsi_read[32] = 0x28;
  scsi_read[40] = 0x02;
  for (auto* crc : {&Crc32c, &Crc32cByTable}) {
    EXPECT_EQ(crc(std::string(32, '\0'), 0), 0x8a9136aau);
    EXPECT_EQ(crc(std::string(32, '\xff'), 0), 0x62a8ab43u);
    EXPECT_EQ(crc(rising, 0), 0x46dd794eu);
    EXPECT_EQ(crc(falling, 0), 0x113fdb5cu);
    EXPECT_EQ(crc(scsi_read, 0), 0xd9963a56u);
    EXPECT_EQ(crc("123456789", 0), 0xe3069283u);
    EXPECT_EQ(crc("", 0), 0u);
  }
}

TEST(Crc32c, ContinuesOverPartsAsOverTheWhole) {
  std::mt19937_64 random(1);
  std::string bytes(300, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string_view whole = std::string_view(bytes).substr(size % 7, size);
    const size_t cut = size == 0 ? 0 : random() % size;
    EXPECT_EQ(Crc32c(whole.substr(cut), Crc32c(whole.substr(0, cut))), Crc32c(whole));
    EXPECT_EQ(Crc32cByTable(whole), Crc32c(whole));
  }
}

}  // namespace
}  // namespace bettong
