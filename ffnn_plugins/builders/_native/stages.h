/* A network as the stages that batches go through, and the room in which they do so. */

/* Kept in step with KINDS in network.py. Those up to NOISE act on each value alone and have no weights. */
enum kind { FUNCTION, DROPOUT, ALPHA_DROPOUT, NOISE, AFFINE, SCALE, PRELU, LAYER_NORM };

/* Kept in step with the class Stage of library.py. */
struct stage {
    int64_t kind, function, n_inputs, n_outputs;
    int64_t n_random;         /* which one of the random stages it is */
    double factor, bias_rate; /* of an affine stage's product and bias; of a scale; a share dropped; a deviation */
    struct weight weight, bias;
};

/* Kept in step with the class Network of library.py. */
struct network {
    int64_t n_stages, n_features;
    struct stage *stages;
    struct loss loss;
    struct solver solver;
};

/* Kept in step with the class Data of library.py. X is dense, or CSR, or known by its product with the first weights. */
struct data {
    const REAL *x;
    int64_t row_stride, column_stride; /* in values */
    const void *splits, *columns;      /* int32, or int64 where `wide` */
    const REAL *values;
    int64_t wide;
    const REAL *products; /* (n, n_units) */
    REAL *slopes;         /* as many: written to */
    struct truth truth;
};

INLINE int is_simple(const struct stage *s) { return s->kind <= NOISE; }
INLINE int is_random(const struct stage *s) { return s->kind == DROPOUT || s->kind == ALPHA_DROPOUT || s->kind == NOISE; }

/* What a batch has become after each stage. */
struct room {
    int64_t n_rows;    /* that there is room for */
    int64_t n_stages;  /* that batches go through */
    int64_t width;     /* of slopes, at most; whole panels */
    int training;
    REAL *x;           /* the batch */
    REAL **y;          /* what each stage makes of it */
    REAL **kept;       /* for its slopes: what a function keeps, what dropout multiplies by, a row's mean and scale */
    REAL *slopes[2];   /* of the loss, at some stage */
    REAL *transposed;  /* a panel of weights for each thread */
    REAL *rows;        /* two rows of scores */
    void *memory;
};

/* The first stage that has weights; the number of stages where none has. */
static int64_t first_trained(const struct network *net) {
    int64_t s = 0;
    while (s < net->n_stages && is_simple(net->stages + s)) s++;
    return s;
}

/* How far slopes are taken back, if they are. */
enum reach { NOWHERE, TO_WEIGHTS, TO_INPUT };

/* The most columns that slopes have. */
static int64_t widest(const struct network *net, enum reach reach) {
    int64_t most = reach == TO_INPUT ? net->n_features : 1;
    for (int64_t s = reach == TO_INPUT ? 0 : first_trained(net); s < net->n_stages; s++)
        if (net->stages[s].n_outputs > most) most = net->stages[s].n_outputs;
    return most;
}

/* Whether a stage's values may replace those of the stage before it. */
static int in_place(const struct network *net, int64_t s, int training) {
    const struct stage *stage = net->stages + s;
    if (is_random(stage) && !training) return 1;
    if (!is_simple(stage)) return 0;
    return s == 0 || (stage->kind == FUNCTION && net->stages[s - 1].kind == AFFINE);
}

/* What lies between two arrays in the room is nobody's; a sanitizer is told so. */
#define GAP 64
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define GUARD(from) ASAN_POISON_MEMORY_REGION(from, GAP)
#else
#define GUARD(from) (void)(from)
#endif

/* Lay out the room, in memory if there is some; return its size. */
static size_t lay_out(struct room *room, const struct network *net, int n_threads, enum reach backward,
                      int from_products) {
    const int64_t n = room->n_rows, width = n_panels(widest(net, backward)) * PANEL;
    room->width = width;
    size_t used = 0;
#define TAKE(place, count)                                             \
    do {                                                               \
        const size_t size_ = (size_t)(count) * sizeof(*(place));       \
        if (room->memory) {                                            \
            place = (void *)((char *)room->memory + used);             \
            GUARD((char *)room->memory + used + ((size_ + 63) & ~(size_t)63)); \
        }                                                              \
        used += ((size_ + 63) & ~(size_t)63) + GAP;                    \
    } while (0)
    TAKE(room->y, net->n_stages + 1);
    TAKE(room->kept, net->n_stages + 1);
    TAKE(room->x, from_products ? 1 : n * n_panels(net->n_features) * PANEL);
    for (int64_t s = 0; s < net->n_stages; s++) {
        const struct stage *stage = net->stages + s;
        const int64_t size = n * n_panels(stage->n_outputs) * PANEL;
        REAL *y = NULL, *kept = NULL;
        if (!in_place(net, s, room->training)) TAKE(y, size);
        const int keeps = stage->kind == FUNCTION ? keeps_slope((int)stage->function) && backward
                                                  : is_random(stage) && room->training && stage->kind != NOISE;
        if (keeps) TAKE(kept, size);
        if (stage->kind == LAYER_NORM && backward) TAKE(kept, 2 * n);
        if (!room->memory) continue;
        room->y[s] = y ? y : s ? room->y[s - 1] : room->x;
        room->kept[s] = kept;
    }
    if (backward) {
        TAKE(room->slopes[0], n * width);
        TAKE(room->slopes[1], n * width);
        TAKE(room->transposed, n_threads * width * PANEL);
    }
    TAKE(room->rows, 2 * n_panels(net->loss.n_outputs) * PANEL);
#undef TAKE
    return used;
}

/* Make room; return whether there was memory. */
static int make_room(struct room *room, const struct network *net, int n_threads, enum reach backward,
                     int from_products) {
    room->memory = NULL;
    const size_t size = lay_out(room, net, n_threads, backward, from_products);
    /* zeros: what fills up a panel is finite */
    if (posix_memalign(&room->memory, 64, size)) return 0;
    memset(room->memory, 0, size);
    lay_out(room, net, n_threads, backward, from_products);
    return 1;
}
