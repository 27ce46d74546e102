# ccache makes a rebuild after `make clean`, or in a clone that was moved or copied, a matter of seconds.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # A precompiled header carries time stamps; without the first two words ccache refuses every file that uses one. It has
  # hundreds of megabytes, and is hashed once instead of for each file (INODECACHE); which headers a file includes the
  # compiler says (DEPEND), so nothing is preprocessed twice. Paths below the base folder count as relative, so that
  # clones in different folders share what they compiled. Headers of ours are precompiled as <name>, since "name" becomes
  # a full path.
  set(_launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_INODECACHE=1 CCACHE_DEPEND=1
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${_launcher})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${_launcher})
endif()
