# Copies the headers of `modules` below `source` to `destination`/trainyard. Their includes of each other become
# "trainyard/util/error.h", so that a path as common as util/error.h is never searched in a project that uses them.
file(REMOVE_RECURSE ${staging})
foreach(module IN LISTS modules)
  file(GLOB headers RELATIVE ${source} ${source}/${module}/*.h)
  foreach(header IN LISTS headers)
    file(READ ${source}/${header} text)
    string(REGEX REPLACE "#include \"([a-z_]+/)" "#include \"trainyard/\\1" text "${text}")
    file(WRITE ${staging}/trainyard/${header} "${text}")
  endforeach()
endforeach()
file(INSTALL DESTINATION ${destination} TYPE DIRECTORY FILES ${staging}/trainyard)
