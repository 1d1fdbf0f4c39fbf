# Included by the root's CMakeLists.txt when ESP-IDF builds it. Its early pass is a script, in which CONFIGURE_DEPENDS is
# an error.
if(CMAKE_BUILD_EARLY_EXPANSION)
  idf_component_register(REQUIRES mbedtls)
  return()
endif()
include(${CMAKE_CURRENT_LIST_DIR}/sources.cmake)
idf_component_register(
  SRCS ${TRIBUTARY_SDK_SOURCES} ${TRIBUTARY_NEUTRAL_SOURCES} ${TRIBUTARY_MBEDTLS_SOURCES}
  INCLUDE_DIRS ${TRIBUTARY_SDK_INCLUDES} ${TRIBUTARY_NEUTRAL_INCLUDES} ${TRIBUTARY_PORTS_DIR}/mbedtls
  REQUIRES mbedtls)
