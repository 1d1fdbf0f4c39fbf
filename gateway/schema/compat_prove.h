/*
 * Containment, keyword by keyword: what is known of a value because the writer's schema holds (the premise), and what the reader's
 * schema asks of it (the goal). Nothing is concluded that does not follow; what cannot be concluded is a fault.
 */
#ifndef GW_SCHEMA_COMPAT_PROVE_H
#define GW_SCHEMA_COMPAT_PROVE_H

#include "schema/compat_tree.h"

/* What is known of a value. */
struct gw_premise {
    struct gw_compat_list list; /* the writer's schemas that hold */
    struct gw_compat_list nots; /* ... and that do not */
    struct gw_compat_list done; /* whose branches were told apart already */
    unsigned kinds;             /* that it may be of */
};

/* One step of the proof from a value into its members and items; what it says is taken for granted further down. */
struct gw_proof_step {
    const struct gw_proof_step *up;
    const struct gw_premise *premise;
    const struct gw_doc_node *goal;
};

struct gw_prover {
    struct gw_compat *c;
    struct gw_compat_tree *writer, *reader;
    bool closed; /* objects of the writer hold only what it declares */
    const struct gw_proof_step *steps;
    unsigned depth, splits;
};

void gw_premise_free(struct gw_premise *premise);
/* A copy; to be freed, whatever is returned. */
GW_MUST_CHECK int gw_premise_copy(const struct gw_premise *from, struct gw_premise *out);
/* One schema more holds. */
GW_MUST_CHECK int gw_premise_add(struct gw_prover *p, struct gw_premise *premise, struct gw_doc_node *schema);

/* The goal holds of every value that the premise allows: 0, GW_ECONFLICT, or no verdict. */
GW_MUST_CHECK int gw_prove(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *goal);
/* The same for a member or an item, one level deeper in the value. */
GW_MUST_CHECK int gw_prove_child(struct gw_prover *p, const struct gw_premise *premise,
                                 struct gw_doc_node *goal);
/* Without telling of faults. */
GW_MUST_CHECK int gw_prove_quietly(struct gw_prover *p, const struct gw_premise *premise,
                                   struct gw_doc_node *goal);
/* No value that the premise allows is valid by this schema of the reader. */
bool gw_disjoint(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *schema);

/* What a goal's keywords ask, kind by kind; each tells its faults and returns as gw_prove. */
GW_MUST_CHECK int gw_prove_scalars(struct gw_prover *p, const struct gw_premise *premise,
                                   struct gw_doc_node *const goal[GW_KW_COUNT]);
GW_MUST_CHECK int gw_prove_object(struct gw_prover *p, const struct gw_premise *premise,
                                  struct gw_doc_node *schema, struct gw_doc_node *const goal[GW_KW_COUNT]);
GW_MUST_CHECK int gw_prove_array(struct gw_prover *p, const struct gw_premise *premise,
                                 struct gw_doc_node *schema, struct gw_doc_node *const goal[GW_KW_COUNT]);

/* --- objects, also for gw_disjoint --- */

bool gw_premise_requires(struct gw_prover *p, const struct gw_premise *premise, const char *name, size_t len);
/* *out: what is known of this member if it is there; false in *out_possible: it never is. out to be freed. */
GW_MUST_CHECK int gw_premise_member(struct gw_prover *p, const struct gw_premise *premise, const char *name,
                                    size_t len, struct gw_premise *out, bool *out_possible);

/* --- values and texts --- */

enum gw_truth { GW_NO, GW_YES, GW_UNKNOWN };
/* Whether a value that stands in a schema (const, enum) is valid by another. */
enum gw_truth gw_compat_eval(struct gw_compat *c, struct gw_compat_tree *tree, struct gw_doc_node *schema,
                             const struct gw_doc_node *value, unsigned depth);
/* The only values that the premise allows: an array node (enum), or one value (const); NULL: not so few. */
const struct gw_doc_node *gw_premise_values(struct gw_prover *p, const struct gw_premise *premise,
                                            bool *out_many);
bool gw_compat_equal(const struct gw_doc_node *a, const struct gw_doc_node *b);
/* The same text means the same in both trees: a short way, true only if it is so. */
bool gw_compat_same(struct gw_prover *p, struct gw_doc_node *writer, struct gw_doc_node *reader);
/* 1, 0; anything else is no verdict. */
int gw_compat_matches(struct gw_compat *c, const char *pattern, size_t pattern_len, const char *text,
                      size_t len);
uint64_t gw_compat_length(const char *text, size_t len);

static inline int gw_worse(int a, int b)
{
    if (a != 0 && a != GW_ECONFLICT)
        return a;
    return b != 0 ? b : a;
}

#endif
