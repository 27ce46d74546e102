# With ccache, a rebuild after `make clean`, or in a clone that was moved or copied, takes seconds.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # A precompiled header contains time stamps; without the first two options ccache rejects every file that uses one. It
  # has hundreds of megabytes, and is hashed once instead of once per file (INODECACHE). The compiler reports the
  # included headers (DEPEND), so nothing is preprocessed twice. Paths below the base folder are treated as relative, so
  # that clones in different folders share compiled files. Trainyard's headers are precompiled as <name>, because "name"
  # becomes a full path.
  set(_launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_INODECACHE=1 CCACHE_DEPEND=1
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${_launcher})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${_launcher})
endif()
