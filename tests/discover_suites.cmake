# Writes a file that adds the suites of a GoogleTest program as tests, after the program has been built:
#   cmake -D PROGRAM=... -D TO=... -D TIMEOUT=... -P discover_suites.cmake
# A suite runs in one process, because each process that links LibTorch takes half a second to start.
execute_process(COMMAND ${PROGRAM} --gtest_list_tests OUTPUT_VARIABLE listed COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\n[^ \n#]+\\." suites "${listed}")  # the lines of tests are indented
set(tests "")
foreach(suite IN LISTS suites)
  string(REGEX REPLACE "^\n(.*)\\.$" "\\1" suite "${suite}")
  string(APPEND tests "add_test([=[${suite}]=] [=[${PROGRAM}]=] [=[--gtest_filter=${suite}.*]=])\n"
                      "set_tests_properties([=[${suite}]=] PROPERTIES TIMEOUT ${TIMEOUT})\n")
  if(suite STREQUAL "Parity")  # compares with PyTorch for minutes; all others run beside it
    string(APPEND tests "set_tests_properties(Parity PROPERTIES COST 1000)\n")
  endif()
endforeach()
file(WRITE ${TO} "${tests}")
