/* Training and prediction of dense networks, compiled once for each type.
 *
 * An epoch is one call. Calls allocate and free their scratch memory. */
#include "real.h"
/* in this order: each uses those before it */
#include "products.h"
#include "functions.h"
#include "steps.h"
#include "losses.h"
#include "stages.h"
#include "forward.h"
#include "backward.h"

#define MOST_THREADS 16
/* The most rows, and values of X, in a pass of a full-batch gradient or a prediction; they bound the memory. */
#define PASS_ROWS 256
#define PASS_VALUES ((int64_t)1 << 22)

/* Kept in step with the class Plan of library.py. */
struct plan {
    const int64_t *order;
    int64_t n_rows, batch_size, n_batches;
    const double *step_sizes, *learning_rates;
    const int32_t *seeds; /* (n_batches, 2) */
    double decay, shrink; /* weight decay as an L2 penalty; decoupled weight decay, per unit of the learning rate */
    double clip_norm, clip_value; /* infinity for no bound */
};

/* The number of columns of a panel. */
int64_t ffnn_panel(void) { return PANEL; }

struct job {
    struct work *work;
    const struct plan *plan;
    int me;
    double total, total_weight;
};

INLINE int64_t size_of(const struct stage *stage, const struct weight *weight) {
    const int64_t width = n_panels(stage->n_outputs) * PANEL;
    return weight == &stage->weight && stage->kind == AFFINE ? stage->n_inputs * width : width;
}

/* Clip the saved gradient by its norm, and take the step. */
static void step_within_norm(struct work *w, double bound, int me) {
    const struct network *net = w->net;
    if (!me) {
        double squares = 0;
        for (int64_t s = 0; s < net->n_stages; s++)
            for (int k = 0; k < 2; k++) {
                const struct weight *weight = k ? &net->stages[s].bias : &net->stages[s].weight;
                if (!weight->value) continue;
                for (int64_t c = 0; c < size_of(net->stages + s, weight); c++)
                    squares += (double)weight->gradient[c] * weight->gradient[c];
            }
        const double norm = sqrt(squares);
        w->step.factor = (REAL)(norm > bound ? bound / norm : norm <= bound ? 1 : norm);
    }
    wait_for_team(&w->team);
    for (int64_t s = 0; s < net->n_stages; s++)
        for (int k = 0; k < 2; k++) {
            const struct weight *weight = k ? &net->stages[s].bias : &net->stages[s].weight;
            if (!weight->value) continue;
            const int64_t size = size_of(net->stages + s, weight), chunk = 64 * PANEL;
            for (int64_t at = me * chunk; at < size; at += w->team.n * chunk)
                take_step(&w->step, weight, at, weight->gradient + at, smaller(chunk, size - at), 2);
        }
    wait_for_team(&w->team);
}

static void begin_step(struct work *w, const struct plan *plan, int64_t b) {
    w->n = smaller(plan->batch_size, plan->n_rows - b * plan->batch_size);
    w->truth.rows = plan->order + b * plan->batch_size;
    w->seeds[0] = (uint32_t)plan->seeds[2 * b];
    w->seeds[1] = (uint32_t)plan->seeds[2 * b + 1];
    w->step.size = (REAL)plan->step_sizes[b];
    w->step.shrink = (REAL)(plan->learning_rates[b] * plan->shrink);
    w->step.factor = 1;
}

