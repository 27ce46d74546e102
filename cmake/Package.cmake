# Debian packages (make package, docs/installing.md): `trainyard`, the program, and `trainyard-loader`, the loader as a
# library. They are for the distribution on which they are built, because they depend on its libraries.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME trainyard)
set(CPACK_PACKAGE_CONTACT "Trainyard contributors")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)

install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/trainyard-loader RENAME copyright COMPONENT loader)
set(CPACK_COMPONENTS_ALL loader)
set(CPACK_COMPONENT_LOADER_DESCRIPTION "The multi-process shared-memory data loader of Trainyard as a static library")
set(CPACK_DEBIAN_LOADER_PACKAGE_NAME trainyard-loader)
set(CPACK_DEBIAN_LOADER_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LOADER_PACKAGE_DEPENDS
    "libfmt-dev, libspdlog-dev, nlohmann-json3-dev, libjpeg-dev, libpng-dev, zlib1g-dev")

# No package contains LibTorch: the installed program is started by a script that finds it in a Python.
if(TRAINYARD_TORCH)
  install(TARGETS trainyard DESTINATION ${CMAKE_INSTALL_LIBDIR}/trainyard COMPONENT program)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/installed_program.in ${PROJECT_BINARY_DIR}/installed_program @ONLY)
  install(PROGRAMS ${PROJECT_BINARY_DIR}/installed_program DESTINATION ${CMAKE_INSTALL_BINDIR} RENAME trainyard
          COMPONENT program)
  install(CODE "execute_process(COMMAND $<TARGET_FILE:trainyard> completion bash
                OUTPUT_FILE ${PROJECT_BINARY_DIR}/completion.bash COMMAND_ERROR_IS_FATAL ANY)" COMPONENT program)
  install(FILES ${PROJECT_BINARY_DIR}/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
          RENAME trainyard COMPONENT program)
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/trainyard RENAME copyright COMPONENT program)

  list(APPEND CPACK_COMPONENTS_ALL program)
  set(CPACK_COMPONENT_PROGRAM_DESCRIPTION "${PROJECT_DESCRIPTION}")
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME trainyard)
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS python3)
  # dpkg-shlibdeps determines the packages of the shared libraries, except LibTorch's.
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${TORCH_DIR}/lib)
  if(TRAINYARD_CUDART)
    cmake_path(GET TRAINYARD_CUDART PARENT_PATH _cudart_folder)
    cmake_path(GET TRAINYARD_CUDNN PARENT_PATH _cudnn_folder)
    cmake_path(GET TRAINYARD_CUBLASLT PARENT_PATH _cublaslt_folder)
    list(APPEND CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${_cudart_folder} ${_cudnn_folder} ${_cublaslt_folder})
  endif()
endif()
include(CPack)
