#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "base/file_system.h"

namespace bettong {
namespace {

class PosixFileSystemTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/bettong-files-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::unique_ptr<File> Create(const std::string& path) {
    auto file = files_->Open(path, OpenMode::kCreate);
    EXPECT_TRUE(file.ok()) << file.status().ToString();
    return file.ok() ? *std::move(file) : nullptr;
  }

  std::unique_ptr<FileSystem> files_ = MakePosixFileSystem();
  std::string root_;
};

TEST_F(PosixFileSystemTest, ReadsWhatWasWrittenInManyParts) {
  const auto file = Create(root_ + "/a");
  std::vector<std::string> texts;
  std::string whole;
  for (int i = 0; i < 3000; ++i) texts.push_back(std::string(static_cast<size_t>(i % 7), 'a'));
  std::vector<std::string_view> parts(texts.begin(), texts.end());
  for (const std::string& text : texts) whole += text;
  ASSERT_TRUE(file->WriteAt(10, parts).ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(*file->Size(), 10 + whole.size());
  std::string read(whole.size(), '\0');
  ASSERT_TRUE(file->ReadAt(10, read).ok());
  EXPECT_EQ(read, whole);
  ASSERT_TRUE(file->Truncate(12).ok());
  EXPECT_EQ(*file->Size(), 12u);
  EXPECT_TRUE(absl::IsOutOfRange(file->ReadAt(10, read)));
  EXPECT_TRUE(file->WriteAt(0, {}).ok());
}

TEST_F(PosixFileSystemTest, ErrorsSayWhatWasTriedOnWhat) {
  const auto missing = files_->Open(root_ + "/none", OpenMode::kRead);
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_EQ(missing.status().message(), "open " + root_ + "/none: No such file or directory");
  Create(root_ + "/a");
  const auto again = files_->Open(root_ + "/a", OpenMode::kCreate);
  EXPECT_TRUE(absl::IsAlreadyExists(again.status()));
  const auto read_only = files_->Open(root_ + "/a", OpenMode::kRead);
  const std::string_view parts[] = {"x"};
  EXPECT_EQ((*read_only)->WriteAt(0, parts).message(),
            "write " + root_ + "/a: Bad file descriptor");
  EXPECT_TRUE(absl::IsNotFound(files_->List(root_ + "/none").status()));
  EXPECT_TRUE(absl::IsNotFound(files_->Rename(root_ + "/none", root_ + "/b")));
  EXPECT_TRUE(absl::IsNotFound(files_->Remove(root_ + "/none")));
  EXPECT_FALSE(files_->MakeDirectory(root_ + "/a").ok());
  EXPECT_FALSE(files_->MakeDirectory(root_ + "/a/b").ok());

  const auto full = files_->Open("/dev/full", OpenMode::kReadWrite);
  ASSERT_TRUE(full.ok());
  EXPECT_TRUE(absl::IsResourceExhausted((*full)->WriteAt(0, parts)));
}

TEST_F(PosixFileSystemTest, DirectoriesAreMadeWithTheirParentsListedAndRemoved) {
  ASSERT_TRUE(files_->MakeDirectory(root_ + "/x/y/z").ok());
  ASSERT_TRUE(files_->MakeDirectory(root_ + "/x/y/z").ok());
  for (const char* name : {"c", "a", "b"}) Create(root_ + "/x/" + name);
  EXPECT_EQ(*files_->List(root_ + "/x"), (std::vector<std::string>{"a", "b", "c", "y"}));
  ASSERT_TRUE(files_->Rename(root_ + "/x/a", root_ + "/x/b").ok());
  ASSERT_TRUE(files_->SyncDirectory(root_ + "/x").ok());
  EXPECT_FALSE(files_->Remove(root_ + "/x/y").ok());
  EXPECT_TRUE(files_->Remove(root_ + "/x/y/z").ok());
  EXPECT_TRUE(files_->Remove(root_ + "/x/y").ok());
  EXPECT_EQ(*files_->List(root_ + "/x"), (std::vector<std::string>{"b", "c"}));
}

TEST_F(PosixFileSystemTest, LockIsHeldUntilItIsDestroyedAndNamesItsHolder) {
  const std::string path = root_ + "/LOCK";
  auto lock = files_->Lock(path);
  ASSERT_TRUE(lock.ok());
  const auto second = files_->Lock(path);
  EXPECT_TRUE(absl::IsAlreadyExists(second.status()));
  EXPECT_EQ(second.status().message(),
            "lock " + path + ": held by process " + std::to_string(::getpid()));
  lock->reset();
  EXPECT_TRUE(files_->Lock(path).ok());
}

TEST(ParentDirectory, IsWhatIsBeforeTheLastSlash) {
  EXPECT_EQ(ParentDirectory("a/b/c"), "a/b");
  EXPECT_EQ(ParentDirectory("a/b/"), "a");
  EXPECT_EQ(ParentDirectory("c"), ".");
  EXPECT_EQ(ParentDirectory("/c"), "/");
  EXPECT_EQ(ParentDirectory("/"), "/");
}

// --- past the page cache

// Writes `bytes` at `offset` in parts of up to `part_max`.
absl::Status Write(File& file, uint64_t offset, std::string_view bytes, size_t part_max) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at < bytes.size(); at += part_max)
    parts.push_back(bytes.substr(at, part_max));
  return file.WriteAt(offset, parts);
}

