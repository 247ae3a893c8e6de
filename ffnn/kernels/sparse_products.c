/* The product of sparse rows with a weight matrix, which has one row per feature.
 *
 * Features are processed in ranges whose weights fit into the cache: all rows of a group use a range before the next
 * one is fetched. A row's sums are formed in the order of its entries, so no bit of them depends on the other rows or
 * on the number of threads.
 */
#include <stdint.h>
#include <string.h>

#include "processor.h"

/* The rows of a group, and the bytes of weights in the cache. */
#define GROUP 64
#define CACHED (1 << 19)
/* The least mean number of a row's entries in a range; with fewer, the search costs more than fetching weights. */
#define FEWEST 4
/* How many entries ahead weights are prefetched. */
#define AHEAD 8

/* Kept in step with the class _Products of sparse_products.py. */
struct products {
    int64_t n_rows, n_features, n_units;
    const int32_t *splits, *columns; /* CSR, in any order of columns; sorted columns are faster */
    const float *values;
    const float *weight; /* (n_features, n_units) */
    float *products;     /* (n_rows, n_units) */
    int32_t lane;        /* the next group of rows to compute */
    int32_t outside;     /* set if a column is not one of the features */
};

/* Add the products of some entries to some units of a row; n_vecs is constant in each inlined copy. */
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

/* Compute the product; each thread calls this once, with the same argument. */
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
