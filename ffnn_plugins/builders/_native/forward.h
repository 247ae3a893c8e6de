/* The forward pass, by the threads of a team. Each computes some panels, or some rows, of every stage. */
#include <pthread.h>
#include <sched.h>

struct team {
    int n;
    int32_t complete; /* whether n is known */
    int32_t waiting, round, asleep;
    pthread_mutex_t lock;
    pthread_cond_t woken;
};

/* Sleeping and waking takes about as long as this many checks whether the others have arrived. */
#define LOOKS 500

/* Wait for the other threads: spin first, since they arrive soon if each has a processor, then sleep. */
static void wait_for_team(struct team *team) {
    if (team->n == 1) return;
    const int32_t round = __atomic_load_n(&team->round, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&team->waiting, 1, __ATOMIC_ACQ_REL) == team->n) {
        __atomic_store_n(&team->waiting, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&team->round, round + 1, __ATOMIC_SEQ_CST);
        if (!__atomic_load_n(&team->asleep, __ATOMIC_SEQ_CST)) return;
        pthread_mutex_lock(&team->lock);
        pthread_cond_broadcast(&team->woken);
        pthread_mutex_unlock(&team->lock);
        return;
    }
    for (int look = 0; look < LOOKS; look++) {
        if (__atomic_load_n(&team->round, __ATOMIC_ACQUIRE) != round) return;
#if defined(__x86_64__)
        _mm_pause();
#endif
    }
    pthread_mutex_lock(&team->lock);
    __atomic_add_fetch(&team->asleep, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&team->round, __ATOMIC_SEQ_CST) == round) pthread_cond_wait(&team->woken, &team->lock);
    __atomic_sub_fetch(&team->asleep, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&team->lock);
}

/* The work of a team: a batch of n rows. */
struct work {
    const struct network *net;
    const struct data *data;
    struct scratch scratch;
    struct team team;
    struct truth truth; /* of the batch's rows */
    int64_t n;
    uint32_t seeds[2];
    struct step step;
};

/* Loop over a thread's share of some pieces of work. */
#define MY_PIECES(count) \
    for (int64_t piece = (count) * me / w->team.n; piece < (count) * (me + 1) / w->team.n; piece++)

/* A product has a piece for each panel of columns and each group of rows, so that narrow stages are shared, too. */
#define GROUP (4 * ROWS)
INLINE int64_t n_groups(const struct work *w) { return (w->n + GROUP - 1) / GROUP; }

INLINE uint32_t mixed(uint32_t h) {
    h = (h ^ (h >> 16)) * 0x7feb352du;
    h = (h ^ (h >> 15)) * 0x846ca68bu;
    return h ^ (h >> 16);
}

/* The random numbers of a stage: number i depends on the step's seed, the stage and i only. */
struct draws {
    uint32_t one, other;
};

INLINE struct draws draws_of(const uint32_t *seeds, int64_t n_random) {
    return (struct draws){mixed(seeds[0]), mixed(seeds[1] + (uint32_t)n_random)};
}

/* A number of 31 bits, since signed integers are faster to compare. */
INLINE int32_t draw(struct draws d, uint32_t i) { return (int32_t)(mixed(mixed(i + d.one) + d.other) >> 1); }

typedef uint32_t whole __attribute__((vector_size(LANE_BYTES), aligned(4), may_alias));
#define N_WHOLE (LANE_BYTES / 4)

/* Write the draws for a row of a panel, from number `first` on. Compilers vectorize draw() only on some processors. */
INLINE void draw_row(struct draws d, uint32_t first, int32_t *drawn) {
    uint32_t steps[N_WHOLE];
    for (uint32_t c = 0; c < N_WHOLE; c++) steps[c] = c;
    for (int64_t c = 0; c < PANEL; c += N_WHOLE) {
        whole h = *(const whole *)steps + (first + (uint32_t)c + d.one);
        h = (h ^ (h >> 16)) * 0x7feb352du;
        h = (h ^ (h >> 15)) * 0x846ca68bu;
        h = (h ^ (h >> 16)) + d.other;
        h = (h ^ (h >> 16)) * 0x7feb352du;
        h = (h ^ (h >> 15)) * 0x846ca68bu;
        *(whole *)(drawn + c) = (h ^ (h >> 16)) >> 1;
    }
}

INLINE int32_t threshold(double rate) { return (int32_t)(rate * 2147483648.0); }

static const REAL SATURATION = (REAL)-1.7580993408473766; /* SELU's limit for large negative values */

