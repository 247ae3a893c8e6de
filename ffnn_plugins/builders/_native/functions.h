/* Elementary functions, and the activations with their derivatives.
 *
 * The functions of float have no branches, so that the compiler can vectorize them; their error is a few units in the
 * last place. Those of double are the C library's, which are slower. */

#if IS_FLOAT
/* Return q and a power of two so that exp(x) - 1 is q * *power + (*power - 1), accurate around 0, too. */
INLINE float reduced_exp(float x, float *power) {
    x = x > 88.0f ? 88.0f : x;
    x = x < -87.0f ? -87.0f : x;
    /* adding 1.5 * 2 ** 23 rounds to an integer */
    const float n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
    const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f; /* log 2, in two parts */
    const union { int32_t bits; float value; } two = {.bits = ((int32_t)n + 127) * (1 << 23)};
    *power = two.value;
    float q = 1.0f / 5040;
    q = q * r + 1.0f / 720;
    q = q * r + 1.0f / 120;
    q = q * r + 1.0f / 24;
    q = q * r + 1.0f / 6;
    q = q * r + 0.5f;
    return r + r * r * q;
}

INLINE float exp_of(float x) {
    float power, q = reduced_exp(x, &power);
    return q * power + power;
}

INLINE float expm1_of(float x) {
    float power, q = reduced_exp(x, &power);
    return q * power + (power - 1);
}

INLINE float tanh_of(float x) {
    const float e = expm1_of(2 * x);
    return e / (e + 2);
}

/* log(1 + u) for u in [0, 1], by the series of the inverse hyperbolic tangent. */
INLINE float log1p_of(float u) {
    const float t = u / (2 + u), s = t * t;
    float q = 1.0f / 15;
    for (int k = 13; k > 0; k -= 2) q = q * s + 1.0f / (float)k;
    return 2 * t * q;
}

/* The normal distribution function, by formula 7.1.26 of Abramowitz and Stegun (1964), to 1e-7. */
INLINE float normal_cdf(float x) {
    const float z = fabsf(x) * 0.70710678f, t = 1 / (1 + 0.3275911f * z);
    const float p = ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t;
    const float tail = 0.5f * p * exp_of(-z * z);
    return x > 0 ? 1 - tail : tail;
}
#define LOG logf
#define POW powf
#define ABS fabsf
#define SQRT sqrtf
#define COS cosf
#else
INLINE double exp_of(double x) { return exp(x); }
INLINE double expm1_of(double x) { return expm1(x); }
INLINE double tanh_of(double x) { return tanh(x); }
INLINE double log1p_of(double u) { return log1p(u); }
INLINE double normal_cdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }
#define LOG log
#define POW pow
#define ABS fabs
#define SQRT sqrt
#define COS cos
#endif

INLINE REAL smaller_of(REAL a, REAL b) { return a < b ? a : b; }
INLINE REAL sigmoid_of(REAL x) { return 1 / (1 + exp_of(-x)); }
INLINE REAL softplus_of(REAL x) { return (x > 0 ? x : 0) + log1p_of(exp_of(-ABS(x))); }

/* Kept in step with FUNCTIONS in network.py. */
enum function { RELU, LEAKY_RELU, ELU, SELU, GELU, SILU, SIGMOID, SOFTPLUS, MISH, TANH };

#define LEAK ((REAL)0.2)
#define SELU_SCALE ((REAL)1.0507009873554805)
#define SELU_ALPHA ((REAL)1.6732632423543772)

/* Whether the forward pass saves the derivative; that of the other functions follows from the function's value. */
INLINE int saves_derivative(int function) { return function == GELU || function == SILU || function == MISH; }

/* Loops over whole rows of a panel, so that the same vector code computes every value. Compilers would leave unrolled
 * loops scalar. */
#define NOT_UNROLLED _Pragma("GCC unroll 1")
/* A loop whose entries do not depend on each other, where a compiler would check at each turn. */
#define INDEPENDENT _Pragma("GCC ivdep")
#define EACH(count) \
    for (int64_t i = 0; i < (count); i += PANEL) NOT_UNROLLED for (int64_t c = i; c < i + PANEL; c++)

/* Apply a function to n values, a multiple of PANEL, in place; write the derivatives if `derivatives` is not NULL. */
static void apply_function(int function, REAL *restrict y, REAL *restrict derivatives, int64_t n) {
    switch (function) {
        case RELU:
            EACH(n) y[c] = y[c] < 0 ? 0 : y[c];
            return;
        case LEAKY_RELU:
            EACH(n) y[c] = y[c] > 0 ? y[c] : LEAK * y[c];
            return;
        case ELU:
            EACH(n) y[c] = y[c] > 0 ? y[c] : expm1_of(y[c] > 0 ? 0 : y[c]);
            return;
        case SELU:
            EACH(n) y[c] = SELU_SCALE * (y[c] > 0 ? y[c] : SELU_ALPHA * expm1_of(y[c] > 0 ? 0 : y[c]));
            return;
        case SIGMOID:
            EACH(n) y[c] = sigmoid_of(y[c]);
            return;
        case SOFTPLUS:
            EACH(n) y[c] = softplus_of(y[c]);
            return;
        case TANH:
            EACH(n) y[c] = tanh_of(y[c]);
            return;
    }
    REAL unused[PANEL];
    for (int64_t i = 0; i < n; i += PANEL) {
        REAL *restrict out = derivatives ? derivatives + i : unused, *restrict in = y + i;
        if (function == GELU)
            NOT_UNROLLED for (int64_t c = 0; c < PANEL; c++) {
                const REAL x = in[c], p = normal_cdf(x);
                in[c] = x * p;
                out[c] = p + x * (REAL)0.3989422804014327 * exp_of(-x * x / 2);
            }
        else if (function == SILU)
            NOT_UNROLLED for (int64_t c = 0; c < PANEL; c++) {
                const REAL x = in[c], p = sigmoid_of(x);
                in[c] = x * p;
                out[c] = p * (1 + x * (1 - p));
            }
        else /* MISH: the hyperbolic tangent of log(1 + e), e = exp(x), is e (e + 2) / (e (e + 2) + 2) */
            NOT_UNROLLED for (int64_t c = 0; c < PANEL; c++) {
                const REAL x = in[c], e = exp_of(x > 20 ? 20 : x), t = e * (e + 2) / (e * (e + 2) + 2);
                in[c] = x * t;
                out[c] = t + x * (1 - t * t) * sigmoid_of(x);
            }
    }
}

/* Multiply gradients by a function's derivatives, given its values or, if it saves them, its derivatives. */
static void multiply_by_derivatives(int function, REAL *restrict d, const REAL *restrict y, int64_t n) {
    switch (function) {
        case RELU:
            EACH(n) d[c] = y[c] > 0 ? d[c] : 0;
            return;
        case LEAKY_RELU:
            EACH(n) d[c] = y[c] > 0 ? d[c] : LEAK * d[c];
            return;
        case ELU:
            EACH(n) d[c] *= y[c] > 0 ? 1 : y[c] + 1;
            return;
        case SELU:
            EACH(n) d[c] *= y[c] > 0 ? SELU_SCALE : y[c] + SELU_SCALE * SELU_ALPHA;
            return;
        case SIGMOID:
            EACH(n) d[c] *= y[c] * (1 - y[c]);
            return;
        case SOFTPLUS:
            EACH(n) d[c] *= -expm1_of(-y[c]);
            return;
        case TANH:
            EACH(n) d[c] *= 1 - y[c] * y[c];
            return;
        default:
            EACH(n) d[c] *= y[c];
    }
}
