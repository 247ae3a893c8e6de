/* A step of Adam in a weight matrix that is multiplied with sparse rows, and the product of the next batch.
 *
 * The matrix has one row per feature. A pass goes through the features once, in order. For each row it computes the
 * gradient, from the entries of the current batch and the gradients of the loss with respect to the products, takes the
 * step, and multiplies the new row with the entries of the next batch. So a step reads and writes the weight and its
 * two means once, and neither a gradient of the weight nor a dense batch is ever in memory.
 *
 * Rows without entries in either batch are skipped. The steps that they postpone are taken when a batch next has
 * entries for them; ffnn/lazy_rows.py has the formulas and the constants.
 *
 * Features are divided into lanes, whose products the caller adds in a fixed order. Each thread takes the next free
 * lane. So results do not depend on the number of threads.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "processor.h"

/* A stored entry of one feature: the row of the batch, and the value. */
struct entry {
    int32_t row;
    float value;
};

/* A batch sorted by features. Lane k's parts of `features` and `starts` begin at k * (lane_size + 1): the features with
 * entries, relative to the lane's first one and terminated by INT32_MAX, and the start of each feature's entries. */
struct batch {
    int32_t *features, *starts;
    struct entry *entries;
};

/* An entry while the batch is sorted. */
struct triple {
    int32_t column, row;
    float value;
};

/* Kept in step with the class _Pass of sparse_adam.py. */
struct pass {
    int64_t n_features, n_units, n_lanes, lane_size;

    float *weight, *mean, *square; /* (n_features, n_units) */
    int32_t *last;                 /* (n_features): the number of steps after which a row was up to date */

    struct batch batch, next;
    const float *gradients; /* (n_rows, pitch): at the products of the current batch; NULL if there is none */
    int64_t pitch;

    int64_t n_next; /* rows of the next batch, as CSR with sorted columns */
    const int32_t *splits, *columns;
    const float *values;
    float *products; /* (n_lanes, n_next, pitch) */

    float step_size, mean_rest, square_rest, epsilon;
    float bound;   /* the largest absolute value of an entry of the gradient */
    float decay;   /* the weight decay, as an L2 penalty */
    float shrink;  /* the fraction by which decoupled weight decay shrinks a weight */
    int32_t every; /* whether each step changes all rows */

    int32_t now; /* the number of steps after this pass */
    int64_t n_ends; /* the number of segments; this and the arrays below are those of StepHistory in lazy_rows.py */
    const int32_t *ends;
    const double *sums; /* (..., 2) */
    const double *logs; /* NULL if no step shrinks the weights */
    const double *mean_decays, *square_decays, *ratio_decays; /* after k steps, of the mean, the square, and the
                                                                 first ratio; the second ratio is that of the mean */

    int32_t *bounds; /* scratch memory, (n_lanes, n_next, 2): each lane's part of each row */
    int32_t *counts; /* scratch memory, (n_lanes, lane_size): the number of entries of each feature */
    struct triple *triples, *more_triples; /* scratch memory for the entries of the next batch */
    int32_t lane;                          /* the next lane to compute */
};

/* Replace counts by the sums of the counts before them. */
static void running_totals(int32_t *counts, int32_t n) {
    for (int32_t d = 0, total = 0; d < n; d++) {
        int32_t here = counts[d];
        counts[d] = total;
        total += here;
    }
}

#include "sparse_adam_by_feature.h"
#include "sparse_adam_gather.h"

/* The number of features in a block: the step and the products follow each other block by block, for some units at a
 * time, so that the weights stay in the cache. */
#define BLOCK 256
/* How many rows ahead weights are prefetched. */
#define AHEAD 4

static int any_nonzero(const float *values, int n) {
    int found = 0;
    for (int t = 0; t < n; t++) found |= values[t] != 0;
    return found;
}

/* Take the postponed steps since step `then` in some units of a row, segment by segment. There is one copy of this
 * function, so that all callers round in the same way: no result may depend on which of them updates a row. */
ONE_COPY static void catch_up(const struct pass *p, int32_t then, int64_t at, int n) {
    float *restrict w = p->weight + at, *restrict m = p->mean + at, *restrict v = p->square + at;
    const float epsilon = p->epsilon;
    if (!p->logs && !any_nonzero(v, n) && !any_nonzero(m, n)) return; /* no batch has had this feature yet */
    int64_t segment = p->n_ends;
    while (segment > 0 && p->ends[segment - 1] > then) segment--;
    for (; then != p->now; segment++) {
        const int32_t end = p->ends[segment], to = end < p->now ? end : p->now, gap = to - then;
        const double shrunk = p->logs ? exp(p->logs[to + segment] - p->logs[then + segment]) : 1;
        const double *from = p->sums + 2 * (then + segment), *rest = p->sums + 2 * (to + segment);
        const float first = (float)(shrunk * from[0] - p->ratio_decays[gap] * rest[0]);
        const float second = (float)(shrunk * from[1] - p->mean_decays[gap] * rest[1]);
        const float kept = (float)shrunk, mean = (float)p->mean_decays[gap], square = (float)p->square_decays[gap];
        for (int t = 0; t < n; t++) {
            float root = sqrtf(v[t]), share = root / (root + epsilon), step = m[t] / (root + epsilon);
            w[t] = kept * w[t] - step * (first * share + second * (1 - share));
            m[t] *= mean;
            v[t] *= square;
        }
        then = to;
    }
}

