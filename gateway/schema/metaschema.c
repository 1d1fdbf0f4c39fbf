/*
 * The metaschemas that schemas may refer to, in their shortest form: what they demand, without titles and defaults.
 * JSON Schema Core and Validation 2020-12, draft-07.
 */
#include <string.h>

#include "schema/resolve.h"

#define BASE "https://json-schema.org/draft/2020-12/"
#define HEAD(name) "{\"$schema\":\"" BASE "schema\",\"$id\":\"" BASE name "\",\"$dynamicAnchor\":\"meta\","
#define VOCABULARY(name) "\"$vocabulary\":{\"" BASE "vocab/" name "\":true},"
#define META "{\"$dynamicRef\":\"#meta\"}"
#define META_MAP "{\"type\":\"object\",\"additionalProperties\":" META "}"
#define META_LIST "{\"type\":\"array\",\"minItems\":1,\"items\":" META "}"
#define COUNT "{\"type\":\"integer\",\"minimum\":0}"
#define NUMBER "{\"type\":\"number\"}"
#define TEXT "{\"type\":\"string\"}"
#define BOOLEAN "{\"type\":\"boolean\"}"
#define TEXTS "{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"uniqueItems\":true}"
#define SCHEMA_TYPE "\"type\":[\"object\",\"boolean\"],"
#define TYPES "{\"enum\":[\"array\",\"boolean\",\"integer\",\"null\",\"number\",\"object\",\"string\"]}"
#define TYPE                                                                                                 \
    "\"type\":{\"anyOf\":[" TYPES ",{\"type\":\"array\",\"items\":" TYPES                                    \
    ",\"minItems\":1,\"uniqueItems\":true}]}"
#define LIMITS                                                                                               \
    "\"const\":true,\"enum\":{\"type\":\"array\"},\"multipleOf\":{\"type\":\"number\",\"exclusiveMinimum\":" \
    "0},"                                                                                                    \
    "\"maximum\":" NUMBER ",\"exclusiveMaximum\":" NUMBER ",\"minimum\":" NUMBER                             \
    ",\"exclusiveMinimum\":" NUMBER ",\"maxLength\":" COUNT ",\"minLength\":" COUNT                          \
    ",\"pattern\":{\"type\":\"string\",\"format\":\"regex\"},"                                               \
    "\"maxItems\":" COUNT ",\"minItems\":" COUNT ",\"uniqueItems\":" BOOLEAN ",\"maxProperties\":" COUNT     \
    ",\"minProperties\":" COUNT ",\"required\":" TEXTS

#define SELF "{\"$ref\":\"#\"}"
#define SELF_MAP "{\"type\":\"object\",\"additionalProperties\":" SELF "}"
#define SELF_LIST "{\"type\":\"array\",\"minItems\":1,\"items\":" SELF "}"

