/* The losses of the built-in outputs, and their slopes. ffnn_plugins/outputs/_losses.py has the formulas. */

/* Kept in step with LOSSES in network.py. */
enum loss_kind { SOFTMAX, SIGMOID_CROSS_ENTROPY, SQUARED, ABSOLUTE, HUBER, PINBALL, POISSON };

/* Kept in step with the class Loss of library.py. */
struct loss {
    int64_t kind, n_outputs;
    int64_t focal;    /* whether gamma is one of a focal loss */
    int64_t weighted; /* whether the weights of a row's entries follow its targets, n_outputs of each */
    double gamma, smoothing, quantile;
};

#define LEAST_REST ((REAL)1e-7)
#define HIGHEST_LOG ((REAL)60)

/* Return the loss of a class whose -log p is given, and what it grows by with that. */
INLINE REAL shaped(const struct loss *l, REAL entropy, REAL *growth) {
    *growth = 1;
    if (!l->focal) return entropy;
    const REAL gamma = (REAL)l->gamma, p = exp_of(-entropy);
    const REAL rest = 1 - p > LEAST_REST ? 1 - p : LEAST_REST, power = POW(rest, gamma);
    *growth = power + (1 - p > LEAST_REST ? gamma * power / rest * p * entropy : 0);
    return power * entropy;
}

/* Return the loss of a row, and write its slopes; scores are in `row`. */
static REAL softmax_loss(const struct loss *l, const REAL *restrict row, int32_t target, REAL *restrict slopes) {
    const int64_t n = l->n_outputs;
    const REAL smoothing = (REAL)l->smoothing, each = smoothing / (REAL)n;
    REAL highest = row[0], sum = 0, loss = 0, growth, pull = 0;
    for (int64_t j = 1; j < n; j++) highest = row[j] > highest ? row[j] : highest;
    for (int64_t j = 0; j < n; j++) slopes[j] = exp_of(row[j] - highest);
    for (int64_t j = 0; j < n; j++) sum += slopes[j];
    const REAL log_sum = LOG(sum) + highest;
    if (!smoothing) {
        loss = shaped(l, log_sum - row[target], &growth);
        for (int64_t j = 0; j < n; j++) slopes[j] *= growth / sum;
        slopes[target] -= growth;
        return loss;
    }
    for (int64_t j = 0; j < n; j++) {
        const REAL share = each + (j == target ? 1 - smoothing : 0);
        loss += share * shaped(l, log_sum - row[j], &growth);
        pull += share * growth;
    }
    for (int64_t j = 0; j < n; j++) {
        const REAL share = each + (j == target ? 1 - smoothing : 0);
        shaped(l, log_sum - row[j], &growth);
        slopes[j] = slopes[j] / sum * pull - share * growth;
    }
    return loss;
}

/* Return the loss of an entry under a sigmoid, and its slope. */
INLINE REAL sigmoid_loss(const struct loss *l, REAL score, REAL target, REAL *slope) {
    const REAL p = sigmoid_of(score);
    if (!l->focal) {
        *slope = p - target;
        return softplus_of(score) - score * target;
    }
    const REAL gamma = (REAL)l->gamma, q = sigmoid_of(-score);
    const REAL miss = softplus_of(-score), hit = softplus_of(score); /* -log p and -log q */
    const REAL no = exp_of(-gamma * hit), yes = exp_of(-gamma * miss);
    *slope = (1 - target) * yes * (p + gamma * q * hit) - target * no * (q + gamma * p * miss);
    return target * no * miss + (1 - target) * yes * hit;
}

