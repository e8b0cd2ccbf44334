# The library is built from parts, one per folder. A part is an OBJECT library, so that its tests link it and what it
# may depend on, and nothing else.

# What every part sees: our headers, the warnings, and the libraries that the implementation uses.
add_library(tern_internal INTERFACE)
target_compile_features(tern_internal INTERFACE cxx_std_20)
target_include_directories(tern_internal INTERFACE "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/include"
                                                   "${PROJECT_BINARY_DIR}/include")
# The headers alone: Debian's xsimd target also asks for a library, xtl, that neither it nor we need.
target_include_directories(tern_internal SYSTEM INTERFACE $<TARGET_PROPERTY:xsimd,INTERFACE_INCLUDE_DIRECTORIES>)
target_link_libraries(tern_internal INTERFACE tern_warnings fmt::fmt PkgConfig::PCRE2 Threads::Threads)

# tern_add_part(<name> <file>...): adds the files to the library as the target tern_<name>.
function(tern_add_part name)
  add_library(tern_${name} OBJECT ${ARGN})
  target_link_libraries(tern_${name} PRIVATE tern_internal)
  set_target_properties(tern_${name} PROPERTIES CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden
                                                VISIBILITY_INLINES_HIDDEN ON POSITION_INDEPENDENT_CODE ON)
  target_sources(tern PRIVATE $<TARGET_OBJECTS:tern_${name}>)
endfunction()

# tern_add_test(<name> SOURCES <file>... PARTS <part>... LABELS <label>...): a GoogleTest executable over some parts.
function(tern_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 test "" "" "SOURCES;PARTS;LABELS")
  add_executable(${name} ${test_SOURCES})
  list(PREPEND test_PARTS base) # errors, which every part may throw
  list(REMOVE_DUPLICATES test_PARTS)
  list(TRANSFORM test_PARTS PREPEND tern_)
  target_link_libraries(${name} PRIVATE tern_internal ${test_PARTS} GTest::gtest GTest::gtest_main)
  set_target_properties(${name} PROPERTIES CXX_EXTENSIONS OFF)
  if(TERN_TESTS_TOGETHER)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS "${test_LABELS}")
  else()
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${test_LABELS}")
  endif()
endfunction()
