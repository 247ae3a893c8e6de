/* Rows that are copied from a data set into a batch, each in the order of its columns. */

/* Rows on their way from a data set to a batch. Kept in step with the class _Gather of sparse_adam.py. */
struct gather {
    int64_t n_rows;
    const int32_t *rows;
    const int32_t *from_splits, *from_columns;
    const float *from_values;
    const int32_t *splits; /* (n_rows + 1), of the batch */
    int32_t *columns;
    float *values;
    struct entry *room; /* as many as the longest row has entries */
    int32_t bits;       /* twice so many hold a column */
};

/* Sort a row by columns, in two passes by digits, which leave entries of one column in their order. */
static void sort(const struct gather *g, const int32_t *columns, const float *values, int32_t n, int32_t to,
                 int32_t *counts) {
    const int32_t digits = 1 << g->bits, mask = digits - 1;
    struct entry *room = g->room;
    memset(counts, 0, 2 * digits * sizeof *counts);
    for (int32_t k = 0; k < n; k++) {
        counts[columns[k] & mask]++;
        counts[digits + (columns[k] >> g->bits)]++;
    }
    running_totals(counts, digits);
    running_totals(counts + digits, digits);
    for (int32_t k = 0; k < n; k++) room[counts[columns[k] & mask]++] = (struct entry){columns[k], values[k]};
    for (int32_t k = 0; k < n; k++) {
        int32_t at = to + counts[digits + (room[k].row >> g->bits)]++;
        g->columns[at] = room[k].row;
        g->values[at] = room[k].value;
    }
}

static int is_sorted(const int32_t *columns, int32_t n) {
    int sorted = 1;
    for (int32_t k = 1; k < n; k++) sorted &= columns[k - 1] <= columns[k];
    return sorted;
}

/* Copy rows, each in the order of its columns. `counts` has room for two tables of digits. */
void ffnn_gather(const struct gather *g, int32_t *counts) {
    for (int64_t i = 0; i < g->n_rows; i++) {
        const int32_t from = g->from_splits[g->rows[i]], to = g->splits[i], n = g->splits[i + 1] - to;
        const int32_t *columns = g->from_columns + from;
        const float *values = g->from_values + from;
        if (is_sorted(columns, n)) {
            memcpy(g->columns + to, columns, n * sizeof *columns);
            memcpy(g->values + to, values, n * sizeof *values);
        } else {
            sort(g, columns, values, n, to, counts);
        }
    }
}
