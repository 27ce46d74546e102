# The distribution's libraries; scripts/bootstrap installs them.
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Threads REQUIRED)

# For machines without a package manager, header-only libraries are also searched in the folder TRAINYARD_HEADERS, a
# CMake or environment variable.
find_path(TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h HINTS ${TRAINYARD_HEADERS} $ENV{TRAINYARD_HEADERS} REQUIRED)

# LibTorch's include folder contains a newer fmt than the one spdlog was built with, and would be searched first. A
# folder that contains only a link to the right fmt is put in front of it.
set(_fmt_first ${CMAKE_BINARY_DIR}/fmt-first)
find_path(FMT_INCLUDE_DIR fmt/format.h REQUIRED)
file(MAKE_DIRECTORY ${_fmt_first})
file(CREATE_LINK ${FMT_INCLUDE_DIR}/fmt ${_fmt_first}/fmt SYMBOLIC)

add_library(trainyard_libraries INTERFACE)
target_include_directories(trainyard_libraries SYSTEM BEFORE INTERFACE ${_fmt_first})
target_include_directories(trainyard_libraries SYSTEM INTERFACE ${TOMLPLUSPLUS_INCLUDE_DIR})
target_link_libraries(trainyard_libraries INTERFACE
  spdlog::spdlog fmt::fmt CLI11::CLI11 nlohmann_json::nlohmann_json JPEG::JPEG PNG::PNG ZLIB::ZLIB Threads::Threads)
