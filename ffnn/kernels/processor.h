/* Shared by all kernels: vectors, subnormal numbers, the processor's instruction set, and a check of columns. */
#include <stdint.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <xmmintrin.h>
#endif

/* Vectors are as wide as the registers, since gcc keeps wider ones in memory; VECS sums are in registers at a time. */
#if defined(__AVX512F__)
#define WIDTH 16
#elif defined(__AVX__)
#define WIDTH 8
#else
#define WIDTH 4
#endif
#define VECS 8
typedef float vec __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
#define INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define ONE_COPY __attribute__((noinline))
#else
#define ONE_COPY __attribute__((noinline, noclone))
#endif

/* Treat subnormal numbers as zero, as TensorFlow's kernels do: computing with them takes a hundred times as long. */
INLINE unsigned int flush_tiny(void) {
#if defined(__x86_64__)
    const unsigned int before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
#else
    return 0;
#endif
}

INLINE void restore_tiny(unsigned int before) {
#if defined(__x86_64__)
    _mm_setcsr(before);
#else
    (void)before;
#endif
}

/* Whether any column is outside 0 to n_features - 1; as unsigned numbers, negative columns are too large. */
INLINE int any_outside(const int32_t *columns, int64_t n, int64_t n_features) {
    int found = 0;
    for (int64_t k = 0; k < n; k++) found |= (uint32_t)columns[k] >= (uint32_t)n_features;
    return found;
}

/* Whether the processor supports a level of x86-64, and the system saves its registers. */
int ffnn_runs(int level) {
#if defined(__x86_64__)
    unsigned int a, b, c, d, kept;
    if (level < 3) return 1;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_FMA)) return 0;
    __asm__("xgetbv" : "=a"(kept), "=d"(d) : "c"(0));
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    if ((kept & 0x06) != 0x06 || !(b & bit_AVX2) || !(b & bit_BMI2)) return 0;
    if (level < 4) return 1;
    const unsigned int wanted = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
    return (kept & 0xe6) == 0xe6 && (b & wanted) == wanted;
#else
    return level < 3;
#endif
}
