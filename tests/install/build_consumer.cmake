# Builds the consumer next door as a stranger would, and runs it.
#   cmake -DMODE=find_package|add_subdirectory -DSOURCE=... -DBUILD=... -DWORK=... -DMAKE_MODEL=... -DCXX=...
#         -DSANITIZE=... -P build_consumer.cmake
cmake_minimum_required(VERSION 3.24)

function(must_run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\nstatus ${status}\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
set(model "${WORK}/tiny.gguf")
must_run("${MAKE_MODEL}" llama TQ2_0 "${model}")

set(options "-DCMAKE_CXX_COMPILER=${CXX}" -G Ninja)
if(MODE STREQUAL "find_package")
  set(prefix "${WORK}/prefix")
  must_run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${prefix}")
  list(APPEND options "-DCMAKE_PREFIX_PATH=${prefix}")
  if(SANITIZE)
    list(APPEND options "-DCMAKE_CXX_FLAGS=-fsanitize=${SANITIZE}")
  endif()
  must_run("${prefix}/bin/tern" run -q -n 4 -m "${model}" Once)
  # The bundled model is found beside the command, wherever the prefix is.
  file(GLOB bundled "${prefix}/share/tern/*.gguf")
  if(bundled)
    must_run("${prefix}/bin/tern" run -q -n 4 Once)
  endif()
else()
  # A stranger's project has no optimisation by default, which also builds soonest.
  list(APPEND options "-DTERN_SOURCE_DIR=${SOURCE}" -DCMAKE_BUILD_TYPE=Debug)
endif()

must_run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/consumer" -B "${WORK}/build" ${options})
if(MODE STREQUAL "find_package")
  must_run("${CMAKE_COMMAND}" --build "${WORK}/build")
  must_run("${WORK}/build/consumer" "${model}")
else()
  # What a subdirectory brings is headers, flags and options: that it links, the other mode shows in a tenth of the time.
  must_run("${CMAKE_COMMAND}" --build "${WORK}/build" --target CMakeFiles/consumer.dir/main.cpp.o)
endif()
