// Leaky integrate-and-fire neurons behind a batch norm, forward and backward, over all time steps at once.
//
// A layer's input is x[T][rows][channels]; a neuron is one (row, channel). Its T membrane potentials live in
// registers or the first cache, so memory is read and written once a pass. The backward pass computes them
// again rather than storing them.
//
//     y_t = scale[c] * x_t + shift[c]        u_t = decay * u_{t-1} * (1 - s_{t-1}) + y_t       s_t = u_t > threshold
//
// `lif.py` compiles this file with the system's C++ compiler and documents the arguments; with `coef`, the
// result is not the spikes but their sum weighted by coef[t].

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr int WIDEST = 64, MOST_STEPS = 32;

struct Bf16 {
    uint16_t bits;
};

inline float load(Bf16 v) {
    uint32_t wide = uint32_t(v.bits) << 16;
    float f;
    std::memcpy(&f, &wide, 4);
    return f;
}
inline float load(float v) { return v; }
inline double load(double v) { return v; }

inline void store(Bf16 &to, float v) {
    uint32_t wide;
    std::memcpy(&wide, &v, 4);
    to.bits = uint16_t((wide + 0x7fff + ((wide >> 16) & 1)) >> 16);
}
inline void store(float &to, float v) { to = v; }
inline void store(double &to, double v) { to = v; }

struct Neuron {
    double threshold, decay, window;
};

// Runs `body(thread, first row, past the last row)` on `threads` threads; the split depends on nothing else, so
// sums are the same in every run.
template <class Body> void split(int64_t rows, int threads, Body body) {
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int i = 0; i < threads; i++) body(i, rows * i / threads, rows * (i + 1) / threads);
}

// Calls `body(first channel, width)` with the width a constant where it can be one.
template <class Body> inline void in_lanes(int channels, Body body) {
    int c = 0;
    for (; c + WIDEST <= channels; c += WIDEST) body(c, std::integral_constant<int, WIDEST>());
    for (; c + 32 <= channels; c += 32) body(c, std::integral_constant<int, 32>());
    if (c < channels) body(c, channels - c);
}

template <class S, class A>
void moments(const S *x, int64_t rows, int channels, int threads, double *mean, double *variance) {
    std::vector<double> sums(size_t(threads) * channels * 2, 0.0);
    split(rows, threads, [&](int thread, int64_t from, int64_t to) {
        double *sum = &sums[size_t(thread) * channels * 2], *square = sum + channels;
        std::vector<A> partial(channels * 2);
        for (int64_t block = from; block < to; block += 64) {
            std::fill(partial.begin(), partial.end(), A(0));
            A *p = partial.data(), *q = p + channels;
            for (int64_t r = block; r < to && r < block + 64; r++)
                for (int c = 0; c < channels; c++) {
                    A v = load(x[r * channels + c]);
                    p[c] += v;
                    q[c] += v * v;
                }
            for (int c = 0; c < channels; c++) sum[c] += p[c], square[c] += q[c];
        }
    });
    for (int c = 0; c < channels; c++) {
        double sum = 0, square = 0;
        for (int i = 0; i < threads; i++) {
            sum += sums[size_t(i) * channels * 2 + c];
            square += sums[size_t(i) * channels * 2 + channels + c];
        }
        mean[c] = sum / rows;
        variance[c] = std::fmax(square / rows - mean[c] * mean[c], 0.0);
    }
}

