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

/* Return the loss of a row of scores, and write its gradients. */
static REAL softmax_loss(const struct loss *l, const REAL *restrict row, int32_t target, REAL *restrict gradients) {
    const int64_t n = l->n_outputs;
    const REAL smoothing = (REAL)l->smoothing, each = smoothing / (REAL)n;
    REAL highest = row[0], sum = 0, loss = 0, growth, pull = 0;
    for (int64_t j = 1; j < n; j++) highest = row[j] > highest ? row[j] : highest;
    for (int64_t j = 0; j < n; j++) gradients[j] = exp_of(row[j] - highest);
    for (int64_t j = 0; j < n; j++) sum += gradients[j];
    const REAL log_sum = LOG(sum) + highest;
    if (!smoothing) {
        loss = shaped(l, log_sum - row[target], &growth);
        for (int64_t j = 0; j < n; j++) gradients[j] *= growth / sum;
        gradients[target] -= growth;
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
        gradients[j] = gradients[j] / sum * pull - share * growth;
    }
    return loss;
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

/* Return the sum of a batch's losses, and write their gradients times `share`; `scratch` holds two rows of scores. */
static double loss_of(const struct loss *l, const struct truth *t, const REAL *scores, int64_t n_rows, int64_t n,
                      REAL share, REAL *gradients, REAL *scratch) {
    const int64_t width = n_panels(l->n_outputs) * PANEL;
    REAL *row = scratch, *gradient = scratch + width;
    double total = 0;
    for (int64_t c = 0; c < width; c++) gradient[c] = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = row_of(t, i);
        const REAL weight = t->weight[at], *target = (const REAL *)t->targets + at * t->n_targets;
        REAL factor = weight * share, loss = 0;
        for (int64_t c = 0; c < width; c += PANEL)
            memcpy(row + c, scores + (c / PANEL * n_rows + i) * PANEL, PANEL * sizeof(REAL));
        if (l->kind == SOFTMAX) {
            loss = softmax_loss(l, row, ((const int32_t *)t->targets)[at], gradient);
        } else if (l->kind == SIGMOID_CROSS_ENTROPY) {
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
        total += (double)(loss * weight);
        for (int64_t c = 0; c < width; c += PANEL) {
            REAL *out = gradients + (c / PANEL * n_rows + i) * PANEL;
            for (int64_t k = 0; k < PANEL; k++) out[k] = gradient[c + k] * factor;
        }
    }
    return total;
}
