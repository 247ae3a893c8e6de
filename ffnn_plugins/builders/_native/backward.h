/* The backward pass: gradients with respect to each stage's input and weights, and the solver's steps. */

/* Write the losses of a thread's share of the rows, and their gradients times `share`. */
static void losses(const struct work *w, REAL share, int me) {
    const struct scratch *scratch = &w->scratch;
    const struct scored scored = {
        .scores = scratch->y[scratch->n_stages - 1], .n_rows = scratch->n_rows, .share = share,
        .losses = scratch->losses, .gradients = scratch->gradients[0],
        .scratch = scratch->rows + me * n_panels(w->net->loss.n_outputs) * PANEL * 2 * N_LANES};
    losses_of(&w->net->loss, &w->truth, &scored, w->n * me / w->team.n, w->n * (me + 1) / w->team.n);
}

INLINE void multiply(REAL *restrict d, const REAL *restrict by, int64_t n) {
    EACH(n) d[c] *= by[c];
}

/* The backward pass of a stage without weights, for some rows of a panel, in place. */
static void simple_backward(const struct work *w, int64_t s, REAL *gradients, int64_t p, int64_t i, int64_t n) {
    const struct stage *stage = w->net->stages + s;
    const int64_t at = (p * w->scratch.n_rows + i) * PANEL;
    const REAL *saved = w->scratch.saved[s];
    if (stage->kind == FUNCTION)
        multiply_by_derivatives((int)stage->function, gradients + at, (saved ? saved : w->scratch.y[s]) + at,
                                n * PANEL);
    else if (saved)
        multiply(gradients + at, saved + at, n * PANEL);
}

/* Write to `to` the gradients with respect to an affine stage's input, and back through the simple stages to `last`. */
static void affine_backward(const struct work *w, int64_t s, int64_t last, const REAL *from, REAL *to, int me) {
    const struct stage *stage = w->net->stages + s;
    const int64_t n_rows = w->scratch.n_rows;
    const REAL factor = (REAL)stage->factor;
    REAL *transposed = w->scratch.transposed + me * w->scratch.width * PANEL;
    int64_t held = -1; /* the number of the panel in `transposed` */
    MY_PIECES(n_panels(stage->n_inputs) * n_groups(w)) {
        const int64_t q = piece / n_groups(w), first = piece % n_groups(w) * GROUP;
        const int64_t end = smaller(first + GROUP, w->n);
        if (q != held) transpose(stage->weight.value, stage->n_inputs, stage->n_outputs, q * PANEL, transposed);
        held = q;
        for (int64_t i = first, n; i < end; i += n) {
            n = tile_rows(end - i);
            REAL *tile = to + (q * n_rows + i) * PANEL;
            rows_tile(from + i * PANEL, n_rows, stage->n_outputs, transposed, NULL, tile, (int)n,
                      vecs_of(stage->n_inputs, q));
            if (factor != 1) EACH(n * PANEL) tile[c] *= factor;
            for (int64_t t = s - 1; t >= last; t--) simple_backward(w, t, to, q, i, n);
        }
    }
}

/* Write the sums of a panel's columns, times a factor. */
INLINE void sum_columns(const REAL *gradients, int64_t n, REAL factor, REAL *sums) {
    lanes low = {0}, high = {0};
    for (int64_t i = 0; i < n; i++, gradients += PANEL) {
        low += *(const lanes *)gradients;
        high += *(const lanes *)(gradients + N_LANES);
    }
    *(lanes *)sums = factor * low;
    *(lanes *)(sums + N_LANES) = factor * high;
}

static void bias_gradient(const struct work *w, const struct stage *stage, const REAL *gradients, enum purpose purpose,
                          int64_t p) {
    REAL gradient[PANEL];
    sum_columns(gradients + p * w->scratch.n_rows * PANEL, w->n, (REAL)stage->bias_rate, gradient);
    use_gradient(purpose, &w->step, &stage->bias, p * PANEL, gradient, PANEL, vecs_of(stage->n_outputs, p));
}

static void affine_gradient(const struct work *w, int64_t s, const REAL *gradients, enum purpose purpose, int me) {
    const struct stage *stage = w->net->stages + s;
    const int64_t n_rows = w->scratch.n_rows;
    const REAL *x = entering(w, s), factor = (REAL)stage->factor;
    REAL gradient[ROWS * PANEL];
    const int64_t panels = n_panels(stage->n_inputs);
    MY_PIECES(n_panels(stage->n_outputs) * panels) {
        const int64_t p = piece / panels, q = piece % panels, width = width_of(stage->n_inputs, q);
        const int n_vecs = vecs_of(stage->n_outputs, p);
        if (!q) bias_gradient(w, stage, gradients, purpose, p);
        for (int64_t k = 0, n; k < width; k += n) {
            n = tile_rows(width - k);
            columns_tile(x + q * n_rows * PANEL + k, gradients + p * n_rows * PANEL, w->n, gradient, (int)n, n_vecs);
            if (factor != 1) EACH(n * PANEL) gradient[c] *= factor;
            use_gradient(purpose, &w->step, &stage->weight, (p * stage->n_inputs + q * PANEL + k) * PANEL, gradient,
                         n * PANEL, n_vecs);
        }
    }
}

