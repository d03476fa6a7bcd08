# How folders become targets.

# Three precompiled headers: `core`; `net` adds Asio; `test` adds GoogleTest. They hold no <thread>,
# <mutex>, <fstream> or clock of ours: a file that uses those includes them itself.
set(pch_core
  <algorithm> <array> <bit> <chrono> <cstddef> <cstdint> <cstring> <functional> <limits> <map> <memory>
  <optional> <span> <string> <string_view> <tuple> <type_traits> <unordered_map> <utility> <variant>
  <vector>
  <absl/container/flat_hash_map.h> <absl/container/inlined_vector.h> <absl/status/statusor.h>
  <absl/strings/str_cat.h>)
set(pch_net ${pch_core}
  <boost/asio/awaitable.hpp> <boost/asio/co_spawn.hpp> <boost/asio/detached.hpp>
  <boost/asio/io_context.hpp> <boost/asio/ip/tcp.hpp> <boost/asio/post.hpp>
  <boost/asio/redirect_error.hpp> <boost/asio/steady_timer.hpp> <boost/asio/use_awaitable.hpp>
  <boost/asio/write.hpp>)
set(pch_test ${pch_core} <gmock/gmock.h> <gtest/gtest.h>)

foreach(kind core net test)
  # An object library with one empty file owns each header; the others reuse it.
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/pch_${kind}.cc CONTENT "" @ONLY)
  add_library(bettong_pch_${kind} OBJECT EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/generated/pch_${kind}.cc)
  target_precompile_headers(bettong_pch_${kind} PRIVATE ${pch_${kind}})
endforeach()
# What these define must be the same where a header is made and where it is used.
target_link_libraries(bettong_pch_net PRIVATE Boost::headers)
target_link_libraries(bettong_pch_test PRIVATE GTest::gmock GTest::gtest)

function(bettong_use_pch target kind)
  target_precompile_headers(${target} REUSE_FROM bettong_pch_${kind})
endfunction()

# Keeps, of a list of libraries, what exists: folders may be missing.
function(bettong_existing out)
  set(kept "")
  foreach(lib ${ARGN})
    if(NOT lib MATCHES "^bettong_" OR TARGET ${lib})
      list(APPEND kept ${lib})
    endif()
  endforeach()
  set(${out} ${kept} PARENT_SCOPE)
endfunction()

# Sources of FOLDER (recursively, without EXCLUDE prefixes), sorted by kind into
# <out>_lib, <out>_test and <out>_fuzz.
function(bettong_sources out folder)
  file(GLOB_RECURSE all RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  foreach(exclude ${ARGN})
    list(FILTER all EXCLUDE REGEX "^${exclude}(/|$)")
  endforeach()
  set(test ${all})
  set(fuzz ${all})
  list(FILTER test INCLUDE REGEX "_(test|testing)\\.cc$")
  list(FILTER fuzz INCLUDE REGEX "_fuzz\\.cc$")
  list(FILTER all EXCLUDE REGEX "_(test|testing|fuzz)\\.cc$")
  set(${out}_lib ${all} PARENT_SCOPE)
  set(${out}_test ${test} PARENT_SCOPE)
  set(${out}_fuzz ${fuzz} PARENT_SCOPE)
endfunction()

function(bettong_remember_tests name sources fuzz libs)
  set_property(GLOBAL APPEND PROPERTY bettong_test_names ${name})
  set_property(GLOBAL PROPERTY bettong_test_sources_${name} "${sources}")
  set_property(GLOBAL PROPERTY bettong_fuzz_sources_${name} "${fuzz}")
  set_property(GLOBAL PROPERTY bettong_test_libs_${name} "${libs}")
endfunction()

# A folder's library; its tests and fuzz targets are remembered and link this library only.
function(bettong_library name)
  cmake_parse_arguments(arg "" "FOLDER;PCH" "EXCLUDE;LIBS" ${ARGN})
  bettong_sources(src ${arg_FOLDER} ${arg_EXCLUDE})
  bettong_existing(libs ${arg_LIBS})
  if(src_lib)
    add_library(${name} STATIC ${src_lib})
    target_link_libraries(${name} PUBLIC ${libs})
    bettong_use_pch(${name} ${arg_PCH})
  elseif(src_test OR src_fuzz OR EXISTS ${CMAKE_SOURCE_DIR}/${arg_FOLDER})
    # Headers only, so far.
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${libs})
  else()
    return()
  endif()
  string(REPLACE "/" "_" test_name ${arg_FOLDER})
  bettong_remember_tests(${test_name} "${src_test}" "${src_fuzz}" "${name}")
