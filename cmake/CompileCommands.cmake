# Writes compile_commands.json and links it from build/, where clangd finds that of the most recently configured preset.
# Only presets with all sources and the compiler's own flags are linked.
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
foreach(preset IN ITEMS release debug)
  if(CMAKE_BINARY_DIR STREQUAL ${CMAKE_SOURCE_DIR}/build/${preset})
    file(CREATE_LINK ${preset}/compile_commands.json ${CMAKE_SOURCE_DIR}/build/compile_commands.json SYMBOLIC)
  endif()
endforeach()
