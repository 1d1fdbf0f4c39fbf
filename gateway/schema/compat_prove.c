#include <string.h>

#include "schema/compat_tree.h"

/* What a writer may leave out, a reader must not ask for. */
int gw_compat_contained(struct gw_compat *c, struct gw_compat_tree *writer, struct gw_compat_tree *reader)
{
    if (reader->root->kind != GW_KIND_OBJECT || writer->root->kind != GW_KIND_OBJECT)
        return 0;
    const struct gw_doc_node *has = gw_compat_member(writer, writer->root, "required"),
                             *asks = gw_compat_member(reader, reader->root, "required");
    int rc = 0;
    for (const struct gw_doc_node *name = asks ? asks->first : NULL; name; name = name->next) {
        const struct gw_doc_node *there = has ? has->first : NULL;
        while (there &&
               !(there->text_len == name->text_len && memcmp(there->text, name->text, name->text_len) == 0))
            there = there->next;
        if (!there)
            rc = gw_compat_fault(c, name, "required", "\"%.*s\" may be missing: leave it optional",
                                 (int)(name->text_len > 60 ? 60 : name->text_len), name->text);
    }
    return rc;
}