/* Copy the rows of a batch. */
static void gather(struct work *w, int me) {
    const struct data *data = w->data;
    const int64_t width = w->net->n_features, panels = n_panels(width), n_rows = w->scratch.n_rows;
    for (int64_t i = me; i < w->n; i += w->team.n) {
        const int64_t row = row_of(&w->truth, i);
        REAL *to = w->scratch.x + i * PANEL;
        if (data->splits) {
            for (int64_t p = 0; p < panels; p++) memset(to + p * n_rows * PANEL, 0, PANEL * sizeof(REAL));
            const int64_t from = data->wide ? ((int64_t *)data->splits)[row] : ((int32_t *)data->splits)[row];
            const int64_t end = data->wide ? ((int64_t *)data->splits)[row + 1] : ((int32_t *)data->splits)[row + 1];
            for (int64_t k = from; k < end; k++) {
                const int64_t j = data->wide ? ((int64_t *)data->columns)[k] : ((int32_t *)data->columns)[k];
                to[j / PANEL * n_rows * PANEL + j % PANEL] += data->values[k];
            }
            continue;
        }
        const REAL *x = data->x + row * data->row_stride;
        for (int64_t p = 0; p < panels; p++, to += n_rows * PANEL) {
            const int64_t here = width_of(width, p);
            if (data->column_stride == 1)
                memcpy(to, x + p * PANEL, here * sizeof(REAL));
            else
                for (int64_t j = 0; j < here; j++) to[j] = x[(p * PANEL + j) * data->column_stride];
        }
    }
}

static void drop(const struct work *w, const struct stage *stage, const REAL *from, REAL *to, REAL *saved, int64_t p,
                 int64_t i, int64_t n) {
    const struct draws draws = draws_of(w->seeds, stage->n_random);
    const int32_t least = threshold(stage->factor);
    const double rate = stage->factor, saturation = SATURATION;
    const int alpha = stage->kind == ALPHA_DROPOUT;
    const REAL scale = (REAL)(alpha ? 1 / sqrt((1 - rate) * (1 + rate * saturation * saturation)) : 1 / (1 - rate));
    const REAL dropped = alpha ? scale * SATURATION : 0, shift = alpha ? -scale * SATURATION * (REAL)rate : 0;
    for (int64_t r = 0; r < n; r++, from += PANEL, to += PANEL, saved += PANEL) {
        const uint32_t first = (uint32_t)((i + r) * stage->n_outputs + p * PANEL);
        int32_t drawn[PANEL];
        draw_row(draws, first, drawn);
        NOT_UNROLLED for (int64_t c = 0; c < PANEL; c++) {
            const REAL stays = (REAL)((uint32_t)(least - 1 - drawn[c]) >> 31); /* 1 or 0, without a branch */
            saved[c] = stays * scale;
            to[c] = saved[c] * from[c] + (1 - stays) * dropped + shift;
        }
    }
}

/* Two uniform draws give a normal one: G. E. P. Box and M. E. Muller (1958). */
static void add_noise(const struct work *w, const struct stage *stage, const REAL *from, REAL *to, int64_t p, int64_t i,
                      int64_t n) {
    const struct draws draws = draws_of(w->seeds, stage->n_random);
    for (int64_t r = 0; r < n; r++)
        for (int64_t c = 0; c < PANEL; c++) {
            const uint32_t at = (uint32_t)((i + r) * stage->n_outputs + p * PANEL + c);
            const double u = (draw(draws, 2 * at) + 0.5) / 2147483648.0, v = draw(draws, 2 * at + 1) / 2147483648.0;
            const double normal = sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
            to[r * PANEL + c] = from[r * PANEL + c] + (REAL)(stage->factor * normal);
        }
}

INLINE const REAL *entering(const struct work *w, int64_t s) { return s ? w->scratch.y[s - 1] : w->scratch.x; }

/* Compute a stage without weights for some rows of a panel. */
static void simple_tile(const struct work *w, int64_t s, int64_t p, int64_t i, int64_t n) {
    const struct stage *stage = w->net->stages + s;
    if (is_random(stage) && !w->scratch.training) return; /* it does nothing, in place */
    const int64_t at = (p * w->scratch.n_rows + i) * PANEL;
    const REAL *from = entering(w, s) + at;
    REAL *to = w->scratch.y[s] + at, *saved = w->scratch.saved[s] ? w->scratch.saved[s] + at : NULL;
    if (stage->kind == FUNCTION) {
        if (to != from) memcpy(to, from, n * PANEL * sizeof(REAL));
        apply_function((int)stage->function, to, saved, n * PANEL);
    } else if (stage->kind == NOISE) {
        add_noise(w, stage, from, to, p, i, n);
    } else {
        drop(w, stage, from, to, saved, p, i, n);
    }
}

/* The end of the stages without weights from s on. */
INLINE int64_t end_of_simple(const struct work *w, int64_t s) {
    while (s < w->scratch.n_stages && is_simple(w->net->stages + s)) s++;
    return s;
}

