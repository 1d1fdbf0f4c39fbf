# TRIBUTARY_SDK_SOURCES: what a device carries, for build systems other than this project's own. sdk/wire/vocabulary.c
# (tables of names) is for gateways and tools.
get_filename_component(TRIBUTARY_SDK_DIR ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
file(GLOB TRIBUTARY_SDK_SOURCES CONFIGURE_DEPENDS
  ${TRIBUTARY_SDK_DIR}/wire/*.c ${TRIBUTARY_SDK_DIR}/journal/*.c ${TRIBUTARY_SDK_DIR}/lane/*.c
  ${TRIBUTARY_SDK_DIR}/playback/*.c ${TRIBUTARY_SDK_DIR}/websocket/*.c ${TRIBUTARY_SDK_DIR}/uplink/*.c
  ${TRIBUTARY_SDK_DIR}/client/*.c)
list(FILTER TRIBUTARY_SDK_SOURCES EXCLUDE REGEX "/wire/vocabulary\\.c$")
set(TRIBUTARY_SDK_INCLUDES ${TRIBUTARY_SDK_DIR} ${TRIBUTARY_SDK_DIR}/include)
