/* Sorts a batch of sparse rows by features, a lane at a time. */

static int32_t first_not_below(const int32_t *columns, int32_t from, int32_t to, int64_t column) {
    while (from < to) {
        int32_t middle = from + (to - from) / 2;
        if (columns[middle] < column)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* Find a lane's part of each row of the next batch; return the number of entries in it, and of those before it. */
static int32_t find(const struct pass *p, int32_t *bounds, int64_t low, int64_t high, int32_t *before) {
    int32_t n = 0;
    *before = 0;
    for (int64_t i = 0; i < p->n_next; i++) {
        int32_t from = first_not_below(p->columns, p->splits[i], p->splits[i + 1], low);
        int32_t to = first_not_below(p->columns, from, p->splits[i + 1], high);
        bounds[2 * i] = from;
        bounds[2 * i + 1] = to;
        *before += from - p->splits[i];
        n += to - from;
    }
    return n;
}

/* Sort a lane's part of the next batch by counting: two passes over the entries, one over the features. */
static void by_counting(const struct pass *p, const int32_t *bounds, int64_t low, int64_t size, int32_t before,
                        int32_t *counts, int32_t *features, int32_t *starts) {
    memset(counts, 0, size * sizeof *counts);
    for (int64_t i = 0; i < p->n_next; i++)
        for (int32_t k = bounds[2 * i]; k < bounds[2 * i + 1]; k++) counts[p->columns[k] - low]++;
    for (int64_t c = 0; c < size; c++) {
        int32_t n = counts[c];
        *features = (int32_t)c;
        *starts = counts[c] = before;
        features += n > 0;
        starts += n > 0;
        before += n;
    }
    *features = INT32_MAX;
    *starts = before;
    for (int64_t i = 0; i < p->n_next; i++)
        for (int32_t k = bounds[2 * i]; k < bounds[2 * i + 1]; k++)
            p->next.entries[counts[p->columns[k] - low]++] = (struct entry){(int32_t)i, p->values[k]};
}

/* The same for a lane with many more features than entries: a radix sort by two digits of the feature. */
static void by_digits(const struct pass *p, const int32_t *bounds, int64_t low, int64_t size, int32_t before,
                      int32_t n, int32_t *features, int32_t *starts) {
    int bits = 1;
    while ((size - 1) >> (2 * bits)) bits++;
    const int32_t digits = 1 << bits, mask = digits - 1;
    int32_t counts[2 << 14]; /* for lanes of less than 2 ** 28 features */
    memset(counts, 0, 2 * digits * sizeof *counts);
    struct triple *triples = p->triples + before, *more = p->more_triples + before;
    int32_t m = 0;
    for (int64_t i = 0; i < p->n_next; i++)
        for (int32_t k = bounds[2 * i]; k < bounds[2 * i + 1]; k++) {
            int32_t c = p->columns[k] - (int32_t)low;
            counts[c & mask]++;
            counts[digits + (c >> bits)]++;
            triples[m++] = (struct triple){c, (int32_t)i, p->values[k]};
        }
    running_totals(counts, digits);
    running_totals(counts + digits, digits);
    for (int32_t k = 0; k < n; k++) more[counts[triples[k].column & mask]++] = triples[k];
    for (int32_t k = 0; k < n; k++) triples[counts[digits + (more[k].column >> bits)]++] = more[k];
    for (int32_t k = 0; k < n; k++) {
        if (k == 0 || triples[k].column != triples[k - 1].column) {
            *features++ = triples[k].column;
            *starts++ = before + k;
        }
        p->next.entries[before + k] = (struct entry){triples[k].row, triples[k].value};
    }
    *features = INT32_MAX;
    *starts = before + n;
}
