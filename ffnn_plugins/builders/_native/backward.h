/* The slopes of the loss back through the stages, and what each weight makes of its gradient. */

INLINE void multiply(REAL *restrict d, const REAL *restrict by, int64_t n) {
    EACH(n) d[c] *= by[c];
}

/* Take slopes back through a stage without weights, in some rows of a panel. */
static void simple_slopes(const struct work *w, int64_t s, REAL *slopes, int64_t p, int64_t i, int64_t n) {
    const struct stage *stage = w->net->stages + s;
    const int64_t at = (p * w->room.n_rows + i) * PANEL;
    const REAL *kept = w->room.kept[s];
    if (stage->kind == FUNCTION)
        multiply_by_slopes((int)stage->function, slopes + at, (kept ? kept : w->room.y[s]) + at, n * PANEL);
    else if (kept)
        multiply(slopes + at, kept + at, n * PANEL);
}

/* Write to `to` the slopes at what enters an affine stage, and back through the simple ones down to `last`. */
static void affine_slopes(const struct work *w, int64_t s, int64_t last, const REAL *from, REAL *to, int me) {
    const struct stage *stage = w->net->stages + s;
    const int64_t n_rows = w->room.n_rows;
    const REAL factor = (REAL)stage->factor;
    REAL *transposed = w->room.transposed + me * w->room.width * PANEL;
    for (int64_t q = me; q < n_panels(stage->n_inputs); q += w->team.n) {
        transpose(stage->weight.value, stage->n_inputs, stage->n_outputs, q * PANEL, transposed);
        for (int64_t i = 0, n; i < w->n; i += n) {
            n = tile_rows(w->n - i);
            REAL *tile = to + (q * n_rows + i) * PANEL;
            rows_tile(from + i * PANEL, n_rows, stage->n_outputs, transposed, NULL, tile, (int)n,
                      vecs_of(stage->n_inputs, q));
            if (factor != 1) EACH(n * PANEL) tile[c] *= factor;
            for (int64_t t = s - 1; t >= last; t--) simple_slopes(w, t, to, q, i, n);
        }
    }
}

/* Write to `sums` those of a panel's columns. */
INLINE void sum_columns(const REAL *slopes, int64_t n, REAL factor, REAL *sums) {
    lanes low = {0}, high = {0};
    for (int64_t i = 0; i < n; i++, slopes += PANEL) {
        low += *(const lanes *)slopes;
        high += *(const lanes *)(slopes + N_LANES);
    }
    *(lanes *)sums = factor * low;
    *(lanes *)(sums + N_LANES) = factor * high;
}

static void bias_gradient(const struct work *w, const struct stage *stage, const REAL *slopes, enum purpose purpose,
                          int64_t p) {
    REAL gradient[PANEL];
    sum_columns(slopes + p * w->room.n_rows * PANEL, w->n, (REAL)stage->bias_rate, gradient);
    use_gradient(purpose, &w->step, &stage->bias, p * PANEL, gradient, PANEL);
}

static void affine_gradient(const struct work *w, int64_t s, const REAL *slopes, enum purpose purpose, int me) {
    const struct stage *stage = w->net->stages + s;
    const int64_t n_rows = w->room.n_rows;
    const REAL *x = entering(w, s), factor = (REAL)stage->factor;
    REAL gradient[ROWS * PANEL];
    for (int64_t p = me; p < n_panels(stage->n_outputs); p += w->team.n) {
        bias_gradient(w, stage, slopes, purpose, p);
        for (int64_t q = 0; q < n_panels(stage->n_inputs); q++) {
            const int64_t width = width_of(stage->n_inputs, q);
            for (int64_t k = 0, n; k < width; k += n) {
                n = tile_rows(width - k);
                columns_tile(x + q * n_rows * PANEL + k, slopes + p * n_rows * PANEL, w->n, gradient, (int)n,
                             vecs_of(stage->n_outputs, p));
                if (factor != 1) EACH(n * PANEL) gradient[c] *= factor;
                use_gradient(purpose, &w->step, &stage->weight, (p * stage->n_inputs + q * PANEL + k) * PANEL, gradient,
                             n * PANEL);
            }
        }
    }
}

/* Take slopes back through factors of columns, in place. */
static void column_slopes(const struct work *w, int64_t s, REAL *slopes, enum purpose purpose, int me) {
    const struct stage *stage = w->net->stages + s;
    const REAL rate = (REAL)stage->factor;
    for (int64_t p = me; p < n_panels(stage->n_outputs); p += w->team.n) {
        const int64_t at = p * w->room.n_rows * PANEL;
        const REAL *x = entering(w, s) + at, *factors = stage->weight.value + p * PANEL;
        REAL *d = slopes + at, gradient[PANEL];
        memset(gradient, 0, sizeof gradient);
        for (int64_t i = 0; i < w->n; i++, x += PANEL, d += PANEL)
            NOT_UNROLLED for (int64_t c = 0; c < PANEL; c++) {
                if (stage->kind == SCALE) {
                    gradient[c] += rate * d[c] * x[c];
                    d[c] *= rate * factors[c];
                } else {
                    gradient[c] += x[c] > 0 ? 0 : d[c] * x[c];
                    d[c] *= x[c] > 0 ? 1 : factors[c];
                }
            }
        if (purpose != NOTHING) use_gradient(purpose, &w->step, &stage->weight, p * PANEL, gradient, PANEL);
    }
}