/* Train an epoch, as one thread of the team. */
static void *train(void *argument) {
    struct job *job = argument;
    struct work *w = job->work;
    const struct plan *plan = job->plan;
    const struct loss *loss = &w->net->loss;
    const unsigned int before = flush_tiny();
    while (!__atomic_load_n(&w->team.complete, __ATOMIC_ACQUIRE)) sched_yield();
    for (int64_t b = 0; b < plan->n_batches; b++) {
        if (!job->me) begin_step(w, plan, b);
        wait_for_team(&w->team);
        forward(w, job->me);
        const double total_weight = total_weight_of(loss, &w->truth, w->n);
        losses(w, total_weight ? (REAL)(1 / total_weight) : 0, job->me);
        wait_for_team(&w->team);
        if (!job->me) {
            job->total += sum_of(w->scratch.losses, w->n);
            job->total_weight += total_weight;
        }
        const int by_norm = isfinite(plan->clip_norm);
        backward(w, by_norm ? KEEP : STEP, 0, job->me);
        if (by_norm) step_within_norm(w, plan->clip_norm, job->me);
    }
    restore_tiny(before);
    return NULL;
}

/* Train an epoch or a part of it, and add the losses and their total weight to `result`, in the order of the batches,
   whatever the parts; return whether there was enough memory. */
int ffnn_train(const struct network *net, const struct data *data, const struct plan *plan, int64_t n_threads,
               double *result) {
    struct work work = {.net = net, .data = data, .truth = data->truth};
    int n = (int)smaller(n_threads, MOST_THREADS);
    work.scratch = (struct scratch){
        .n_rows = smaller(plan->batch_size, plan->n_rows), .n_stages = net->n_stages, .training = 1};
    work.step = (struct step){
        .solver = &net->solver, .decay = (REAL)plan->decay, .bound = (REAL)plan->clip_value, .factor = 1};
    if (!allocate_scratch(&work.scratch, net, n, TO_WEIGHTS, data->products != NULL)) return 0;
    pthread_mutex_init(&work.team.lock, NULL);
    pthread_cond_init(&work.team.woken, NULL);
    struct job jobs[MOST_THREADS];
    pthread_t threads[MOST_THREADS];
    for (int i = 0; i < n; i++) jobs[i] = (struct job){.work = &work, .plan = plan, .me = i};
    jobs[0].total = result[0];
    jobs[0].total_weight = result[1];
    int started = 1;
    while (started < n && !pthread_create(threads + started, NULL, train, jobs + started)) started++;
    work.team.n = started; /* the system may refuse more threads */
    __atomic_store_n(&work.team.complete, 1, __ATOMIC_RELEASE);
    train(jobs);
    for (int i = 1; i < started; i++) pthread_join(threads[i], NULL);
    pthread_cond_destroy(&work.team.woken);
    pthread_mutex_destroy(&work.team.lock);
    result[0] = jobs[0].total;
    result[1] = jobs[0].total_weight;
    free(work.scratch.memory);
    return 1;
}

/* The number of rows in a pass. */
static int64_t pass_rows(const struct network *net, const struct data *data, int64_t n_rows) {
    const int64_t few = data->products ? PASS_ROWS : PASS_VALUES / (net->n_features + 1);
    return smaller(n_rows, few < 1 ? 1 : smaller(few, PASS_ROWS));
}

/* Add the gradient of the sum of all losses to the saved one; write that sum and the total weight. */
int ffnn_gradient(const struct network *net, const struct data *data, int64_t n_rows, double *result) {
    struct work w = {.net = net, .data = data, .truth = data->truth, .team = {.n = 1}};
    w.scratch = (struct scratch){.n_rows = pass_rows(net, data, n_rows), .n_stages = net->n_stages};
    result[0] = result[1] = 0;
    if (!allocate_scratch(&w.scratch, net, 1, TO_WEIGHTS, 0)) return 0;
    const unsigned int before = flush_tiny();
    for (; w.truth.first < n_rows; w.truth.first += w.n) {
        w.n = smaller(w.scratch.n_rows, n_rows - w.truth.first);
        forward(&w, 0);
        losses(&w, 1, 0);
        result[0] += sum_of(w.scratch.losses, w.n);
        result[1] += total_weight_of(&net->loss, &w.truth, w.n);
        backward(&w, ADD, 0, 0);
    }
    restore_tiny(before);
    free(w.scratch.memory);
    return 1;
}