/* The backward pass of SCALE and PRELU, in place. */
static void columns_backward(const struct work *w, int64_t s, REAL *gradients, enum purpose purpose, int me) {
    const struct stage *stage = w->net->stages + s;
    const REAL rate = (REAL)stage->factor;
    for (int64_t p = me; p < n_panels(stage->n_outputs); p += w->team.n) {
        const int64_t at = p * w->scratch.n_rows * PANEL;
        const REAL *x = entering(w, s) + at, *factors = stage->weight.value + p * PANEL;
        REAL *d = gradients + at, gradient[PANEL];
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
        if (purpose != NOTHING) use_gradient(purpose, &w->step, &stage->weight, p * PANEL, gradient, PANEL, vecs_of(stage->n_outputs, p));
    }
}

static void layer_norm_backward(const struct work *w, int64_t s, const REAL *from, REAL *to, int me) {
    const struct stage *stage = w->net->stages + s;
    const int64_t width = stage->n_outputs, pitch = w->scratch.n_rows * PANEL;
    for (int64_t i = me; i < w->n; i += w->team.n) {
        const REAL *x = entering(w, s) + i * PANEL;
        const REAL mean = w->scratch.saved[s][2 * i], scale = w->scratch.saved[s][2 * i + 1];
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

static void layer_norm_gradient(const struct work *w, int64_t s, const REAL *gradients, enum purpose purpose, int me) {
    const struct stage *stage = w->net->stages + s;
    for (int64_t p = me; p < n_panels(stage->n_outputs); p += w->team.n) {
        const int64_t at = p * w->scratch.n_rows * PANEL;
        const REAL *x = entering(w, s) + at, *d = gradients + at, *saved = w->scratch.saved[s];
        REAL gradient[PANEL];
        memset(gradient, 0, sizeof gradient);
        for (int64_t i = 0; i < w->n; i++)
            for (int64_t c = 0; c < PANEL; c++)
                gradient[c] += d[i * PANEL + c] * (x[i * PANEL + c] - saved[2 * i]) * saved[2 * i + 1];
        use_gradient(purpose, &w->step, &stage->weight, p * PANEL, gradient, PANEL, vecs_of(stage->n_outputs, p));
        bias_gradient(w, stage, gradients, purpose, p);
    }
}

/* The backward pass of an affine stage whose product was given: output the gradients, and train the bias. */
static void pass_on_gradients(const struct work *w, int64_t s, const REAL *gradients, enum purpose purpose, int me) {
    const struct stage *stage = w->net->stages + s;
    for (int64_t p = me; p < n_panels(stage->n_outputs); p += w->team.n) {
        for (int64_t i = 0; i < w->n; i++)
            memcpy(w->data->gradients + i * stage->n_outputs + p * PANEL,
                   gradients + (p * w->scratch.n_rows + i) * PANEL, width_of(stage->n_outputs, p) * sizeof(REAL));
        bias_gradient(w, stage, gradients, purpose, p);
    }
}

/* Go back from the gradients at the scores, in scratch.gradients[0], to the first weights or to the batch itself.
 * Return the index of the array with the final gradients. */
static int backward(struct work *w, enum purpose purpose, int to_input, int me) {
    const int64_t first = first_trained(w->net);
    int at = 0;
    for (int64_t s = w->scratch.n_stages - 1; s >= (to_input ? 0 : first);) {
        const struct stage *stage = w->net->stages + s;
        REAL *here = w->scratch.gradients[at], *there = w->scratch.gradients[!at];
        const int further = to_input || s > first;
        if (is_simple(stage)) {
            for (int64_t p = me; p < n_panels(stage->n_outputs); p += w->team.n)
                simple_backward(w, s, here, p, 0, w->n);
            s--;
        } else if (stage->kind == AFFINE) {
            int64_t last = s;
            if (w->data->products && s == first) {
                pass_on_gradients(w, s, here, purpose, me);
            } else {
                while (further && last > 0 && is_simple(w->net->stages + last - 1)) last--;
                if (further) affine_backward(w, s, last, here, there, me);
                wait_for_team(&w->team); /* before the weights change */
                if (purpose != NOTHING) affine_gradient(w, s, here, purpose, me);
            }
            at = !at;
            s = last - 1;
        } else if (stage->kind == LAYER_NORM) {
            if (further) layer_norm_backward(w, s, here, there, me);
            wait_for_team(&w->team);
            if (purpose != NOTHING) layer_norm_gradient(w, s, here, purpose, me);
            at = !at;
            s--;
        } else {
            columns_backward(w, s, here, purpose, me);
            s--;
        }
        wait_for_team(&w->team);
    }
    return at;
}
