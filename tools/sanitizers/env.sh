# Source this to run a sanitizer build by hand with the settings ctest uses (cmake/targets.cmake).
_sanitizers="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1"
export LSAN_OPTIONS="print_suppressions=0:suppressions=$_sanitizers/lsan.supp"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1"
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:suppressions=$_sanitizers/tsan.supp"
unset _sanitizers
