/* The floating-point type, its vectors, and the memory layout of matrices.
 *
 * These files are compiled to one library for each type: REAL is float or double, and IS_FLOAT tells which.
 *
 * A matrix is stored in panels of PANEL columns: entry (i, j) is at (j / PANEL * n_rows + i) * PANEL + j % PANEL. So a
 * tile of some rows and one panel is contiguous, and all products read memory in order. The last panel is padded: with
 * zeros in weights and gradients, with finite numbers that are never used in values.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../../ffnn/kernels/processor.h"

/* A tile has as many sums as fit into the registers beside its operands: 2 vectors in each of ROWS rows. */
#if defined(__AVX512F__)
#define LANE_BYTES 64
#define ROWS 12
#elif defined(__AVX__)
#define LANE_BYTES 32
#define ROWS 6
#else
#define LANE_BYTES 16
#define ROWS 6
#endif
#define N_LANES ((int64_t)(LANE_BYTES / sizeof(REAL)))
#define PANEL (2 * N_LANES)

typedef REAL lanes __attribute__((vector_size(LANE_BYTES), aligned(sizeof(REAL)), may_alias));

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t n_panels(int64_t width) { return (width + PANEL - 1) / PANEL; }
/* The number of columns in a panel, without the padding. */
INLINE int64_t width_of(int64_t width, int64_t panel) { return smaller(PANEL, width - panel * PANEL); }
/* The number of vectors that hold them. */
INLINE int vecs_of(int64_t width, int64_t panel) { return width_of(width, panel) > N_LANES ? 2 : 1; }

/* The number of rows of the next tile. */
INLINE int tile_rows(int64_t left) {
    if (left >= ROWS) return ROWS;
    if (ROWS > 8 && left >= 8) return 8;
    return left >= 4 ? 4 : left >= 2 ? 2 : 1;
}