endfunction()

# compute/python -> libbettong_py311.so beside the program. It has its own hidden copy of the folders'
# libraries, and takes Python's symbols from the interpreter loaded before it.
function(bettong_python_host)
  cmake_parse_arguments(arg "" "FOLDER" "LIBS" ${ARGN})
  bettong_sources(src ${arg_FOLDER})
  bettong_existing(libs ${arg_LIBS})
  if(NOT src_lib)
    return()
  endif()
  if(NOT BETTONG_PYTHON_INCLUDE_DIR)
    message(FATAL_ERROR "no Python.h of Python ${BETTONG_PYTHON_VERSION}: run tools/setup.sh")
  endif()
  set(host bettong_py${BETTONG_PYTHON_TAG})
  add_library(${host}_objects OBJECT ${src_lib})
  target_include_directories(${host}_objects SYSTEM PUBLIC ${BETTONG_PYTHON_INCLUDE_DIR})
  target_link_libraries(${host}_objects PUBLIC ${libs})
  bettong_use_pch(${host}_objects core)

  add_library(${host} SHARED $<TARGET_OBJECTS:${host}_objects>)
  set_target_properties(${host} PROPERTIES LINKER_LANGUAGE CXX
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  target_link_libraries(${host} PRIVATE ${libs})
  target_link_options(${host} PRIVATE -Wl,--exclude-libs,ALL)
  # Python's symbols stay open on purpose, ours must not: that would only show at dlopen.
  add_custom_command(TARGET ${host} POST_BUILD VERBATIM
    COMMAND sh -c "if nm -DCu \"$1\" | grep bettong:: >&2; then echo \"$1: undefined symbols of ours\" >&2; exit 1; fi"
            sh $<TARGET_FILE:${host}>)

  # Tests of the host link an interpreter themselves.
  bettong_remember_tests(compute_python "${src_test}" "${src_fuzz}"
    "${host}_objects;${BETTONG_PYTHON_LIBRARY}")
endfunction()

function(bettong_program)
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/server/main.cc)
    return()
  endif()
  add_executable(bettong server/main.cc)
  set_target_properties(bettong PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  bettong_existing(libs bettong_server)
  target_link_libraries(bettong PRIVATE ${libs} CLI11::CLI11 ${BETTONG_ABSL})
  bettong_use_pch(bettong core)
  if(TARGET bettong_py${BETTONG_PYTHON_TAG})
    add_dependencies(bettong bettong_py${BETTONG_PYTHON_TAG})
  endif()
endfunction()

# Settings of the sanitizers for everything ctest runs; tools/sanitizers/env.sh gives the same to others.
set(BETTONG_TEST_ENVIRONMENT
  "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1"
  "LSAN_OPTIONS=print_suppressions=0:suppressions=${CMAKE_SOURCE_DIR}/tools/sanitizers/lsan.supp"
  "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
  "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=${CMAKE_SOURCE_DIR}/tools/sanitizers/tsan.supp")

function(bettong_add_test name)
  cmake_parse_arguments(arg "" "TIMEOUT;LABEL" "COMMAND" ${ARGN})
  add_test(NAME ${name} COMMAND ${arg_COMMAND} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS ${arg_LABEL}
    ENVIRONMENT "${BETTONG_TEST_ENVIRONMENT}")
endfunction()

# One gtest binary and one ctest entry per folder: base_test, grid_test, grid_runtime_test, ...; and per
# folder of tests/ that holds C++ tests (tests_sim_test, ...), which may link everything.
function(bettong_tests)
  file(GLOB children RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS tests/*)
  foreach(child ${children})
    if(IS_DIRECTORY ${CMAKE_SOURCE_DIR}/${child})
      bettong_sources(src ${child})
      bettong_existing(libs bettong_server bettong_base)
      string(REPLACE "/" "_" test_name ${child})
      bettong_remember_tests(${test_name} "${src_test}" "" "${libs}")
    endif()
  endforeach()

  get_property(names GLOBAL PROPERTY bettong_test_names)
  foreach(name ${names})
    get_property(sources GLOBAL PROPERTY bettong_test_sources_${name})
    get_property(libs GLOBAL PROPERTY bettong_test_libs_${name})
    # Threads of librdkafka's are C11's, which ThreadSanitizer of gcc 12 does not know: they crash in it.
    if(BETTONG_SANITIZE STREQUAL "thread")
      list(FILTER sources EXCLUDE REGEX "^ingest/kafka/kafka_(record|sink)_test\\.cc$")
    endif()
    if(NOT sources)
      continue()
    endif()
    add_executable(${name}_test ${sources})
    set_target_properties(${name}_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
    target_link_libraries(${name}_test PRIVATE ${libs} GTest::gmock GTest::gtest GTest::gtest_main)
    bettong_use_pch(${name}_test test)
    bettong_add_test(${name}_test LABEL unit TIMEOUT 600 COMMAND ${name}_test)
  endforeach()
endfunction()

# x_fuzz.cc -> test/x_fuzz: LLVMFuzzerTestOneInput behind a plain main that runs each file of
# tests/fuzz/corpus/x/ and a fixed number of seeded mutations of them.
function(bettong_fuzz_targets)
  get_property(names GLOBAL PROPERTY bettong_test_names)
  foreach(name ${names})
    get_property(sources GLOBAL PROPERTY bettong_fuzz_sources_${name})
    get_property(libs GLOBAL PROPERTY bettong_test_libs_${name})
    foreach(source ${sources})
      get_filename_component(target ${source} NAME_WE)
      string(REGEX REPLACE "_fuzz$" "" stem ${target})
      add_executable(${target} ${source} tests/fuzz/driver.cc)
      set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
      target_link_libraries(${target} PRIVATE ${libs})
      bettong_use_pch(${target} core)
      bettong_add_test(${target} LABEL fuzz TIMEOUT 120
        COMMAND ${target} --mutations=2000 ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${stem})
    endforeach()
  endforeach()
endfunction()

# tests/sim: the engine once more, with the simulator's points and planted bugs compiled in.
function(bettong_simulator)
  set(engine "")
  foreach(folder base wal grid compute ingest)
    bettong_sources(src ${folder} compute/python ingest/kafka)
    list(APPEND engine ${src_lib})
  endforeach()
  add_library(bettong_simulated STATIC EXCLUDE_FROM_ALL ${engine})
  target_compile_definitions(bettong_simulated PUBLIC BETTONG_SIMULATION)
  target_link_libraries(bettong_simulated PUBLIC bettong_asio ${BETTONG_ABSL} simdjson::simdjson
    Threads::Threads ${CMAKE_DL_LIBS})
  bettong_use_pch(bettong_simulated net)
  file(GLOB sources CONFIGURE_DEPENDS tests/sim/*.cc)
  add_executable(sim ${sources})
  set_target_properties(sim PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
  target_link_libraries(sim PRIVATE bettong_simulated)
  bettong_use_pch(sim net)
  # One thread: there is nothing for ThreadSanitizer.
  if(BETTONG_SANITIZE STREQUAL "thread")
    set_target_properties(sim PROPERTIES EXCLUDE_FROM_ALL ON)
  else()
    bettong_add_test(sim LABEL unit TIMEOUT 240 COMMAND sim --schedules=200 --seed=7000)
  endif()
endfunction()

# bench/*.cc: one executable each. Built by default in release only; a sanitizer build has no figures.
function(bettong_benches)
  file(GLOB sources CONFIGURE_DEPENDS bench/*.cc)
  bettong_existing(libs bettong_server bettong_ingest bettong_protocol bettong_compute
    bettong_grid_runtime bettong_grid_core bettong_wal bettong_base)
  foreach(source ${sources})
    get_filename_component(target ${source} NAME_WE)
    add_executable(${target} ${source})
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
    target_link_libraries(${target} PRIVATE ${libs})
    bettong_use_pch(${target} core)
    if(BETTONG_SANITIZE)
      set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
    else()
      bettong_add_test(${target} LABEL unit TIMEOUT 60 COMMAND ${target} --smoke)
    endif()
  endforeach()
endfunction()
