// Which interpreter is chosen; that it then runs is tested in compute/python/.
#include "compute/python_host_loader.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace bettong::compute {
namespace {

namespace fs = std::filesystem;

class PythonChoiceTest : public testing::Test {
 protected:
  PythonChoiceTest() {
    std::string directory = (fs::temp_directory_path() / "bettong-venv-XXXXXX").string();
    venv_ = mkdtemp(directory.data());
    fs::create_directories(venv_ / "bin");
    unsetenv("VIRTUAL_ENV");
  }
  ~PythonChoiceTest() override { fs::remove_all(venv_); }

  void MakeVenv(const std::string& config) {
    std::ofstream(venv_ / "pyvenv.cfg") << config;
    std::ofstream(venv_ / "bin/python") << "#!/bin/sh\n";
    fs::permissions(venv_ / "bin/python", fs::perms::owner_all);
  }
  std::string python() const { return (venv_ / "bin/python").string(); }

  fs::path venv_;
};

TEST_F(PythonChoiceTest, TakesTheOptionBeforeTheEnvironment) {
  MakeVenv("home = /usr/bin\nversion = 3.11.2\n");
  setenv("VIRTUAL_ENV", "/no/such/environment", 1);
  absl::StatusOr<PythonChoice> choice = ChoosePython({.executable = python()});
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->executable, python());
  EXPECT_EQ(choice->chosen_by, "--python");
  // A directory is taken for an environment.
  choice = ChoosePython({.executable = venv_.string()});
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->executable, python());
}

TEST_F(PythonChoiceTest, LooksForABareNameOnThePath) {
  MakeVenv("home = /usr/bin\nversion = 3.11.2\n");
  fs::create_directories(venv_ / "empty" / "python");  // a directory is no program
  const std::string path = getenv("PATH");
  setenv("PATH",
         ("/no/such:" + (venv_ / "empty").string() + ":" + (venv_ / "bin").string()).c_str(), 1);
  absl::StatusOr<PythonChoice> choice = ChoosePython({.executable = "python"});
  absl::StatusOr<PythonChoice> missing = ChoosePython({.executable = "python9"});
  setenv("PATH", path.c_str(), 1);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->executable, python());
  EXPECT_EQ(missing.status().message(), "python: no executable 'python9' on PATH (--python)");
}

TEST_F(PythonChoiceTest, DoctorTellsAnUnusableOneAsAnError) {
  const PythonInfo info = DescribePython({.executable = "/no/such/python"});
  ASSERT_EQ(info.size(), 1u);
  EXPECT_EQ(info[0].first, "error");
  EXPECT_EQ(info[0].second, "python: no executable /no/such/python (--python)");
}

TEST_F(PythonChoiceTest, TakesTheActiveEnvironment) {
  MakeVenv("home = /usr/bin\nversion_info = 3.11.9.final.0\n");
  setenv("VIRTUAL_ENV", venv_.c_str(), 1);
  absl::StatusOr<PythonChoice> choice = ChoosePython({});
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->executable, python());
  EXPECT_EQ(choice->chosen_by, "VIRTUAL_ENV");
}

TEST_F(PythonChoiceTest, TakesTheSystemsPythonOtherwise) {
  absl::StatusOr<PythonChoice> choice = ChoosePython({});
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->executable, "/usr/bin/python3.11");
}

TEST_F(PythonChoiceTest, RefusesAnEnvironmentOfAnotherVersion) {
  MakeVenv("home = /usr/bin\nversion = 3.12.4\n");
  absl::StatusOr<PythonChoice> choice = ChoosePython({.executable = python()});
  ASSERT_FALSE(choice.ok());
  EXPECT_NE(choice.status().message().find("is Python 3.12.4, but this program runs 3.11"),
            absl::string_view::npos)
      << choice.status();
}

TEST_F(PythonChoiceTest, RefusesWhatIsNotThere) {
  absl::StatusOr<PythonChoice> choice = ChoosePython({.executable = "/no/such/python"});
  ASSERT_FALSE(choice.ok());
  EXPECT_EQ(choice.status().message(), "python: no executable /no/such/python (--python)");
}

TEST_F(PythonChoiceTest, PrefersTheEnvironmentsOwnLibrary) {
  fs::create_directories(venv_ / "home/bin");
  fs::create_directories(venv_ / "home/lib");
  MakeVenv("home = " + (venv_ / "home/bin").string() + "\nversion = 3.11.7\n");
  EXPECT_EQ(ChoosePython({.executable = python()})->libpython, "libpython3.11.so.1.0");
  std::ofstream(venv_ / "home/lib/libpython3.11.so.1.0") << "";
  EXPECT_EQ(ChoosePython({.executable = python()})->libpython,
            (venv_ / "home/lib/libpython3.11.so.1.0").string());
}

}  // namespace
}  // namespace bettong::compute
