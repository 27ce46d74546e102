# Installs the loader as a library for other projects (docs/loader-alone.md). The component `loader` does not need
# LibTorch; `loader_torch` adds batches as tensors.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(_package ${CMAKE_INSTALL_LIBDIR}/cmake/Trainyard)

# trainyard::<name>, made of object libraries. Datasets and transforms register themselves from static objects that
# nothing references, so projects link the whole archive.
function(trainyard_install name objects libraries)
  add_library(trainyard_${name}_archive STATIC)
  foreach(library IN LISTS objects)
    target_sources(trainyard_${name}_archive PRIVATE $<TARGET_OBJECTS:${library}>)
  endforeach()
  add_library(trainyard::${name}_archive ALIAS trainyard_${name}_archive)  # LINK_LIBRARY ignores EXPORT_NAME
  add_library(trainyard_${name} INTERFACE)
  target_compile_features(trainyard_${name} INTERFACE cxx_std_20)
  target_include_directories(trainyard_${name} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(trainyard_${name} INTERFACE
    $<LINK_LIBRARY:WHOLE_ARCHIVE,trainyard::${name}_archive> ${libraries})
  set_target_properties(trainyard_${name}_archive PROPERTIES LINKER_LANGUAGE CXX EXPORT_NAME ${name}_archive)
  set_target_properties(trainyard_${name} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS trainyard_${name} trainyard_${name}_archive EXPORT trainyard_${name}
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${name})
  install(EXPORT trainyard_${name} NAMESPACE trainyard:: FILE Trainyard_${name}.cmake DESTINATION ${_package}
          COMPONENT ${name})
endfunction()

# Installs the headers of modules, with a script that runs at installation.
function(trainyard_install_headers component)
  install(CODE "set(modules ${ARGN})
set(source ${PROJECT_SOURCE_DIR}/src)
set(staging ${PROJECT_BINARY_DIR}/installed-headers/${component})
set(destination \${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR})
include(${PROJECT_SOURCE_DIR}/cmake/InstallHeaders.cmake)" COMPONENT ${component})
endfunction()

trainyard_install(loader "trainyard_data;trainyard_base"
  "fmt::fmt;spdlog::spdlog;nlohmann_json::nlohmann_json;JPEG::JPEG;PNG::PNG;ZLIB::ZLIB;Threads::Threads")
trainyard_install_headers(loader util config images datasets transforms loader)
if(TRAINYARD_TORCH)
  trainyard_install(loader_torch trainyard_device "trainyard_loader;$<INSTALL_INTERFACE:torch>")
  trainyard_install_headers(loader_torch loader_torch)
endif()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/TrainyardConfig.cmake.in
  ${PROJECT_BINARY_DIR}/TrainyardConfig.cmake INSTALL_DESTINATION ${_package} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/TrainyardConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/TrainyardConfig.cmake ${PROJECT_BINARY_DIR}/TrainyardConfigVersion.cmake
        DESTINATION ${_package} COMPONENT loader)

add_custom_target(loader DEPENDS trainyard_loader_archive)
if(TRAINYARD_TORCH)
  add_dependencies(loader trainyard_loader_torch_archive)
endif()
