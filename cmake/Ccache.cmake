# ccache makes a rebuild after `make clean` a matter of seconds, and one in a new clone half as long.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # A precompiled header carries time stamps; without the first two words ccache refuses every file that uses one. It has
  # hundreds of megabytes, and is hashed once instead of for each file (INODECACHE); which headers a file includes the
  # compiler says (DEPEND), so nothing is preprocessed twice. Paths below the base folder count as relative, so that
  # clones in different folders share what they compiled; not the rooms with torch headers, whose precompiled header has
  # the full path of one of ours in it.
  set(_launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_INODECACHE=1 CCACHE_DEPEND=1
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${_launcher})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${_launcher})
endif()
