/* The losses of the built-in outputs, and their gradients. ffnn_plugins/outputs/_losses.py has the formulas. */

/* Kept in step with LOSSES in network.py. */
enum loss_kind { SOFTMAX, SIGMOID_CROSS_ENTROPY, SQUARED, ABSOLUTE, HUBER, PINBALL, POISSON };

/* Kept in step with the class Loss of library.py. */
struct loss {
    int64_t kind, n_outputs;
    int64_t focal;    /* whether it is a focal loss, with gamma */
    int64_t weighted; /* whether each row has n_outputs weights of its entries after its n_outputs targets */
    double gamma, smoothing, quantile;
};

#define LEAST_REST ((REAL)1e-7)
#define HIGHEST_LOG ((REAL)60)

/* Return the loss of a class, given its -log p, and the derivative with respect to that. */
INLINE REAL shaped(const struct loss *l, REAL entropy, REAL *growth) {
    *growth = 1;
    if (!l->focal) return entropy;
    const REAL gamma = (REAL)l->gamma, p = exp_of(-entropy);
    const REAL rest = 1 - p > LEAST_REST ? 1 - p : LEAST_REST, power = POW(rest, gamma);
    *growth = power + (1 - p > LEAST_REST ? gamma * power / rest * p * entropy : 0);
    return power * entropy;
}

#define EACH_LANE NOT_UNROLLED for (int64_t r = 0; r < N_LANES; r++)

/* Write the losses of N_LANES rows, and their gradients, from the scores: entry j of row r is at j * N_LANES + r. */
static void softmax_losses(const struct loss *l, const REAL *restrict scores, const int32_t *target,
                           REAL *restrict gradients, REAL *restrict losses) {
    const int64_t n = l->n_outputs, size = n * N_LANES;
    const REAL smoothing = (REAL)l->smoothing, each = smoothing / (REAL)n;
    REAL highest[N_LANES], sums[N_LANES], logs[N_LANES], growth[N_LANES], pull[N_LANES];
    EACH_LANE highest[r] = scores[r];
    for (int64_t j = N_LANES; j < size; j += N_LANES)
        EACH_LANE highest[r] = scores[j + r] > highest[r] ? scores[j + r] : highest[r];
    EACH_LANE sums[r] = 0;
    for (int64_t j = 0; j < size; j += N_LANES) {
        EACH_LANE gradients[j + r] = exp_of(scores[j + r] - highest[r]);
        EACH_LANE sums[r] += gradients[j + r];
    }
    for (int64_t r = 0; r < N_LANES; r++) logs[r] = LOG(sums[r]) + highest[r];
    if (!smoothing) {
        for (int64_t r = 0; r < N_LANES; r++)
            losses[r] = shaped(l, logs[r] - scores[target[r] * N_LANES + r], growth + r);
        EACH_LANE pull[r] = growth[r] / sums[r];
        for (int64_t j = 0; j < size; j += N_LANES) EACH_LANE gradients[j + r] *= pull[r];
        for (int64_t r = 0; r < N_LANES; r++) gradients[target[r] * N_LANES + r] -= growth[r];
        return;
    }
    for (int64_t r = 0; r < N_LANES; r++) {
        losses[r] = pull[r] = 0;
        for (int64_t j = 0; j < n; j++) {
            const REAL share = each + (j == target[r] ? 1 - smoothing : 0);
            losses[r] += share * shaped(l, logs[r] - scores[j * N_LANES + r], growth + r);
            pull[r] += share * growth[r];
        }
        for (int64_t j = 0; j < n; j++) {
            const REAL share = each + (j == target[r] ? 1 - smoothing : 0);
            REAL *gradient = gradients + j * N_LANES + r;
            shaped(l, logs[r] - scores[j * N_LANES + r], growth + r);
            *gradient = *gradient / sums[r] * pull[r] - share * growth[r];
        }
    }
}

/* Return the loss of an entry under a sigmoid, and its gradient. */
INLINE REAL sigmoid_loss(const struct loss *l, REAL score, REAL target, REAL *gradient) {
    const REAL p = sigmoid_of(score);
    if (!l->focal) {
        *gradient = p - target;
        return softplus_of(score) - score * target;
    }
    const REAL gamma = (REAL)l->gamma, q = sigmoid_of(-score);
    const REAL miss = softplus_of(-score), hit = softplus_of(score); /* -log p and -log q */
    const REAL no = exp_of(-gamma * hit), yes = exp_of(-gamma * miss);
    *gradient = (1 - target) * yes * (p + gamma * q * hit) - target * no * (q + gamma * p * miss);
    return target * no * miss + (1 - target) * yes * hit;
}

/* Return the loss of an entry, and its gradient; `delta` is Huber's. */
INLINE REAL regression_loss(const struct loss *l, REAL score, REAL target, REAL delta, REAL *gradient) {
    const REAL error = score - target, size = ABS(error), sign = error > 0 ? 1 : error < 0 ? -1 : error;
    switch (l->kind) {
        case SQUARED:
            *gradient = error;
            return error * error / 2;
        case ABSOLUTE:
            *gradient = sign;
            return size;
        case HUBER: {
            const REAL inner = smaller_of(size, delta);
            *gradient = sign * inner;
            return inner * (size - inner / 2);
        }
        case PINBALL:
            *gradient = sign / 2 - ((REAL)l->quantile - (REAL)0.5);
            return size / 2 - ((REAL)l->quantile - (REAL)0.5) * error;
        default: { /* POISSON */
            const REAL inner = smaller_of(score, HIGHEST_LOG), mean = exp_of(inner);
            *gradient = mean - target;
            return mean * (1 + score - inner) - target + target * ((target > 0 ? LOG(target) : 0) - score);
        }
    }
}

