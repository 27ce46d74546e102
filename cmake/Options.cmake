# Flags for our own code live on one INTERFACE target; nothing global is changed.
set(TRAINYARD_SANITIZE "" CACHE STRING "Sanitizers, as in address,undefined or thread")

# -O3 on top of Release buys nothing here (the hot loops are LibTorch's, libjpeg's and memcpy) and costs compile time.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

add_library(trainyard_options INTERFACE)
target_include_directories(trainyard_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(trainyard_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wconversion
    -Wno-sign-conversion -Wno-missing-field-initializers -Werror>
  $<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings -Xcompiler=-Wall,-Wextra>)

# vptr's check opens a pipe at each call, and the loader's tests take every descriptor there is.
if(TRAINYARD_SANITIZE)
  target_compile_options(trainyard_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${TRAINYARD_SANITIZE} -fno-sanitize=vptr -fno-omit-frame-pointer
      -fno-sanitize-recover=all>)
  target_link_options(trainyard_options INTERFACE -fsanitize=${TRAINYARD_SANITIZE})
endif()