/* Copy some rows of a matrix from panels to rows of `pitch` values. */
static void copy_rows(const REAL *from, int64_t n_rows, int64_t n, int64_t width, REAL *to, int64_t pitch) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t p = 0; p < n_panels(width); p++)
            memcpy(to + i * pitch + p * PANEL, from + (p * n_rows + i) * PANEL, width_of(width, p) * sizeof(REAL));
}

/* Write the values of the rows from truth.first to n_rows after some stages, of shape (n_rows, width). */
int ffnn_forward(const struct network *net, const struct data *data, int64_t n_rows, int64_t n_stages, REAL *values) {
    struct work w = {.net = net, .data = data, .truth = data->truth, .team = {.n = 1}};
    w.scratch = (struct scratch){.n_rows = pass_rows(net, data, n_rows - data->truth.first), .n_stages = n_stages};
    if (!allocate_scratch(&w.scratch, net, 1, NOWHERE, data->products != NULL)) return 0;
    const unsigned int before = flush_tiny();
    const int64_t width = n_stages ? net->stages[n_stages - 1].n_outputs : net->n_features;
    for (; w.truth.first < n_rows; w.truth.first += w.n) {
        w.n = smaller(w.scratch.n_rows, n_rows - w.truth.first);
        forward(&w, 0);
        copy_rows(n_stages ? w.scratch.y[n_stages - 1] : w.scratch.x, w.scratch.n_rows, w.n, width,
                  values + w.truth.first * width, width);
    }
    restore_tiny(before);
    free(w.scratch.memory);
    return 1;
}

/* Write the gradients of the scores with respect to X, of shape (n_rows, n_outputs, n_features). */
int ffnn_input_gradients(const struct network *net, const struct data *data, int64_t n_rows, REAL *values) {
    struct work w = {.net = net, .data = data, .truth = data->truth, .team = {.n = 1}};
    const int64_t n_outputs = net->loss.n_outputs, width = net->n_features;
    w.scratch = (struct scratch){.n_rows = pass_rows(net, data, n_rows - data->truth.first), .n_stages = net->n_stages};
    if (!allocate_scratch(&w.scratch, net, 1, TO_INPUT, 0)) return 0;
    const unsigned int before = flush_tiny();
    for (; w.truth.first < n_rows; w.truth.first += w.n) {
        w.n = smaller(w.scratch.n_rows, n_rows - w.truth.first);
        forward(&w, 0);
        for (int64_t k = 0; k < n_outputs; k++) {
            memset(w.scratch.gradients[0], 0, n_panels(n_outputs) * w.scratch.n_rows * PANEL * sizeof(REAL));
            for (int64_t i = 0; i < w.n; i++)
                w.scratch.gradients[0][(k / PANEL * w.scratch.n_rows + i) * PANEL + k % PANEL] = 1;
            const REAL *gradients = w.scratch.gradients[backward(&w, NOTHING, 1, 0)];
            copy_rows(gradients, w.scratch.n_rows, w.n, width, values + (w.truth.first * n_outputs + k) * width,
                      n_outputs * width);
        }
    }
    restore_tiny(before);
    free(w.scratch.memory);
    return 1;
}

/* Apply dropout to the stored entries of a batch, with the same factors as in a dense batch. */
void ffnn_drop(const int32_t *splits, const int32_t *columns, REAL *values, int64_t n_rows, int64_t n_features,
               double rate, const int32_t *seeds, int64_t n_random) {
    const uint32_t both[2] = {(uint32_t)seeds[0], (uint32_t)seeds[1]};
    const struct draws draws = draws_of(both, n_random);
    const int32_t least = threshold(rate);
    const REAL scale = (REAL)(1 / (1 - rate));
    for (int64_t i = 0; i < n_rows; i++)
        for (int64_t k = splits[i]; k < splits[i + 1]; k++)
            values[k] *= draw(draws, (uint32_t)(i * n_features + columns[k])) >= least ? scale : 0;
}
