# Language level, warnings, build types and the compiler cache.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

set(BETTONG_SANITIZE "" CACHE STRING "Argument of -fsanitize=, empty for none")
set(BETTONG_MARCH "x86-64-v2" CACHE STRING "Argument of -march= on x86-64, empty for the compiler's default")
option(BETTONG_WERROR "Warnings are errors" ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# Release keeps line tables and frame pointers so that perf and gdb work on what users run; CHECKs stay on
# (they do not look at NDEBUG).
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
# -O1 and line tables: the sanitizers' reports are whole and the tests quick. Variables for gdb would double
# the time to compile (`cmake --preset dev -DCMAKE_CXX_FLAGS_DEBUG=-g` when you need them).
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1 -fno-var-tracking -D_GLIBCXX_ASSERTIONS")

# Everything is compiled the same way (-fPIC, hidden): the folders' libraries are linked into the program
# and into the Python host library alike, and precompiled headers are shared between targets.
add_compile_options(-fPIC -fno-semantic-interposition -fvisibility=hidden -fvisibility-inlines-hidden
  -fno-omit-frame-pointer)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64" AND BETTONG_MARCH)
  add_compile_options(-march=${BETTONG_MARCH} -mno-omit-leaf-frame-pointer)
endif()

add_compile_options(-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wsuggest-override
  -Wformat=2 -Wpointer-arith -Wcast-align -Wcast-qual -Wvla -Wextra-semi -Wundef -Wduplicated-cond
  -Wlogical-op -Wimplicit-fallthrough -Wredundant-move -Wpessimizing-move)
# Designated initialisers leave fields to their defaults on purpose.
add_compile_options(-Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12's flow-based warnings fire on correct std::string, std::optional and coroutine code; the
  # sanitizer builds cover what they look for.
  add_compile_options(-Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow
    -Wno-stringop-overread -Wno-array-bounds -Wno-dangling-pointer -Wno-mismatched-new-delete)
endif()
if(BETTONG_WERROR)
  add_compile_options(-Werror)
endif()

if(BETTONG_SANITIZE)
  add_compile_options(-fsanitize=${BETTONG_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${BETTONG_SANITIZE})
  if(BETTONG_SANITIZE MATCHES "undefined")
    # Half the time to compile for what AddressSanitizer reports anyway.
    add_compile_options(-fno-sanitize=null,object-size)
  endif()
  if(BETTONG_SANITIZE STREQUAL "thread")
    # Asio fences around handlers, which ThreadSanitizer cannot see; its queues also lock, which it can.
    # Our own code uses no fences (tools/check_layers.py).
    add_compile_options(-Wno-tsan)
  endif()
endif()
add_link_options(-Wl,--as-needed)

# Paths in debug information and __FILE__ start at the source tree, wherever it lies.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)

add_compile_definitions(
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION
  XXH_INLINE_ALL
  BETTONG_VERSION="${PROJECT_VERSION}")
include_directories(${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include)

# ccache: paths below the source tree are hashed relative to it, so that other checkouts of the project
# share the hits; the sloppiness is what precompiled headers need.
find_program(BETTONG_CCACHE ccache)
if(BETTONG_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    /usr/bin/env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    ${BETTONG_CCACHE})
endif()
