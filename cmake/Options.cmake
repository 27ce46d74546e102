# Flags for Trainyard's code are set on INTERFACE targets; nothing global is changed.
set(TRAINYARD_SANITIZE "" CACHE STRING "Sanitizers, as in address,undefined or thread")

add_library(trainyard_options INTERFACE)
target_include_directories(trainyard_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(trainyard_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wconversion
    -Wno-sign-conversion -Wno-missing-field-initializers -Werror>
  $<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings -Xcompiler=-Wall,-Wextra>)

# The check vptr opens a pipe at each call, and the loader's tests use up all descriptors. With sanitizers, g++ reports
# initialized members of std::regex as uninitialized.
if(TRAINYARD_SANITIZE)
  target_compile_options(trainyard_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${TRAINYARD_SANITIZE} -fno-sanitize=vptr -fno-omit-frame-pointer
      -fno-sanitize-recover=all -Wno-maybe-uninitialized>)
  target_link_options(trainyard_options INTERFACE -fsanitize=${TRAINYARD_SANITIZE})
endif()

# Most code calls LibTorch, fmt and the JSON and command-line libraries: there, optimizing beyond -O1 costs a third of
# the compile time and gains nothing. The modules that process samples use -O2 (src/CMakeLists.txt).
add_library(trainyard_quick_to_compile INTERFACE)
target_link_libraries(trainyard_quick_to_compile INTERFACE trainyard_options)
target_compile_options(trainyard_quick_to_compile INTERFACE $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-O1>)

# Precompiling what nearly every file includes halves its compile time. Each file still includes what it needs, because
# the linter reads files without this header.
set(TRAINYARD_COMMON_HEADERS
    <algorithm> <array> <cmath> <cstdint> <cstring> <filesystem> <functional> <memory> <optional> <span> <string>
    <string_view> <vector> <fmt/format.h> <fmt/ranges.h>)
