/* For all kernels: the processor's vectors, how it treats tiny numbers, the level of its instructions, and the check of
 * columns. */
#include <stdint.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <xmmintrin.h>
#endif

/* Vectors as wide as the registers: gcc puts wider ones through memory. As many units at a time as there are registers
 * for their sums. */
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

/* Numbers too small to be normal cost a hundred times the others; TensorFlow's kernels take them for zero, too. */
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

/* Whether a column is not one of so many; a negative one is larger than any, seen as unsigned. */
INLINE int any_outside(const int32_t *columns, int64_t n, int64_t n_features) {
    int found = 0;
    for (int64_t k = 0; k < n; k++) found |= (uint32_t)columns[k] >= (uint32_t)n_features;
    return found;
}

/* Whether the processor has what a level of x86-64 asks for, and the system keeps its registers. */
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