static void affine_forward(const struct work *w, int64_t s, int64_t end, int me) {
    const struct stage *stage = w->net->stages + s;
    const int64_t n_rows = w->scratch.n_rows;
    const REAL *x = entering(w, s), factor = (REAL)stage->factor, rate = (REAL)stage->bias_rate;
    const int plain = factor == 1 && rate == 1;
    MY_PIECES(n_panels(stage->n_outputs) * n_groups(w)) {
        const int64_t p = piece / n_groups(w), first = piece % n_groups(w) * GROUP;
        const int64_t last = smaller(first + GROUP, w->n);
        const REAL *weight = stage->weight.value + p * stage->n_inputs * PANEL, *bias = stage->bias.value + p * PANEL;
        for (int64_t i = first, n; i < last; i += n) {
            n = tile_rows(last - i);
            REAL *y = w->scratch.y[s] + (p * n_rows + i) * PANEL;
            rows_tile(x + i * PANEL, n_rows, stage->n_inputs, weight, plain ? bias : NULL, y, (int)n,
                      vecs_of(stage->n_outputs, p));
            if (!plain)
                for (int64_t r = 0; r < n; r++)
                    NOT_UNROLLED for (int64_t c = 0; c < PANEL; c++) y[r * PANEL + c] = factor * y[r * PANEL + c] + rate * bias[c];
            for (int64_t t = s + 1; t < end; t++) simple_tile(w, t, p, i, n);
        }
    }
}

/* The first affine stage, whose product is given. */
static void products_forward(const struct work *w, int64_t s, int64_t end, int me) {
    const struct stage *stage = w->net->stages + s;
    for (int64_t p = me; p < n_panels(stage->n_outputs); p += w->team.n) {
        const REAL *bias = stage->bias.value + p * PANEL;
        REAL *y = w->scratch.y[s] + p * w->scratch.n_rows * PANEL;
        for (int64_t i = 0; i < w->n; i++) {
            const REAL *from = w->data->products + (w->truth.first + i) * stage->n_outputs + p * PANEL;
            for (int64_t c = 0; c < width_of(stage->n_outputs, p); c++) y[i * PANEL + c] = from[c] + bias[c];
        }
        for (int64_t t = s + 1; t < end; t++) simple_tile(w, t, p, 0, w->n);
    }
}

static void layer_norm_forward(const struct work *w, int64_t s, int me) {
    const struct stage *stage = w->net->stages + s;
    const int64_t width = stage->n_outputs, pitch = w->scratch.n_rows * PANEL;
    for (int64_t i = me; i < w->n; i += w->team.n) {
        const REAL *x = entering(w, s) + i * PANEL;
        REAL *y = w->scratch.y[s] + i * PANEL, sum = 0, squares = 0;
        for (int64_t j = 0; j < width; j++) sum += x[j / PANEL * pitch + j % PANEL];
        const REAL mean = sum / (REAL)width;
        for (int64_t j = 0; j < width; j++) {
            const REAL centred = x[j / PANEL * pitch + j % PANEL] - mean;
            squares += centred * centred;
        }
        const REAL scale = 1 / SQRT(squares / (REAL)width + (REAL)stage->factor);
        for (int64_t j = 0; j < width; j++) {
            const int64_t at = j / PANEL * pitch + j % PANEL;
            y[at] = (x[at] - mean) * scale * stage->weight.value[j] + stage->bias.value[j];
        }
        if (!w->scratch.saved[s]) continue;
        w->scratch.saved[s][2 * i] = mean;
        w->scratch.saved[s][2 * i + 1] = scale;
    }
}

/* Multiply each value, or each negative value, by the factor of its column. */
static void scale_columns(const struct work *w, int64_t s, int me) {
    const struct stage *stage = w->net->stages + s;
    for (int64_t p = me; p < n_panels(stage->n_outputs); p += w->team.n) {
        const int64_t at = p * w->scratch.n_rows * PANEL;
        const REAL *x = entering(w, s) + at, *factors = stage->weight.value + p * PANEL;
        const REAL rate = (REAL)stage->factor;
        REAL *y = w->scratch.y[s] + at;
        for (int64_t i = 0; i < w->n; i++, x += PANEL, y += PANEL)
            NOT_UNROLLED for (int64_t c = 0; c < PANEL; c++)
                y[c] = stage->kind == SCALE ? x[c] * (rate * factors[c]) : x[c] > 0 ? x[c] : factors[c] * x[c];
    }
}

/* Compute all stages for the batch. */
static void forward(struct work *w, int me) {
    int64_t s = 0;
    if (w->data->products) {
        const int64_t first = first_trained(w->net);
        s = end_of_simple(w, first + 1);
        products_forward(w, first, s, me);
        wait_for_team(&w->team);
    } else {
        gather(w, me);
        wait_for_team(&w->team);
    }
    while (s < w->scratch.n_stages) {
        const struct stage *stage = w->net->stages + s;
        const int64_t end = end_of_simple(w, s + 1);
        if (stage->kind == AFFINE) {
            affine_forward(w, s, end, me);
        } else if (is_simple(stage)) {
            for (int64_t p = me; p < n_panels(stage->n_outputs); p += w->team.n)
                for (int64_t t = s; t < end; t++) simple_tile(w, t, p, 0, w->n);
        } else if (stage->kind == LAYER_NORM) {
            layer_norm_forward(w, s, me);
        } else {
            scale_columns(w, s, me);
        }
        s = stage->kind == AFFINE || is_simple(stage) ? end : s + 1;
        wait_for_team(&w->team);
    }
}
