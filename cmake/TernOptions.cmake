# Flags that every first-party target shares. Nothing here is exported.
add_library(tern_warnings INTERFACE)
target_compile_options(tern_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast
                                               $<$<BOOL:${TERN_WERROR}>:-Werror>)
target_compile_definitions(tern_warnings INTERFACE $<$<BOOL:${TERN_DCHECKS}>:TERN_DCHECKS>)

# The same bits everywhere: a*b+c is never fused into one rounding, on any compiler or machine.
add_compile_options(-ffp-contract=off)

if(TERN_SANITIZE)
  add_compile_options(-fsanitize=${TERN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TERN_SANITIZE})
endif()

# For folders in which nothing is hot: what the compiler would spend on optimizing is worth more than what it wins. With
# sanitizers it takes Clang twice the time.
macro(tern_optimize_little)
  if(TERN_SANITIZE)
    add_compile_options(-O0)
  else()
    add_compile_options($<$<NOT:$<CONFIG:Debug>>:-O1>)
  endif()
endmacro()
