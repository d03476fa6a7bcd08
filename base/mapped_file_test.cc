#include "base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace bettong {
namespace {

class MappedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/bettong-mapped-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    path_ = root_ + "/file";
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string root_, path_;
};

TEST_F(MappedFileTest, KeepsWhatAKilledProcessHasStored) {
  {
    const auto file = MappedFile::Open(path_, 4096);
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    EXPECT_EQ((*file)->bytes().size(), 4096u);
    EXPECT_EQ((*file)->bytes()[100], 0);
  }
  const pid_t child = ::fork();
  if (child == 0) {
    (*MappedFile::Open(path_, 4096))->bytes()[100] = 'x';
    const auto file = MappedFile::Open(path_, 4096);
    (*file)->bytes()[101] = 'y';
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  const auto file = MappedFile::Open(path_, 4096);
  EXPECT_EQ((*file)->bytes()[100], 'x');
  EXPECT_EQ((*file)->bytes()[101], 'y');
}

TEST_F(MappedFileTest, IsAsLongAsAskedFor) {
  std::ofstream(path_) << std::string(10, 'a');
  auto file = MappedFile::Open(path_, 64);
  EXPECT_EQ(std::string((*file)->bytes().begin(), (*file)->bytes().begin() + 11),
            std::string(10, 'a') + '\0');
  file = MappedFile::Open(path_, 4);
  EXPECT_EQ(std::filesystem::file_size(path_), 4u);
}

TEST_F(MappedFileTest, ErrorsSayWhatWasTriedOnWhat) {
  EXPECT_EQ(MappedFile::Open(root_ + "/none/file", 64).status().message(),
            "open " + root_ + "/none/file: No such file or directory");
  EXPECT_FALSE(MappedFile::Open(root_, 64).ok());
}

}  // namespace
}  // namespace bettong
