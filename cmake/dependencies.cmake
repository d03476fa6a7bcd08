# Everything outside the project. All of it comes from Debian packages (tools/setup.sh).

find_package(Threads REQUIRED)
find_package(absl REQUIRED CONFIG)
find_package(Boost 1.81 REQUIRED CONFIG COMPONENTS headers)
find_package(simdjson REQUIRED CONFIG)
find_package(CLI11 REQUIRED CONFIG)
find_package(tomlplusplus REQUIRED CONFIG)
find_package(GTest REQUIRED CONFIG)

# Abseil is linked as shared libraries: its hash seed is the address of a variable, so the program and the
# Python host library must agree on one copy.
set(BETTONG_ABSL
  absl::flat_hash_map absl::flat_hash_set absl::node_hash_map absl::btree absl::inlined_vector
  absl::fixed_array absl::hash absl::status absl::statusor absl::strings absl::str_format absl::time absl::span
  absl::bits absl::int128 absl::cleanup absl::any_invocable absl::function_ref absl::core_headers)

# rdkafka serves ingest/kafka* and cluster/ only; it is not asked for while they do not exist.
set(BETTONG_RDKAFKA "")
file(GLOB_RECURSE kafka_sources CONFIGURE_DEPENDS ingest/kafka*.cc ingest/kafka/*.cc cluster/*.cc)
if(kafka_sources)
  find_library(BETTONG_RDKAFKA_LIBRARY rdkafka REQUIRED)
  set(BETTONG_RDKAFKA ${BETTONG_RDKAFKA_LIBRARY})
endif()

# The interpreter the host library is built for. Only its headers are used: the library does not link
# libpython (the program loads the user's interpreter first). Debian's own, whatever is first on PATH.
set(BETTONG_PYTHON_VERSION 3.11)
string(REPLACE "." "" BETTONG_PYTHON_TAG ${BETTONG_PYTHON_VERSION})
find_path(BETTONG_PYTHON_INCLUDE_DIR Python.h
  PATHS /usr/include/python${BETTONG_PYTHON_VERSION} NO_DEFAULT_PATH)
find_library(BETTONG_PYTHON_LIBRARY python${BETTONG_PYTHON_VERSION}
  PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE} /usr/lib NO_DEFAULT_PATH)

# The non-template part of Asio, compiled once.
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/asio.cc
  CONTENT "#include <boost/asio/impl/src.hpp>\n" @ONLY)
add_library(bettong_asio STATIC EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/generated/asio.cc)
target_compile_options(bettong_asio PRIVATE -w -fno-sanitize=undefined)
target_link_libraries(bettong_asio PUBLIC Boost::headers Threads::Threads)
