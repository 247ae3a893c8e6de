/* Copies rows of a data set into a batch, each sorted by columns. */

/* The arguments of ffnn_gather. Kept in step with the class _Gather of csr.py. */
struct gather {
    int64_t n_rows;                       /* of the batch */
    int64_t n_from, n_stored, n_features; /* the data set's rows, entries and columns */
    const int32_t *rows;
    const int32_t *from_splits, *from_columns;
    const float *from_values;
    const int32_t *splits; /* (n_rows + 1), of the batch */
    int32_t *columns;
    float *values;
    struct entry *scratch; /* as long as the longest row of the batch */
    int32_t bits;       /* half the bits of a column's number */
};

/* Sort a row by columns: a stable radix sort in two passes. */
static void sort(const struct gather *g, const int32_t *columns, const float *values, int32_t n, int32_t to,
                 int32_t *counts) {
    const int32_t digits = 1 << g->bits, mask = digits - 1;
    struct entry *scratch = g->scratch;
    memset(counts, 0, 2 * digits * sizeof *counts);
    for (int32_t k = 0; k < n; k++) {
        counts[columns[k] & mask]++;
        counts[digits + (columns[k] >> g->bits)]++;
    }
    running_totals(counts, digits);
    running_totals(counts + digits, digits);
    for (int32_t k = 0; k < n; k++) scratch[counts[columns[k] & mask]++] = (struct entry){columns[k], values[k]};
    for (int32_t k = 0; k < n; k++) {
        int32_t at = to + counts[digits + (scratch[k].row >> g->bits)]++;
        g->columns[at] = scratch[k].row;
        g->values[at] = scratch[k].value;
    }
}

static int is_sorted(const int32_t *columns, int32_t n) {
    int sorted = 1;
    for (int32_t k = 1; k < n; k++) sorted &= columns[k - 1] <= columns[k];
    return sorted;
}

/* Copy rows, each sorted by columns; `counts` holds two tables of digits. Return 0, or 1 at the first row that is
 * outside the data set or has a column outside it. */
int ffnn_gather(const struct gather *g, int32_t *counts) {
    for (int64_t i = 0; i < g->n_rows; i++) {
        const int32_t row = g->rows[i], to = g->splits[i], n = g->splits[i + 1] - to;
        if (row < 0 || row >= g->n_from) return 1;
        const int32_t from = g->from_splits[row];
        if (from < 0 || n < 0 || (int64_t)from + n > g->n_stored || g->from_splits[row + 1] != from + n) return 1;
        if (!n) continue;
        const int32_t *columns = g->from_columns + from;
        const float *values = g->from_values + from;
        const int sorted = is_sorted(columns, n);
        if (sorted ? columns[0] < 0 || columns[n - 1] >= g->n_features : any_outside(columns, n, g->n_features))
            return 1;
        if (sorted) {
            memcpy(g->columns + to, columns, n * sizeof *columns);
            memcpy(g->values + to, values, n * sizeof *values);
        } else {
            sort(g, columns, values, n, to, counts);
        }
    }
    return 0;
}