TEST_F(PosixFileSystemTest, ADirectFileHoldsWhatWasWrittenFromFrontToBack) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    const std::string path = root_ + "/" + std::to_string(seed);
    auto file = files_->OpenDirect(path, OpenMode::kCreate);
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    std::string expected;
    for (int i = 0; i < 60; ++i) {
      const size_t most = random() % 8 == 0 ? 700'000 : random() % 3 == 0 ? 20'000 : 300;
      std::string bytes(random() % most, static_cast<char>('a' + i % 26));
      ASSERT_TRUE(Write(**file, expected.size(), bytes, 1 + random() % 9000).ok());
      expected += bytes;
      if (random() % 10 == 0) {
        // Another process goes on in the middle of a block.
        file->reset();
        file = files_->OpenDirect(path, OpenMode::kReadWrite);
        ASSERT_TRUE(file.ok());
      }
      if (random() % 5 == 0 && !expected.empty()) {
        std::string read(random() % expected.size() + 1, '?');
        const uint64_t at = expected.size() - read.size();
        ASSERT_TRUE((*file)->ReadAt(at, read).ok());
        ASSERT_EQ(read, expected.substr(at));
      }
    }
    ASSERT_TRUE((*file)->Sync().ok());
    const auto plain = files_->Open(path, OpenMode::kRead);
    ASSERT_TRUE(plain.ok());
    // Whole blocks, with zeros behind.
    expected.resize((expected.size() + kBlockBytes - 1) / kBlockBytes * kBlockBytes);
    ASSERT_EQ(*(*plain)->Size(), expected.size());
    std::string all(expected.size(), '?');
    ASSERT_TRUE((*plain)->ReadAt(0, all).ok());
    ASSERT_EQ(all, expected) << "seed " << seed;
  }
}

TEST_F(PosixFileSystemTest, ADirectFileTakesBackItsLastWrite) {
  auto file = files_->OpenDirect(root_ + "/a", OpenMode::kCreate);
  ASSERT_TRUE(file.ok());
  const std::string kept(5000, 'k'), gone(9000, 'g'), zeros(40, '\0'), next(100, 'n');
  ASSERT_TRUE(Write(**file, 0, kept, 512).ok());
  ASSERT_TRUE(Write(**file, 5000, gone, 512).ok());
  ASSERT_TRUE(Write(**file, 5000, zeros, 512).ok());
  ASSERT_TRUE(Write(**file, 5000, next, 512).ok());
  std::string read(5200, '?');
  ASSERT_TRUE((*file)->ReadAt(0, read).ok());
  EXPECT_EQ(read, kept + next + std::string(100, '\0'));
}

TEST_F(PosixFileSystemTest, ADirectFileSaysWhatIsMissing) {
  EXPECT_TRUE(absl::IsNotFound(files_->OpenDirect(root_ + "/none", OpenMode::kReadWrite).status()));
  auto file = files_->OpenDirect(root_ + "/a", OpenMode::kCreate);
  ASSERT_TRUE(file.ok());
  std::string read(10, '?');
  EXPECT_TRUE(absl::IsOutOfRange((*file)->ReadAt(0, read)));
  EXPECT_TRUE(absl::IsAlreadyExists(files_->OpenDirect(root_ + "/a", OpenMode::kCreate).status()));
}

}  // namespace
}  // namespace bettong