/* Return the loss of an entry, and its slope; `delta` is Huber's. */
INLINE REAL regression_loss(const struct loss *l, REAL score, REAL target, REAL delta, REAL *slope) {
    const REAL error = score - target, size = ABS(error), sign = error > 0 ? 1 : error < 0 ? -1 : error;
    switch (l->kind) {
        case SQUARED:
            *slope = error;
            return error * error / 2;
        case ABSOLUTE:
            *slope = sign;
            return size;
        case HUBER: {
            const REAL inner = smaller_of(size, delta);
            *slope = sign * inner;
            return inner * (size - inner / 2);
        }
        case PINBALL:
            *slope = sign / 2 - ((REAL)l->quantile - (REAL)0.5);
            return size / 2 - ((REAL)l->quantile - (REAL)0.5) * error;
        default: { /* POISSON */
            const REAL inner = smaller_of(score, HIGHEST_LOG), mean = exp_of(inner);
            *slope = mean - target;
            return mean * (1 + score - inner) - target + target * ((target > 0 ? LOG(target) : 0) - score);
        }
    }
}

/* What the loss of a batch is made of. Row i of it is row rows[i] of the targets, or row first + i where rows is NULL. */
struct truth {
    const void *targets; /* int32 where a loss is one of classes, (n,); otherwise REAL, (n, n_targets) */
    int64_t n_targets;
    const REAL *weight; /* (n,) */
    const int64_t *rows;
    int64_t first;
};

INLINE int64_t row_of(const struct truth *t, int64_t i) { return t->rows ? t->rows[i] : t->first + i; }

/* What entry j of a multilabel row of targets counts. */
INLINE REAL known(const struct loss *l, const REAL *target, int64_t j) {
    if (target[j] < 0) return 0;
    return l->weighted ? target[l->n_outputs + j] : 1;
}

/* Return what a batch's losses are to be divided by. */
static double mass_of(const struct loss *l, const struct truth *t, int64_t n) {
    double mass = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = row_of(t, i);
        double share = 1;
        if (l->kind == SIGMOID_CROSS_ENTROPY) {
            const REAL *target = (const REAL *)t->targets + row * t->n_targets;
            share = 0;
            for (int64_t j = 0; j < l->n_outputs; j++) share += known(l, target, j);
        }
        mass += share * t->weight[row];
    }
    return mass;
}

/* Return the sum of a batch's losses, and write their slopes times a share; `room` is for two rows of scores. */
static double loss_of(const struct loss *l, const struct truth *t, const REAL *scores, int64_t n_rows, int64_t n,
                      REAL share, REAL *slopes, REAL *room) {
    const int64_t width = n_panels(l->n_outputs) * PANEL;
    REAL *row = room, *slope = room + width;
    double total = 0;
    for (int64_t c = 0; c < width; c++) slope[c] = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = row_of(t, i);
        const REAL weight = t->weight[at], *target = (const REAL *)t->targets + at * t->n_targets;
        REAL factor = weight * share, loss = 0;
        for (int64_t c = 0; c < width; c += PANEL)
            memcpy(row + c, scores + (c / PANEL * n_rows + i) * PANEL, PANEL * sizeof(REAL));
        if (l->kind == SOFTMAX) {
            loss = softmax_loss(l, row, ((const int32_t *)t->targets)[at], slope);
        } else if (l->kind == SIGMOID_CROSS_ENTROPY) {
            for (int64_t j = 0; j < l->n_outputs; j++) {
                const REAL counts = known(l, target, j);
                if (!counts) {
                    slope[j] = 0;
                    continue;
                }
                loss += counts * sigmoid_loss(l, row[j], target[j], slope + j);
                slope[j] *= counts;
            }
        } else {
            factor /= (REAL)l->n_outputs;
            for (int64_t j = 0; j < l->n_outputs; j++) {
                const REAL delta = l->kind == HUBER ? target[l->n_outputs + j] : 0;
                loss += regression_loss(l, row[j], target[j], delta, slope + j);
            }
            loss /= (REAL)l->n_outputs;
        }
        total += (double)(loss * weight);
        for (int64_t c = 0; c < width; c += PANEL) {
            REAL *out = slopes + (c / PANEL * n_rows + i) * PANEL;
            for (int64_t k = 0; k < PANEL; k++) out[k] = slope[c + k] * factor;
        }
    }
    return total;
}
