/* The product of sparse rows with a weight matrix, which has a row a feature.
 *
 * Some features' weights fit into the cache; each of a group of rows takes what it has stored there before the next ones
 * are fetched. A row's sums are those of its entries in their order, whatever the rows beside it and the number of
 * threads: no bit depends on these.
 */
#include <stdint.h>
#include <string.h>

#include "processor.h"

/* Rows that share the weights in the cache, and bytes of these. */
#define GROUP 64
#define CACHED (1 << 19)
/* Entries that a row is to have among some features; to look for fewer takes longer than to fetch weights again. */
#define FEWEST 4
/* Entries ahead of the one at hand whose weights are asked for. */
#define AHEAD 8

/* Kept in step with the class _Products of sparse_products.py. */
struct products {
    int64_t n_rows, n_features, n_units;
    const int32_t *splits, *columns; /* CSR; columns in order are fast, in any order they are right */
    const float *values;
    const float *weight; /* (n_features, n_units) */
    float *products;     /* (n_rows, n_units) */
    int32_t lane;        /* the next group of rows that nobody has taken */
    int32_t outside;     /* set where a column is not one of the features */
};

/* Add to some units of a row what some entries make of their weights; n_vecs is a constant wherever this is inlined. */
INLINE void add(const struct products *p, int32_t from, int32_t to, int32_t end, int64_t u, int n_vecs, float *row) {
    vec sums[VECS], *product = (vec *)(row + u);
#pragma GCC unroll 8
    for (int t = 0; t < n_vecs; t++) sums[t] = product[t];
    for (int32_t k = from; k < to; k++) {
        const vec *w = (const vec *)(p->weight + p->columns[k] * p->n_units + u);
        if (k + AHEAD < end) {
            const float *ahead = p->weight + p->columns[k + AHEAD] * p->n_units + u;
#pragma GCC unroll 8
            for (int t = 0; t < n_vecs; t++) __builtin_prefetch(ahead + t * WIDTH);
        }
#pragma GCC unroll 8
        for (int t = 0; t < n_vecs; t++) sums[t] += p->values[k] * w[t];
    }
#pragma GCC unroll 8
    for (int t = 0; t < n_vecs; t++) product[t] = sums[t];
}

static void add_all(const struct products *p, int32_t from, int32_t to, int32_t end, float *row) {
    int64_t u = 0;
    for (; u + VECS * WIDTH <= p->n_units; u += VECS * WIDTH) add(p, from, to, end, u, VECS, row);
    if (u + 4 * WIDTH <= p->n_units) {
        add(p, from, to, end, u, 4, row);
        u += 4 * WIDTH;
    }
    for (; u + WIDTH <= p->n_units; u += WIDTH) add(p, from, to, end, u, 1, row);
    const int n = (int)(p->n_units - u);
    if (!n) return;
    float sums[WIDTH] = {0};
    memcpy(sums, row + u, n * sizeof(float));
    for (int32_t k = from; k < to; k++) {
        const float value = p->values[k], *w = p->weight + p->columns[k] * p->n_units + u;
        for (int t = 0; t < n; t++) sums[t] += value * w[t];
    }
    memcpy(row + u, sums, n * sizeof(float));
}

static void multiply(const struct products *p, int64_t first, int64_t n) {
    const int64_t n_stored = p->splits[first + n] - p->splits[first];
    const int64_t cached = CACHED / (sizeof(float) * p->n_units), least = FEWEST * n * p->n_features / (n_stored + 1);
    const int64_t n_at_once = 1 + (cached > least ? cached : least);
    int32_t at[GROUP];
    for (int64_t i = 0; i < n; i++) at[i] = p->splits[first + i];
    memset(p->products + first * p->n_units, 0, n * p->n_units * sizeof(float));
    for (int64_t low = 0; low < p->n_features; low += n_at_once) {
        const int64_t high = low + n_at_once;
        for (int64_t i = 0; i < n; i++) {
            const int32_t from = at[i], end = p->splits[first + i + 1];
            int32_t to = from;
            float *row = p->products + (first + i) * p->n_units;
            while (to < end && (p->columns[to] < high || high >= p->n_features)) to++;
            if (from == to) continue;
            add_all(p, from, to, end, row);
            at[i] = to;
        }
    }
}

/* Take part in the product; each thread calls it once, with the same argument. */
void ffnn_products(struct products *p) {
    const unsigned int before = flush_tiny();
    for (;;) {
        const int64_t first = GROUP * (int64_t)__atomic_fetch_add(&p->lane, 1, __ATOMIC_RELAXED);
        if (first >= p->n_rows) break;
        const int64_t n = p->n_rows - first < GROUP ? p->n_rows - first : GROUP;
        const int32_t from = p->splits[first];
        if (any_outside(p->columns + from, p->splits[first + n] - from, p->n_features))
            __atomic_store_n(&p->outside, 1, __ATOMIC_RELAXED);
        else
            multiply(p, first, n);
    }
    restore_tiny(before);
}