template <class S, class A>
void forward(Neuron n, const S *x, const A *scale, const A *shift, int T, int64_t rows, int channels, int64_t stride,
             int threads, S *out, const A *coef) {
    const A threshold = A(n.threshold), decay = A(n.decay);
    split(rows, threads, [&](int, int64_t from, int64_t to) {
        for (int64_t r = from; r < to; r++)
            in_lanes(channels, [&](int c0, auto width) {
                A u[WIDEST], sum[WIDEST];
                for (int c = 0; c < width; c++) u[c] = sum[c] = 0;
                for (int t = 0; t < T; t++) {
                    const S *at = x + t * stride + r * channels + c0;
                    S *to = out + (coef ? 0 : t * rows * channels) + r * channels + c0;
                    const A weight = coef ? coef[t] : A(0);
                    for (int c = 0; c < width; c++) {
                        A v = decay * u[c] + (load(at[c]) * scale[c0 + c] + shift[c0 + c]);
                        A s = v > threshold ? A(1) : A(0);
                        u[c] = v > threshold ? A(0) : v;
                        if (coef) sum[c] += weight * s;
                        else store(to[c], s);
                    }
                }
                if (coef)
                    for (int c = 0; c < width; c++) store(out[r * channels + c0 + c], sum[c]);
            });
    });
}

// One step backward. `du` is the gradient of u_{t+1}, which reaches u_t by the decay and s_t by the reset; it
// becomes that of u_t. A function of its own, for compilers vectorise it only when they see that nothing overlaps.
template <class S, class A, class W>
[[gnu::noinline]] void back_in_time(W width, Neuron n, A weight, const A *__restrict u, const S *__restrict x,
                                    const S *__restrict grad, A *__restrict du, A *__restrict sum,
                                    A *__restrict sum_x) {
    const A threshold = A(n.threshold), decay = A(n.decay), window = A(n.window);
    for (int c = 0; c < width; c++) {
        A next = decay * du[c], ds = weight * load(grad[c]) - next * u[c];
        A dy = (u[c] > threshold ? A(0) : next) + (std::fabs(u[c]) < window ? ds : A(0));
        du[c] = dy;
        sum[c] += dy;
        sum_x[c] += dy * load(x[c]);
    }
}

template <class S, class A>
void backward(Neuron n, const S *x, const A *scale, const A *shift, int T, int64_t rows, int channels, int64_t stride,
              int threads, const S *grad, const A *coef, S *out, double *sum_grad, double *sum_grad_x) {
    const A threshold = A(n.threshold), decay = A(n.decay);
    std::vector<double> sums(size_t(threads) * channels * 2, 0.0);
    split(rows, threads, [&](int thread, int64_t from, int64_t to) {
        double *total = &sums[size_t(thread) * channels * 2], *total_x = total + channels;
        std::vector<A> partial(channels * 2);
        for (int64_t block = from; block < to; block += 16) {
            std::fill(partial.begin(), partial.end(), A(0));
            A *p = partial.data(), *q = p + channels;
            for (int64_t r = block; r < to && r < block + 16; r++)
                in_lanes(channels, [&](int c0, auto width) {
                    A u[MOST_STEPS][WIDEST], du[WIDEST], repeated[WIDEST], a[WIDEST], b[WIDEST], y[WIDEST];
                    A *__restrict sum = p + c0, *__restrict sum_x = q + c0;
                    for (int c = 0; c < width; c++) {
                        du[c] = repeated[c] = 0;
                        a[c] = scale[c0 + c], b[c] = shift[c0 + c], y[c] = 0;
                    }
                    for (int t = 0; t < T; t++) {
                        const S *__restrict at = x + t * stride + r * channels + c0;
                        for (int c = 0; c < width; c++) {
                            A v = decay * y[c] + (load(at[c]) * a[c] + b[c]);
                            u[t][c] = v;
                            y[c] = v > threshold ? A(0) : v;
                        }
                    }
                    for (int t = T - 1; t >= 0; t--) {
                        const S *__restrict at = x + t * stride + r * channels + c0;
                        const S *__restrict g = grad + (coef ? 0 : t * rows * channels) + r * channels + c0;
                        const A weight = coef ? coef[t] : A(1);
                        back_in_time(width, n, weight, u[t], at, g, du, sum, sum_x);
                        if (stride) {
                            S *__restrict to = out + t * rows * channels + r * channels + c0;
                            for (int c = 0; c < width; c++) store(to[c], du[c]);
                        } else {
                            for (int c = 0; c < width; c++) repeated[c] += du[c];
                        }
                    }
                    if (!stride)
                        for (int c = 0; c < width; c++) store(out[r * channels + c0 + c], repeated[c]);
                });
            for (int c = 0; c < channels; c++) total[c] += p[c], total_x[c] += q[c];
        }
    });
    for (int c = 0; c < channels; c++) {
        sum_grad[c] = sum_grad_x[c] = 0;
        for (int i = 0; i < threads; i++) {
            sum_grad[c] += sums[size_t(i) * channels * 2 + c];
            sum_grad_x[c] += sums[size_t(i) * channels * 2 + channels + c];
        }
    }
}