/* The targets and weights of a batch: row i is row rows[i] of the targets, or row first + i if rows is NULL. */
struct truth {
    const void *targets; /* int32 of shape (n,) for classes; otherwise REAL of shape (n, n_targets) */
    int64_t n_targets;
    const REAL *weight; /* (n,) */
    const int64_t *rows;
    int64_t first;
};

INLINE int64_t row_of(const struct truth *t, int64_t i) { return t->rows ? t->rows[i] : t->first + i; }

/* The weight of entry j in a row of multilabel targets. */
INLINE REAL known(const struct loss *l, const REAL *target, int64_t j) {
    if (target[j] < 0) return 0;
    return l->weighted ? target[l->n_outputs + j] : 1;
}

/* Return the total weight of a batch's losses, by which their sum is divided. */
static double total_weight_of(const struct loss *l, const struct truth *t, int64_t n) {
    double total_weight = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = row_of(t, i);
        double share = 1;
        if (l->kind == SIGMOID_CROSS_ENTROPY) {
            const REAL *target = (const REAL *)t->targets + row * t->n_targets;
            share = 0;
            for (int64_t j = 0; j < l->n_outputs; j++) share += known(l, target, j);
        }
        total_weight += share * t->weight[row];
    }
    return total_weight;
}

/* The scores of a batch, and where its losses and their gradients go. */
struct scored {
    const REAL *scores;
    int64_t n_rows;
    REAL share; /* by which the gradients are multiplied */
    REAL *losses, *gradients;
    REAL *scratch; /* 2 * N_LANES rows of scores */
};

/* The losses of rows of classes: N_LANES rows at a time, since few classes would fill no vector. */
static void class_losses(const struct loss *l, const struct truth *t, const struct scored *s, int64_t i, int64_t end) {
    const int64_t n = l->n_outputs, width = n_panels(n) * PANEL;
    REAL *scores = s->scratch, *gradients = scores + width * N_LANES, losses[N_LANES];
    for (int64_t rows; i < end; i += rows) {
        rows = smaller(N_LANES, end - i);
        int32_t target[N_LANES] = {0};
        for (int64_t r = 0; r < N_LANES; r++) {
            const int64_t from = smaller(r, rows - 1) + i; /* the last row again where there are fewer */
            target[r] = ((const int32_t *)t->targets)[row_of(t, from)];
            for (int64_t j = 0; j < n; j++)
                scores[j * N_LANES + r] = s->scores[(j / PANEL * s->n_rows + from) * PANEL + j % PANEL];
        }
        softmax_losses(l, scores, target, gradients, losses);
        for (int64_t r = 0; r < rows; r++) {
            const REAL weight = t->weight[row_of(t, i + r)], factor = weight * s->share;
            s->losses[i + r] = losses[r] * weight;
            for (int64_t p = 0; p < n_panels(n); p++) {
                REAL *out = s->gradients + (p * s->n_rows + i + r) * PANEL;
                for (int64_t c = 0; c < PANEL; c++) out[c] = 0;
                for (int64_t c = 0; c < width_of(n, p); c++) out[c] = gradients[(p * PANEL + c) * N_LANES + r] * factor;
            }
        }
    }
}

/* The losses of rows of numbers, entry by entry. */
static void number_losses(const struct loss *l, const struct truth *t, const struct scored *s, int64_t i, int64_t end) {
    const int64_t width = n_panels(l->n_outputs) * PANEL;
    REAL *row = s->scratch, *gradient = row + width;
    for (int64_t c = 0; c < width; c++) gradient[c] = 0;
    for (; i < end; i++) {
        const int64_t at = row_of(t, i);
        const REAL weight = t->weight[at], *target = (const REAL *)t->targets + at * t->n_targets;
        REAL factor = weight * s->share, loss = 0;
        for (int64_t c = 0; c < width; c += PANEL)
            memcpy(row + c, s->scores + (c / PANEL * s->n_rows + i) * PANEL, PANEL * sizeof(REAL));
        if (l->kind == SIGMOID_CROSS_ENTROPY) {
            for (int64_t j = 0; j < l->n_outputs; j++) {
                const REAL counts = known(l, target, j);
                if (!counts) {
                    gradient[j] = 0;
                    continue;
                }
                loss += counts * sigmoid_loss(l, row[j], target[j], gradient + j);
                gradient[j] *= counts;
            }
        } else {
            factor /= (REAL)l->n_outputs;
            for (int64_t j = 0; j < l->n_outputs; j++) {
                const REAL delta = l->kind == HUBER ? target[l->n_outputs + j] : 0;
                loss += regression_loss(l, row[j], target[j], delta, gradient + j);
            }
            loss /= (REAL)l->n_outputs;
        }
        s->losses[i] = loss * weight;
        for (int64_t c = 0; c < width; c += PANEL) {
            REAL *out = s->gradients + (c / PANEL * s->n_rows + i) * PANEL;
            for (int64_t k = 0; k < PANEL; k++) out[k] = gradient[c + k] * factor;
        }
    }
}

/* Write the losses of the rows from `i` to `end`, and their gradients. */
static void losses_of(const struct loss *l, const struct truth *t, const struct scored *s, int64_t i, int64_t end) {
    (l->kind == SOFTMAX ? class_losses : number_losses)(l, t, s, i, end);
}

INLINE double sum_of(const REAL *losses, int64_t n) {
    double total = 0;
    for (int64_t i = 0; i < n; i++) total += (double)losses[i];
    return total;
}