INLINE void step(const struct pass *p, const float *restrict gradient, int64_t at, int n) {
    float *restrict w = p->weight + at, *restrict m = p->mean + at, *restrict v = p->square + at;
    const float size = p->step_size, mean_rest = p->mean_rest, square_rest = p->square_rest, epsilon = p->epsilon;
    const float bound = p->bound, decay = p->decay, kept = 1 - p->shrink;
    for (int t = 0; t < n; t++) {
        float g = gradient[t];
        g = g > bound ? bound : g;
        g = g < -bound ? -bound : g;
        g += decay * w[t];
        float mean = m[t] + (g - m[t]) * mean_rest;
        float square = v[t] + (g * g - v[t]) * square_rest;
        m[t] = mean;
        v[t] = square;
        w[t] = kept * w[t] - size * mean / (sqrtf(square) + epsilon);
    }
}

/* The entries of a feature. */
struct span {
    const struct entry *from, *to;
};

/* A feature, and the work in its row. */
struct feature {
    int64_t j;
    struct span entries; /* in the current batch */
    int32_t last; /* the number of steps after which its row was up to date */
    int postponed;
};

/* Take the step, or the postponed steps, in some units of a feature's row; n_vecs is constant in each inlined copy. */
INLINE void update_row(const struct pass *p, const struct feature *f, int64_t u, int n_vecs) {
    const int64_t at = f->j * p->n_units + u;
    if (p->gradients && (f->entries.from < f->entries.to || p->every)) {
        vec sums[VECS];
        float gradient[VECS * WIDTH];
#pragma GCC unroll 8
        for (int t = 0; t < n_vecs; t++) sums[t] = (vec){0};
        for (const struct entry *e = f->entries.from; e < f->entries.to; e++) {
            const vec *of_row = (const vec *)(p->gradients + e->row * p->pitch + u);
#pragma GCC unroll 8
            for (int t = 0; t < n_vecs; t++) sums[t] += e->value * of_row[t];
        }
#pragma GCC unroll 8
        for (int t = 0; t < n_vecs; t++) ((vec *)gradient)[t] = sums[t];
        step(p, gradient, at, n_vecs * WIDTH);
    } else if (f->postponed) {
        catch_up(p, f->last, at, n_vecs * WIDTH);
    }
}

/* Add the products of a block's entries to some units of the next products. */
INLINE void multiply(const struct pass *p, const int32_t *bounds, int64_t u, int n_vecs, float *products) {
    for (int64_t i = 0; i < p->n_next; i++) {
        const int32_t from = bounds[2 * i], to = bounds[2 * i + 1];
        if (from == to) continue;
        vec sums[VECS], *product = (vec *)(products + i * p->pitch + u);
#pragma GCC unroll 8
        for (int t = 0; t < n_vecs; t++) sums[t] = product[t];
        for (int32_t k = from; k < to; k++) {
            const vec *w = (const vec *)(p->weight + p->columns[k] * p->n_units + u);
#pragma GCC unroll 8
            for (int t = 0; t < n_vecs; t++) sums[t] += p->values[k] * w[t];
        }
#pragma GCC unroll 8
        for (int t = 0; t < n_vecs; t++) product[t] = sums[t];
    }
}

/* Do both for the last units, which are fewer than a vector has. */
static void last_units(const struct pass *p, const struct feature *block, int n, const int32_t *bounds, int64_t u,
                       float *products) {
    const int n_units = (int)(p->n_units - u);
    for (const struct feature *f = block; f < block + n; f++) {
        const int64_t at = f->j * p->n_units + u;
        if (p->gradients && (f->entries.from < f->entries.to || p->every)) {
            float gradient[WIDTH] = {0};
            for (const struct entry *e = f->entries.from; e < f->entries.to; e++)
                for (int t = 0; t < n_units; t++) gradient[t] += e->value * p->gradients[e->row * p->pitch + u + t];
            step(p, gradient, at, n_units);
        } else if (f->postponed) {
            catch_up(p, f->last, at, n_units);
        }
    }
    for (int64_t i = 0; i < p->n_next; i++)
        for (int32_t k = bounds[2 * i]; k < bounds[2 * i + 1]; k++)
            for (int t = 0; t < n_units; t++)
                products[i * p->pitch + u + t] += p->values[k] * p->weight[p->columns[k] * p->n_units + u + t];
}

INLINE void prefetch(const struct pass *p, const struct feature *f, int64_t u, int n_vecs) {
    const int64_t at = f->j * p->n_units + u;
    for (int t = 0; t < n_vecs; t++) {
        __builtin_prefetch(p->weight + at + t * WIDTH, 1);
        if (!p->gradients && !f->postponed) continue;
        __builtin_prefetch(p->mean + at + t * WIDTH, 1);
        __builtin_prefetch(p->square + at + t * WIDTH, 1);
    }
}