// grad = a[c] * grad + b[c] * x + d[c], in place.
template <class S, class A>
void combine(S *grad, const S *x, const A *a, const A *b, const A *d, int64_t rows, int channels, int threads) {
    split(rows, threads, [&](int, int64_t from, int64_t to) {
        for (int64_t r = from; r < to; r++)
            for (int c = 0; c < channels; c++) {
                int64_t i = r * channels + c;
                store(grad[i], a[c] * load(grad[i]) + b[c] * load(x[i]) + d[c]);
            }
    });
}

// One time step: u and s change in place.
template <class S, class A>
void step(Neuron n, const S *x, const A *scale, const A *shift, int64_t rows, int channels, int threads, A *u, S *s) {
    const A threshold = A(n.threshold), decay = A(n.decay);
    split(rows, threads, [&](int, int64_t from, int64_t to) {
        for (int64_t r = from; r < to; r++)
            for (int c = 0; c < channels; c++) {
                int64_t i = r * channels + c;
                A v = decay * u[i] + (load(x[i]) * scale[c] + shift[c]);
                u[i] = v > threshold ? A(0) : v;
                store(s[i], v > threshold ? A(1) : A(0));
            }
    });
}

} // namespace

#define EXPORT(SUFFIX, S, A)                                                                                           \
    extern "C" void moments_##SUFFIX(const S *x, int64_t rows, int channels, int threads, double *mean,                \
                                     double *variance) {                                                               \
        moments<S, A>(x, rows, channels, threads, mean, variance);                                                     \
    }                                                                                                                  \
    extern "C" void forward_##SUFFIX(Neuron n, const S *x, const A *scale, const A *shift, int T, int64_t rows,        \
                                     int channels, int64_t stride, int threads, S *out, const A *coef) {               \
        forward<S, A>(n, x, scale, shift, T, rows, channels, stride, threads, out, coef);                              \
    }                                                                                                                  \
    extern "C" void backward_##SUFFIX(Neuron n, const S *x, const A *scale, const A *shift, int T, int64_t rows,       \
                                      int channels, int64_t stride, int threads, const S *grad, const A *coef, S *out, \
                                      double *sum_grad, double *sum_grad_x) {                                          \
        backward<S, A>(n, x, scale, shift, T, rows, channels, stride, threads, grad, coef, out, sum_grad, sum_grad_x); \
    }                                                                                                                  \
    extern "C" void combine_##SUFFIX(S *grad, const S *x, const A *a, const A *b, const A *d, int64_t rows,            \
                                     int channels, int threads) {                                                      \
        combine<S, A>(grad, x, a, b, d, rows, channels, threads);                                                      \
    }                                                                                                                  \
    extern "C" void step_##SUFFIX(Neuron n, const S *x, const A *scale, const A *shift, int64_t rows, int channels,    \
                                  int threads, A *u, S *s) {                                                           \
        step<S, A>(n, x, scale, shift, rows, channels, threads, u, s);                                                 \
    }

EXPORT(bfloat16, Bf16, float)
EXPORT(float32, float, float)
EXPORT(float64, double, double)
