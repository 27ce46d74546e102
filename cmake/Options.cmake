# Flags for our own code live on one INTERFACE target; nothing global is changed.
set(TRAINYARD_SANITIZE "" CACHE STRING "Sanitizers, as in address,undefined or thread")

# What most of our code does is to call LibTorch, fmt and the JSON and command-line libraries: there, more than -O1 buys
# compile time alone, a third of it. The rooms in a sample's way are compiled with -O2 (src/CMakeLists.txt).
set(CMAKE_CXX_FLAGS_RELEASE "-O1 -DNDEBUG")

add_library(trainyard_options INTERFACE)
target_include_directories(trainyard_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(trainyard_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wconversion
    -Wno-sign-conversion -Wno-missing-field-initializers -Werror>
  $<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings -Xcompiler=-Wall,-Wextra>)

# vptr's check opens a pipe at each call, and the loader's tests take every descriptor there is. With sanitizers, g++
# takes initialized members of std::regex for uninitialized ones.
if(TRAINYARD_SANITIZE)
  target_compile_options(trainyard_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${TRAINYARD_SANITIZE} -fno-sanitize=vptr -fno-omit-frame-pointer
      -fno-sanitize-recover=all -Wno-maybe-uninitialized>)
  target_link_options(trainyard_options INTERFACE -fsanitize=${TRAINYARD_SANITIZE})
endif()

# Precompiled, what nearly every file includes takes half as long. Each file still names what it needs: the linter reads
# them without this.
set(TRAINYARD_COMMON_HEADERS
    <algorithm> <array> <cmath> <cstdint> <cstring> <filesystem> <functional> <memory> <optional> <span> <string>
    <string_view> <vector> <fmt/format.h> <fmt/ranges.h>)
