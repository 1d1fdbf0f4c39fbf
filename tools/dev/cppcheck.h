/* Read by cppcheck before each file: what it would otherwise not know, as it is not given the system's headers. */
#pragma once
#define __cppcheck__ 1
#define cJSON_ArrayForEach(element, array)                                                                   \
    for (element = (array) ? (array)->child : NULL; element; element = element->next)
#define MBEDTLS_VERSION_NUMBER 0x03060000
