# Copies the headers of `modules` below `source` to `destination`/trainyard. Their includes of one another become
# "trainyard/util/error.h", so that no path as common as util/error.h is searched in a project that uses them.
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