static const struct {
    const char *uri, *text;
} metaschemas[] = {
    {BASE "schema",
     HEAD("schema") "\"$vocabulary\":{\"" BASE "vocab/core\":true,\"" BASE "vocab/applicator\":true,\"" BASE
                    "vocab/unevaluated\":true,\"" BASE "vocab/validation\":true,\"" BASE
                    "vocab/meta-data\":true,\"" BASE "vocab/format-annotation\":true,\"" BASE
                    "vocab/content\":true},"
                    "\"allOf\":[{\"$ref\":\"meta/core\"},{\"$ref\":\"meta/applicator\"},{\"$ref\":\"meta/"
                    "unevaluated\"},"
                    "{\"$ref\":\"meta/validation\"},{\"$ref\":\"meta/meta-data\"},{\"$ref\":\"meta/"
                    "format-annotation\"},"
                    "{\"$ref\":\"meta/content\"}]," SCHEMA_TYPE "\"properties\":{\"definitions\":" META_MAP
                    ",\"dependencies\":{\"type\":\"object\",\"additionalProperties\":{\"anyOf\":[" META
                    "," TEXTS "]}},"
                    "\"$recursiveAnchor\":{\"$ref\":\"meta/core#/$defs/anchorString\"},"
                    "\"$recursiveRef\":{\"$ref\":\"meta/core#/$defs/uriReferenceString\"}}}"},
    {BASE "meta/core", HEAD("meta/core") VOCABULARY("core") SCHEMA_TYPE
     "\"properties\":{\"$id\":{\"$ref\":\"#/$defs/uriReferenceString\",\"pattern\":\"^[^#]*#?$\"},"
     "\"$schema\":{\"$ref\":\"#/$defs/uriString\"},\"$ref\":{\"$ref\":\"#/$defs/uriReferenceString\"},"
     "\"$anchor\":{\"$ref\":\"#/$defs/anchorString\"},\"$dynamicRef\":{\"$ref\":\"#/$defs/"
     "uriReferenceString\"},"
     "\"$dynamicAnchor\":{\"$ref\":\"#/$defs/anchorString\"},\"$vocabulary\":{\"type\":\"object\","
     "\"propertyNames\":{\"$ref\":\"#/$defs/uriString\"},\"additionalProperties\":" BOOLEAN "},"
     "\"$comment\":" TEXT ",\"$defs\":" META_MAP "},"
     "\"$defs\":{\"anchorString\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z_][-A-Za-z0-9._]*$\"},"
     "\"uriString\":{\"type\":\"string\",\"format\":\"uri\"},"
     "\"uriReferenceString\":{\"type\":\"string\",\"format\":\"uri-reference\"}}}"},
    {BASE "meta/applicator", HEAD("meta/applicator") VOCABULARY("applicator") SCHEMA_TYPE
     "\"properties\":{\"prefixItems\":" META_LIST ",\"items\":" META ",\"contains\":" META
     ",\"additionalProperties\":" META ",\"properties\":" META_MAP
     ",\"patternProperties\":{\"type\":\"object\",\"additionalProperties\":" META
     ",\"propertyNames\":{\"format\":\"regex\"}},\"dependentSchemas\":" META_MAP ",\"propertyNames\":" META
     ",\"if\":" META ",\"then\":" META ",\"else\":" META ",\"allOf\":" META_LIST ",\"anyOf\":" META_LIST
     ",\"oneOf\":" META_LIST ",\"not\":" META "}}"},
    {BASE "meta/unevaluated", HEAD("meta/unevaluated") VOCABULARY("unevaluated") SCHEMA_TYPE
     "\"properties\":{\"unevaluatedItems\":" META ",\"unevaluatedProperties\":" META "}}"},
    {BASE "meta/validation", HEAD("meta/validation") VOCABULARY("validation") SCHEMA_TYPE
     "\"properties\":{" TYPE "," LIMITS ",\"maxContains\":" COUNT ",\"minContains\":" COUNT
     ",\"dependentRequired\":{\"type\":\"object\",\"additionalProperties\":" TEXTS "}}}"},
    {BASE "meta/meta-data", HEAD("meta/meta-data") VOCABULARY("meta-data") SCHEMA_TYPE
     "\"properties\":{\"title\":" TEXT ",\"description\":" TEXT ",\"default\":true,\"deprecated\":" BOOLEAN
     ",\"readOnly\":" BOOLEAN ",\"writeOnly\":" BOOLEAN ",\"examples\":{\"type\":\"array\"}}}"},
    {BASE "meta/format-annotation", HEAD("meta/format-annotation") VOCABULARY("format-annotation") SCHEMA_TYPE
     "\"properties\":{\"format\":" TEXT "}}"},
    {BASE "meta/format-assertion", HEAD("meta/format-assertion") VOCABULARY("format-assertion") SCHEMA_TYPE
     "\"properties\":{\"format\":" TEXT "}}"},
    {BASE "meta/content", HEAD("meta/content") VOCABULARY("content") SCHEMA_TYPE
     "\"properties\":{\"contentEncoding\":" TEXT ",\"contentMediaType\":" TEXT ",\"contentSchema\":" META
     "}}"},
    {"http://json-schema.org/draft-07/schema",
     "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"$id\":\"http://json-schema.org/draft-07/"
     "schema#\"," SCHEMA_TYPE "\"properties\":{\"$id\":{\"type\":\"string\",\"format\":\"uri-reference\"},"
     "\"$schema\":{\"type\":\"string\",\"format\":\"uri\"},\"$ref\":{\"type\":\"string\",\"format\":\"uri-"
     "reference\"},"
     "\"$comment\":" TEXT ",\"title\":" TEXT ",\"description\":" TEXT
     ",\"default\":true,\"readOnly\":" BOOLEAN ",\"writeOnly\":" BOOLEAN
     ",\"examples\":{\"type\":\"array\"}," TYPE "," LIMITS ",\"items\":{\"anyOf\":[" SELF "," SELF_LIST
     "]},\"additionalItems\":" SELF ",\"contains\":" SELF ",\"properties\":" SELF_MAP
     ",\"patternProperties\":{\"type\":\"object\",\"additionalProperties\":" SELF
     ",\"propertyNames\":{\"format\":\"regex\"}},\"additionalProperties\":" SELF ",\"propertyNames\":" SELF
     ",\"definitions\":" SELF_MAP
     ",\"dependencies\":{\"type\":\"object\",\"additionalProperties\":{\"anyOf\":[" SELF "," TEXTS
     "]}},\"if\":" SELF ",\"then\":" SELF ",\"else\":" SELF ",\"allOf\":" SELF_LIST ",\"anyOf\":" SELF_LIST
     ",\"oneOf\":" SELF_LIST ",\"not\":" SELF ",\"format\":" TEXT ",\"contentMediaType\":" TEXT
     ",\"contentEncoding\":" TEXT "}}"},
};

const char *gw_metaschema_find(const char *uri)
{
    for (size_t i = 0; i < sizeof metaschemas / sizeof *metaschemas; i++)
        if (strcmp(metaschemas[i].uri, uri) == 0)
            return metaschemas[i].text;
    return NULL;
}
