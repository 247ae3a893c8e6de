/* The solvers' steps. */

/* Kept in step with SOLVERS in network.py. */
enum solver_kind { PLAIN, MOMENTUM, NESTEROV, ADAM, RMSPROP, ADAGRAD };

/* Kept in step with the class Solver of library.py. */
struct solver {
    int64_t kind;
    double momentum;
    double mean_rest, square_rest; /* 1 - the decay rates of the running means of the gradient and of its square */
    double epsilon;
};

/* The numbers of one step. */
struct step {
    const struct solver *solver;
    REAL size, decay, shrink; /* the last two apply only to weights that decay */
    REAL bound;               /* the largest absolute value of an entry of the gradient */
    REAL factor;              /* by which the gradient is scaled if its norm is too large */
};

/* Kept in step with the class Weight of library.py. */
struct weight {
    REAL *value, *slots[2], *gradient;
    int64_t decays;
};

INLINE void step_by(const int kind, const struct step *s, const struct weight *weight, int64_t at,
                    const REAL *restrict gradient, int64_t n, int n_vecs) {
    REAL *restrict w = weight->value + at;
    REAL *restrict a = weight->slots[0] + at, *restrict b = weight->slots[1] + at;
    const REAL size = s->size, bound = s->bound, factor = s->factor;
    const REAL decay = weight->decays ? s->decay : 0, shrink = weight->decays ? s->shrink : 0;
    const REAL momentum = (REAL)s->solver->momentum;
    const REAL mean_rest = (REAL)s->solver->mean_rest, square_rest = (REAL)s->solver->square_rest;
    const REAL epsilon = (REAL)s->solver->epsilon;
    for (int64_t i = 0; i < n; i += n_vecs == 1 ? PANEL : N_LANES)
        INDEPENDENT NOT_UNROLLED for (int64_t c = i; c < i + N_LANES; c++) {
            REAL g = gradient[c] * factor, value = w[c];
            g = g > bound ? bound : g;
            g = g < -bound ? -bound : g;
            g += decay * value;
            value -= shrink * value;
            if (kind == PLAIN) {
                value -= size * g;
            } else if (kind == MOMENTUM || kind == NESTEROV) {
                const REAL step = size * g, velocity = momentum * a[c] - step;
                a[c] = velocity;
                value += kind == NESTEROV ? momentum * velocity - step : velocity;
            } else if (kind == ADAM) {
                const REAL mean = a[c] + (g - a[c]) * mean_rest, square = b[c] + (g * g - b[c]) * square_rest;
                a[c] = mean;
                b[c] = square;
                value -= size * mean / (SQRT(square) + epsilon);
            } else {
                const REAL square = kind == RMSPROP ? a[c] + (g * g - a[c]) * square_rest : a[c] + g * g;
                a[c] = square;
                value -= size * g / (SQRT(square) + epsilon);
            }
            w[c] = value;
        }
}

/* Update n entries of a weight, some rows of a panel, given their gradient; the first vector of each row or both. */
static void take_step(const struct step *s, const struct weight *weight, int64_t at, const REAL *gradient, int64_t n,
                      int n_vecs) {
    switch (s->solver->kind) {
#define CALL(KIND)                                     \
    case KIND:                                         \
        step_by(KIND, s, weight, at, gradient, n, n_vecs); \
        return;
        CALL(PLAIN) CALL(MOMENTUM) CALL(NESTEROV) CALL(ADAM) CALL(RMSPROP) CALL(ADAGRAD)
#undef CALL
    }
}

/* The use of a weight's gradient. */
enum purpose { STEP, KEEP, ADD, NOTHING };

static void use_gradient(enum purpose purpose, const struct step *s, const struct weight *weight, int64_t at,
                         const REAL *restrict gradient, int64_t n, int n_vecs) {
    if (purpose == STEP) {
        take_step(s, weight, at, gradient, n, n_vecs);
        return;
    }
    REAL *restrict sum = weight->gradient + at;
    for (int64_t c = 0; c < n; c++) sum[c] = purpose == ADD ? sum[c] + gradient[c] : gradient[c];
}
