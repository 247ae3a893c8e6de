/* A network as a sequence of stages, and the scratch memory of a batch. */

/* Kept in step with KINDS in network.py. Those up to NOISE are elementwise and have no weights. */
enum kind { FUNCTION, DROPOUT, ALPHA_DROPOUT, NOISE, AFFINE, SCALE, PRELU, LAYER_NORM };

/* Kept in step with the class Stage of library.py. */
struct stage {
    int64_t kind, function, n_inputs, n_outputs;
    int64_t n_random;         /* the number of random stages before it */
    double factor, bias_rate; /* of an affine stage's product and bias; or a scale, a dropout rate, a deviation */
    struct weight weight, bias;
};

/* Kept in step with the class Network of library.py. */
struct network {
    int64_t n_stages, n_features;
    struct stage *stages;
    struct loss loss;
    struct solver solver;
};

/* Kept in step with the class Data of library.py. X is dense or CSR, or its product with the first weight is given. */
struct data {
    const REAL *x;
    int64_t row_stride, column_stride; /* in values */
    const void *splits, *columns;      /* int32, or int64 where `wide` */
    const REAL *values;
    int64_t wide;
    const REAL *products; /* (n, n_units) */
    REAL *gradients;      /* output: the gradients with respect to the products */
    struct truth truth;
};

INLINE int is_simple(const struct stage *s) { return s->kind <= NOISE; }
INLINE int is_random(const struct stage *s) { return s->kind == DROPOUT || s->kind == ALPHA_DROPOUT || s->kind == NOISE; }

/* The values of a batch after each stage, and its gradients. */
struct scratch {
    int64_t n_rows;    /* the largest batch */
    int64_t n_stages;  /* the number of stages to compute */
    int64_t width;     /* the most columns of gradients, in whole panels */
    int training;
    REAL *x;           /* the batch */
    REAL **y;          /* the output of each stage */
    REAL **saved;      /* for the backward pass: derivatives, dropout's factors, or the mean and scale of each row */
    REAL *gradients[2]; /* of the loss with respect to a stage's output; alternating */
    REAL *transposed;  /* a panel of weights for each thread */
    REAL *rows;        /* 2 * N_LANES rows of scores for each thread */
    REAL *losses;      /* of each row */
    void *memory;
};

/* The first stage with weights, or the number of stages if there is none. */
static int64_t first_trained(const struct network *net) {
    int64_t s = 0;
    while (s < net->n_stages && is_simple(net->stages + s)) s++;
    return s;
}

/* How far the backward pass goes. */
enum reach { NOWHERE, TO_WEIGHTS, TO_INPUT };

/* The most columns of gradients. */
static int64_t widest(const struct network *net, enum reach reach) {
    int64_t most = reach == TO_INPUT ? net->n_features : 1;
    for (int64_t s = reach == TO_INPUT ? 0 : first_trained(net); s < net->n_stages; s++)
        if (net->stages[s].n_outputs > most) most = net->stages[s].n_outputs;
    return most;
}

/* Whether a stage may overwrite the output of the stage before it. */
static int in_place(const struct network *net, int64_t s, int training) {
    const struct stage *stage = net->stages + s;
    if (is_random(stage) && !training) return 1;
    if (!is_simple(stage)) return 0;
    return s == 0 || (stage->kind == FUNCTION && net->stages[s - 1].kind == AFFINE);
}

/* Between two arrays in the scratch memory there is a gap, in which a sanitizer reports accesses. */
#define GAP 64
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define GUARD(from) ASAN_POISON_MEMORY_REGION(from, GAP)
#else
#define GUARD(from) (void)(from)
#endif

/* Lay out the arrays, in the memory if it is allocated; return the size. */
static size_t lay_out(struct scratch *scratch, const struct network *net, int n_threads, enum reach backward,
                      int from_products) {
    const int64_t n = scratch->n_rows, width = n_panels(widest(net, backward)) * PANEL;
    scratch->width = width;
    size_t used = 0;
#define TAKE(place, count)                                             \
    do {                                                               \
        const size_t size_ = (size_t)(count) * sizeof(*(place));       \
        if (scratch->memory) {                                            \
            place = (void *)((char *)scratch->memory + used);             \
            GUARD((char *)scratch->memory + used + ((size_ + 63) & ~(size_t)63)); \
        }                                                              \
        used += ((size_ + 63) & ~(size_t)63) + GAP;                    \
    } while (0)
    TAKE(scratch->y, net->n_stages + 1);
    TAKE(scratch->saved, net->n_stages + 1);
    TAKE(scratch->x, from_products ? 1 : n * n_panels(net->n_features) * PANEL);
    for (int64_t s = 0; s < net->n_stages; s++) {
        const struct stage *stage = net->stages + s;
        const int64_t size = n * n_panels(stage->n_outputs) * PANEL;
        REAL *y = NULL, *saved = NULL;
        if (!in_place(net, s, scratch->training)) TAKE(y, size);
        const int keeps = stage->kind == FUNCTION ? saves_derivative((int)stage->function) && backward
                                                  : is_random(stage) && scratch->training && stage->kind != NOISE;
        if (keeps) TAKE(saved, size);
        if (stage->kind == LAYER_NORM && backward) TAKE(saved, 2 * n);
        if (!scratch->memory) continue;
        scratch->y[s] = y ? y : s ? scratch->y[s - 1] : scratch->x;
        scratch->saved[s] = saved;
    }
    if (backward) {
        TAKE(scratch->gradients[0], n * width);
        TAKE(scratch->gradients[1], n * width);
        TAKE(scratch->transposed, n_threads * width * PANEL);
    }
    TAKE(scratch->rows, n_threads * n_panels(net->loss.n_outputs) * PANEL * 2 * N_LANES);
    TAKE(scratch->losses, n);
#undef TAKE
    return used;
}

/* Allocate the scratch memory; return whether that succeeded. */
static int allocate_scratch(struct scratch *scratch, const struct network *net, int n_threads, enum reach backward,
                     int from_products) {
    scratch->memory = NULL;
    const size_t size = lay_out(scratch, net, n_threads, backward, from_products);
    /* zeros, since the padding of panels must be finite */
    if (posix_memalign(&scratch->memory, 64, size)) return 0;
    memset(scratch->memory, 0, size);
    lay_out(scratch, net, n_threads, backward, from_products);
    return 1;
}
