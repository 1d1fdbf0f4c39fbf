# Options, and the one set of compiler flags that all targets share.
option(TRIBUTARY_GATEWAY "Build tributaryd, tributaryctl and tributary-load" ON)
option(TRIBUTARY_EXAMPLES "Build firmware-examples" ON)
option(TRIBUTARY_PYTHON "Build libtributary_py, the library below the Python bindings" ON)
option(TRIBUTARY_TESTS "Build the tests" ON)
option(TRIBUTARY_FUZZ "Build the libFuzzer targets (clang)" OFF)
set(TRIBUTARY_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined or thread")

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

add_compile_options(-Wall -Wextra -Wshadow -Wpointer-arith -Wvla -Wundef -Werror
                    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> -fno-omit-frame-pointer)
if(TRIBUTARY_SANITIZE)
  add_compile_options(-fsanitize=${TRIBUTARY_SANITIZE} -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=${TRIBUTARY_SANITIZE})
endif()