static void normal_slopes(const struct work *w, int64_t s, const REAL *from, REAL *to, int me) {
    const struct stage *stage = w->net->stages + s;
    const int64_t width = stage->n_outputs, pitch = w->room.n_rows * PANEL;
    for (int64_t i = me; i < w->n; i += w->team.n) {
        const REAL *x = entering(w, s) + i * PANEL, mean = w->room.kept[s][2 * i], scale = w->room.kept[s][2 * i + 1];
        REAL sum = 0, product = 0;
        for (int64_t j = 0; j < width; j++) {
            const int64_t at = j / PANEL * pitch + j % PANEL;
            const REAL g = from[i * PANEL + at] * stage->weight.value[j];
            sum += g;
            product += g * (x[at] - mean) * scale;
        }
        sum /= (REAL)width;
        product /= (REAL)width;
        for (int64_t j = 0; j < n_panels(width) * PANEL; j++) {
            const int64_t at = j / PANEL * pitch + j % PANEL;
            const REAL g = from[i * PANEL + at] * (j < width ? stage->weight.value[j] : 0);
            to[i * PANEL + at] = j < width ? scale * (g - sum - (x[at] - mean) * scale * product) : 0;
        }
    }
}

static void normal_gradient(const struct work *w, int64_t s, const REAL *slopes, enum purpose purpose, int me) {
    const struct stage *stage = w->net->stages + s;
    for (int64_t p = me; p < n_panels(stage->n_outputs); p += w->team.n) {
        const int64_t at = p * w->room.n_rows * PANEL;
        const REAL *x = entering(w, s) + at, *d = slopes + at, *kept = w->room.kept[s];
        REAL gradient[PANEL];
        memset(gradient, 0, sizeof gradient);
        for (int64_t i = 0; i < w->n; i++)
            for (int64_t c = 0; c < PANEL; c++)
                gradient[c] += d[i * PANEL + c] * (x[i * PANEL + c] - kept[2 * i]) * kept[2 * i + 1];
        use_gradient(purpose, &w->step, &stage->weight, p * PANEL, gradient, PANEL);
        bias_gradient(w, stage, slopes, purpose, p);
    }
}

/* What remains of an affine stage whose product is somebody else's: the slopes there, and the bias. */
static void give_slopes(const struct work *w, int64_t s, const REAL *slopes, enum purpose purpose, int me) {
    const struct stage *stage = w->net->stages + s;
    for (int64_t p = me; p < n_panels(stage->n_outputs); p += w->team.n) {
        for (int64_t i = 0; i < w->n; i++)
            memcpy(w->data->slopes + i * stage->n_outputs + p * PANEL, slopes + (p * w->room.n_rows + i) * PANEL,
                   width_of(stage->n_outputs, p) * sizeof(REAL));
        bias_gradient(w, stage, slopes, purpose, p);
    }
}

/* Take the slopes at the scores, which are in room.slopes[0], back: to the first weights, or to the batch itself. Return
 * in which of the two they are at last. */
static int backward(struct work *w, enum purpose purpose, int to_input, int me) {
    const int64_t first = first_trained(w->net);
    int at = 0;
    for (int64_t s = w->room.n_stages - 1; s >= (to_input ? 0 : first);) {
        const struct stage *stage = w->net->stages + s;
        REAL *here = w->room.slopes[at], *there = w->room.slopes[!at];
        const int further = to_input || s > first;
        if (is_simple(stage)) {
            for (int64_t p = me; p < n_panels(stage->n_outputs); p += w->team.n) simple_slopes(w, s, here, p, 0, w->n);
            s--;
        } else if (stage->kind == AFFINE) {
            int64_t last = s;
            if (w->data->products && s == first) {
                give_slopes(w, s, here, purpose, me);
            } else {
                while (further && last > 0 && is_simple(w->net->stages + last - 1)) last--;
                if (further) affine_slopes(w, s, last, here, there, me);
                meet(&w->team); /* before the weights change */
                if (purpose != NOTHING) affine_gradient(w, s, here, purpose, me);
            }
            at = !at;
            s = last - 1;
        } else if (stage->kind == LAYER_NORM) {
            if (further) normal_slopes(w, s, here, there, me);
            meet(&w->team);
            if (purpose != NOTHING) normal_gradient(w, s, here, purpose, me);
            at = !at;
            s--;
        } else {
            column_slopes(w, s, here, purpose, me);
            s--;
        }
        meet(&w->team);
    }
    return at;
}