/* The position in a lane's features, in the current and in the next batch. */
struct walk {
    int64_t low, high, j;
    const int32_t *features, *starts, *next_features, *next_starts;
};

static int next_feature(const struct pass *p, struct walk *walk, struct feature *f) {
    int32_t current = p->gradients ? *walk->features : INT32_MAX, next = p->n_next ? *walk->next_features : INT32_MAX;
    int32_t c = current < next ? current : next;
    if (p->every && p->gradients) c = walk->j < walk->high ? (int32_t)(walk->j++ - walk->low) : INT32_MAX;
    if (c == INT32_MAX) return 0;
    *f = (struct feature){.j = walk->low + c};
    if (current == c) {
        f->entries = (struct span){p->batch.entries + walk->starts[0], p->batch.entries + walk->starts[1]};
        walk->features++;
        walk->starts++;
    }
    if (next == c) {
        walk->next_features++;
        walk->next_starts++;
    }
    f->last = p->last[f->j];
    f->postponed = !p->every && current != c && f->last != p->now;
    return 1;
}

static int64_t first_of(const struct pass *p, int64_t lane) {
    const int64_t first = lane * p->lane_size;
    return first < p->n_features ? first : p->n_features;
}

static void pass_lane(const struct pass *p, int64_t lane) {
    const int64_t low = first_of(p, lane), high = first_of(p, lane + 1);
    const int64_t at = lane * (p->lane_size + 1);
    int32_t *bounds = p->bounds + 2 * lane * p->n_next;
    float *products = p->products + lane * p->n_next * p->pitch;

    if (p->n_next) {
        int32_t before, n = find(p, bounds, low, high, &before);
        memset(products, 0, p->n_next * p->pitch * sizeof *products);
        p->next.features[at] = INT32_MAX;
        if (n > (high - low) / 8)
            by_counting(p, bounds, low, high - low, before, p->counts + lane * p->lane_size, p->next.features + at,
                        p->next.starts + at);
        else if (n)
            by_digits(p, bounds, low, high - low, before, n, p->next.features + at, p->next.starts + at);
    }
    struct walk walk = {low, high, low, p->batch.features + at, p->batch.starts + at, p->next.features + at,
                        p->next.starts + at};
    for (;;) {
        struct feature block[BLOCK];
        int n = 0;
        while (n < BLOCK && next_feature(p, &walk, block + n)) n++;
        if (!n) break;
        for (int64_t i = 0; i < p->n_next; i++) {
            int32_t to = bounds[2 * i];
            while (to < p->splits[i + 1] && p->columns[to] <= block[n - 1].j) to++;
            bounds[2 * i + 1] = to;
        }
        int64_t u = 0;
        for (; u + VECS * WIDTH <= p->n_units; u += VECS * WIDTH) {
            for (int k = 0; k < n; k++) {
                if (k + AHEAD < n) prefetch(p, block + k + AHEAD, u, VECS);
                update_row(p, block + k, u, VECS);
            }
            multiply(p, bounds, u, VECS, products);
        }
        for (; u + WIDTH <= p->n_units; u += WIDTH) {
            for (int k = 0; k < n; k++) update_row(p, block + k, u, 1);
            multiply(p, bounds, u, 1, products);
        }
        if (u < p->n_units) last_units(p, block, n, bounds, u, products);
        for (int k = 0; k < n; k++) p->last[block[k].j] = p->now;
        for (int64_t i = 0; i < p->n_next; i++) bounds[2 * i] = bounds[2 * i + 1];
    }
}

static void settle_lane(const struct pass *p, int64_t lane) {
    for (int64_t j = first_of(p, lane); j < first_of(p, lane + 1); j++) {
        const int64_t at = j * p->n_units;
        const int32_t then = p->last[j];
        if (then == p->now) continue;
        p->last[j] = p->now;
        int64_t u = 0; /* in the same parts of a row as in a pass */
        for (; u + VECS * WIDTH <= p->n_units; u += VECS * WIDTH) catch_up(p, then, at + u, VECS * WIDTH);
        for (; u + WIDTH <= p->n_units; u += WIDTH) catch_up(p, then, at + u, WIDTH);
        if (u < p->n_units) catch_up(p, then, at + u, (int)(p->n_units - u));
    }
}

static void each_lane(struct pass *p, void (*function)(const struct pass *, int64_t)) {
    const unsigned int before = flush_tiny();
    for (;;) {
        int32_t lane = __atomic_fetch_add(&p->lane, 1, __ATOMIC_RELAXED);
        if (lane >= p->n_lanes) break;
        function(p, lane);
    }
    restore_tiny(before);
}

/* Run a pass; each thread calls this once, with the same argument. */
void ffnn_pass(struct pass *p) { each_lane(p, pass_lane); }

/* Bring all rows up to date; each thread calls this once, with the same argument. */
void ffnn_settle(struct pass *p) { each_lane(p, settle_lane); }
