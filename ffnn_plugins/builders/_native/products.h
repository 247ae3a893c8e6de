/* The three matrix products of a layer, tile by tile. All sums have a fixed order, whatever the tile, so no bit of a
 * row's result depends on the other rows or on the number of threads. */

/* Rows times one panel of weights: y = start + x @ w. n_rows and n_vecs are constants wherever this is inlined. */
INLINE void rows_by_panel(const REAL *x, int64_t x_rows, int64_t depth, const REAL *w, const REAL *start, REAL *y,
                          const int n_rows, const int n_vecs) {
    lanes sums[ROWS][2];
#pragma GCC unroll 12
    for (int r = 0; r < n_rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < n_vecs; v++) sums[r][v] = start ? *(const lanes *)(start + v * N_LANES) : (lanes){0};
    for (int64_t k = 0; k < depth; k += PANEL, x += x_rows * PANEL) {
        const int64_t here = smaller(PANEL, depth - k);
        for (int64_t j = 0; j < here; j++, w += PANEL) {
            lanes b[2];
#pragma GCC unroll 2
            for (int v = 0; v < n_vecs; v++) b[v] = *(const lanes *)(w + v * N_LANES);
#pragma GCC unroll 12
            for (int r = 0; r < n_rows; r++)
#pragma GCC unroll 2
                for (int v = 0; v < n_vecs; v++) sums[r][v] += x[r * PANEL + j] * b[v];
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < n_rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < 2; v++) *(lanes *)(y + r * PANEL + v * N_LANES) = v < n_vecs ? sums[r][v] : (lanes){0};
}

/* The transpose of some columns of x times one panel of gradients: the gradient of as many rows of a weight. */
INLINE void columns_by_panel(const REAL *x, const REAL *gradients, int64_t n, REAL *gradient, const int n_columns,
                             const int n_vecs) {
    lanes sums[ROWS][2];
#pragma GCC unroll 12
    for (int r = 0; r < n_columns; r++)
#pragma GCC unroll 2
        for (int v = 0; v < n_vecs; v++) sums[r][v] = (lanes){0};
    for (int64_t i = 0; i < n; i++, x += PANEL, gradients += PANEL) {
        lanes b[2];
#pragma GCC unroll 2
        for (int v = 0; v < n_vecs; v++) b[v] = *(const lanes *)(gradients + v * N_LANES);
#pragma GCC unroll 12
        for (int r = 0; r < n_columns; r++)
#pragma GCC unroll 2
            for (int v = 0; v < n_vecs; v++) sums[r][v] += x[r] * b[v];
    }
#pragma GCC unroll 12
    for (int r = 0; r < n_columns; r++)
#pragma GCC unroll 2
        for (int v = 0; v < 2; v++)
            *(lanes *)(gradient + r * PANEL + v * N_LANES) = v < n_vecs ? sums[r][v] : (lanes){0};
}

/* A call with constant arguments for each size of a tile. */
#define FOR_EACH_SIZE(n, n_vecs, CALL) \
    switch (2 * (n) + (n_vecs)) {      \
        CALL(ROWS, 1) CALL(ROWS, 2) CALL_8(CALL) CALL(4, 1) CALL(4, 2) CALL(2, 1) CALL(2, 2) CALL(1, 1) CALL(1, 2) \
    }
#if ROWS > 8
#define CALL_8(CALL) CALL(8, 1) CALL(8, 2)
#else
#define CALL_8(CALL)
#endif

static void rows_tile(const REAL *x, int64_t x_rows, int64_t depth, const REAL *w, const REAL *start, REAL *y, int n,
                      int n_vecs) {
#define CALL(N, V)                                          \
    case 2 * (N) + (V):                                     \
        rows_by_panel(x, x_rows, depth, w, start, y, N, V); \
        return;
    FOR_EACH_SIZE(n, n_vecs, CALL)
#undef CALL
}

static void columns_tile(const REAL *x, const REAL *gradients, int64_t n_rows, REAL *gradient, int n, int n_vecs) {
#define CALL(N, V)                                           \
    case 2 * (N) + (V):                                      \
        columns_by_panel(x, gradients, n_rows, gradient, N, V); \
        return;
    FOR_EACH_SIZE(n, n_vecs, CALL)
#undef CALL
}

#if IS_FLOAT && (defined(__clang__) || __GNUC__ >= 12)
typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
#define BLOCK 4
/* Write the transpose of a 4 x 4 block to t. */
INLINE void transpose_block(const float *w, float *t) {
    const four *a = (const four *)w, *b = (const four *)(w + PANEL);
    const four *c = (const four *)(w + 2 * PANEL), *d = (const four *)(w + 3 * PANEL);
    const four ab = __builtin_shufflevector(*a, *b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(*a, *b, 2, 6, 3, 7);
    const four cd = __builtin_shufflevector(*c, *d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(*c, *d, 2, 6, 3, 7);
    *(four *)t = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *(four *)(t + PANEL) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    *(four *)(t + 2 * PANEL) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    *(four *)(t + 3 * PANEL) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}
#else
#define BLOCK 1
INLINE void transpose_block(const REAL *w, REAL *t) { *t = *w; }
#endif

/* Write a panel of a weight's transpose to t: the rows of some inputs as columns, padded with zeros. */
static void transpose(const REAL *weight, int64_t n_inputs, int64_t n_units, int64_t first, REAL *t) {
    const int64_t here = smaller(PANEL, n_inputs - first), whole = here / BLOCK * BLOCK;
    for (int64_t p = 0; p < n_panels(n_units); p++, t += PANEL * PANEL) {
        const REAL *w = weight + (p * n_inputs + first) * PANEL;
        const int64_t units = (width_of(n_units, p) + BLOCK - 1) / BLOCK * BLOCK;
        for (int64_t j = 0; j < units; j += BLOCK)
            for (int64_t k = 0; k < whole; k += BLOCK) transpose_block(w + k * PANEL + j, t + j * PANEL + k);
        for (int64_t j = 0; j < units; j++)
            for (int64_t k = whole; k < PANEL; k++) t[j * PANEL + k] = k < here ? w[k * PANEL + j] : 0;
    }
}
