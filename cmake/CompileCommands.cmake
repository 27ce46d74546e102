# compile_commands.json, and in build/ a link to that of the preset configured last, where clangd finds it whatever called
# CMake: make, an editor or a person. Only presets with all sources and the compiler's own flags take part.
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
foreach(preset IN ITEMS release debug)
  if(CMAKE_BINARY_DIR STREQUAL ${CMAKE_SOURCE_DIR}/build/${preset})
    file(CREATE_LINK ${preset}/compile_commands.json ${CMAKE_SOURCE_DIR}/build/compile_commands.json SYMBOLIC)
  endif()
endforeach()
