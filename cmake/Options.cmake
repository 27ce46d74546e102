# Flags for our own code live on INTERFACE targets; nothing global is changed.
set(TRAINYARD_SANITIZE "" CACHE STRING "Sanitizers, as in address,undefined or thread")

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

# Most of our code calls LibTorch, fmt and the JSON and command-line libraries: there, optimizing beyond -O1 costs a third
# of the compile time and gains nothing. The modules that process samples use -O2 (src/CMakeLists.txt).
add_library(trainyard_quick_to_compile INTERFACE)
target_link_libraries(trainyard_quick_to_compile INTERFACE trainyard_options)
target_compile_options(trainyard_quick_to_compile INTERFACE $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-O1>)

# Precompiled, what nearly every file includes takes half as long. Each file still names what it needs: the linter reads
# them without this.
set(TRAINYARD_COMMON_HEADERS
    <algorithm> <array> <cmath> <cstdint> <cstring> <filesystem> <functional> <memory> <optional> <span> <string>
    <string_view> <vector> <fmt/format.h> <fmt/ranges.h>)
