// The parts of the optimised peer that PyTorch has no operation for, fused over time: leaky integrate-and-fire neurons
// behind a batch norm, alone or behind the sums of a transposed convolution, and the last convolution's sums.
//
// A neuron's membrane stays in registers over all T steps. Rows are pixels of images (or images), channels are the
// innermost dimension. `torch.utils.cpp_extension` compiles this file; see optimised.py.

#include <torch/extension.h>

#include <cmath>

namespace {

using torch::Tensor;
constexpr int WIDEST = 32;

struct Neuron {
    float threshold, decay;
};

inline float *data(const Tensor &t) { return t.data_ptr<float>(); }

// Calls `body(first channel, width)`, with the width a constant where it can be one.
template <class Body> inline void in_lanes(int64_t channels, Body body) {
    int64_t c = 0;
    for (; c + WIDEST <= channels; c += WIDEST) body(c, std::integral_constant<int, WIDEST>());
    for (; c + 16 <= channels; c += 16) body(c, std::integral_constant<int, 16>());
    if (c < channels) body(c, int(channels - c));
}

// Membranes of up to WIDEST neuron channels side by side.
struct Membranes {
    float u[WIDEST] = {}, s[WIDEST] = {};

    template <class W> inline void step(Neuron n, W width, const float *x, const float *scale, const float *shift) {
        for (int c = 0; c < width; c++) {
            float v = n.decay * u[c] + (x[c] * scale[c] + shift[c]);
            s[c] = v > n.threshold ? 1.f : 0.f;
            u[c] = v > n.threshold ? 0.f : v;
        }
    }
};

// Spikes of currents x[T][rows][channels], in place.
void lif_(Tensor x, const Tensor &scale, const Tensor &shift, double threshold, double decay) {
    const int64_t T = x.size(0), rows = x.size(1), channels = x.size(2), stride = rows * channels;
    const Neuron n{float(threshold), float(decay)};
    float *base = data(x);
    const float *a = data(scale), *b = data(shift);
    at::parallel_for(0, rows, std::max<int64_t>(1, 16384 / (T * channels)), [&](int64_t from, int64_t to) {
        for (int64_t r = from; r < to; r++)
            in_lanes(channels, [&](int64_t c0, auto width) {
                Membranes m;
                for (int64_t t = 0; t < T; t++) {
                    float *at = base + t * stride + r * channels + c0;
                    m.step(n, width, at, a + c0, b + c0);
                    std::copy(m.s, m.s + width, at);
                }
            });
    });
}

// One step of neurons whose membranes are kept in u[rows][channels]: x becomes the spikes.
void step_(float *x, float *u, int64_t rows, int64_t channels, const float *a, const float *b, Neuron n) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < channels; c++) {
            int64_t i = r * channels + c;
            float v = n.decay * u[i] + (x[i] * a[c] + b[c]);
            x[i] = v > n.threshold ? 1.f : 0.f;
            u[i] = v > n.threshold ? 0.f : v;
        }
}

// The sums of a transposed convolution (3 x 3, stride 2, padding 1, output padding 1) from its products
// y[T][B][h][w][3 * 3][channels], and their spikes [T][B][2h][2w][channels]; with coef[T], the spikes' weighted sum
// over time [B][2h][2w][channels]. Both are written to `out`.
void spread_lif(const Tensor &y, int64_t batch, int64_t side, const Tensor &scale, const Tensor &shift,
                const c10::optional<Tensor> &coef, Tensor out, double threshold, double decay) {
    const int64_t channels = scale.size(0), pixels = batch * side * side, T = y.numel() / (pixels * 9 * channels);
    const int64_t out_side = 2 * side, out_rows = batch * out_side * out_side;
    const Neuron n{float(threshold), float(decay)};
    TORCH_CHECK(out.is_contiguous() && out.numel() == (coef ? 1 : T) * out_rows * channels);
    const float *in = data(y), *a = data(scale), *b = data(shift), *k = coef ? data(*coef) : nullptr;
    float *to = data(out);
    at::parallel_for(0, batch * out_side, 1, [&](int64_t first, int64_t last) {
        for (int64_t line = first; line < last; line++) {
            const int64_t image = line / out_side, Y = line % out_side;
            for (int64_t X = 0; X < out_side; X++) {
                // Output 2a + k - 1 gets input a's product k: even positions one, odd ones two where inside.
                const int64_t y0 = Y / 2, x0 = X / 2;
                const int64_t ky[2] = {Y % 2 ? 2 : 1, 0}, kx[2] = {X % 2 ? 2 : 1, 0};
                const int ny = Y % 2 && y0 + 1 < side ? 2 : 1, nx = X % 2 && x0 + 1 < side ? 2 : 1;
                const float *from[4];
                int taps = 0;
                for (int i = 0; i < ny; i++)
                    for (int j = 0; j < nx; j++)
                        from[taps++] = in + (((image * side + y0 + i) * side + x0 + j) * 9 + ky[i] * 3 + kx[j]) * channels;
                auto run = [&](auto taps) {
                    in_lanes(channels, [&](int64_t c0, auto width) {
                        Membranes m;
                        float x[WIDEST], sum[WIDEST] = {};
                        for (int64_t t = 0; t < T; t++) {
                            const int64_t at = t * pixels * 9 * channels + c0;
                            for (int c = 0; c < width; c++) {
                                x[c] = from[0][at + c];
                                for (int i = 1; i < taps; i++) x[c] += from[i][at + c];
                            }
                            m.step(n, width, x, a + c0, b + c0);
                            if (k)
                                for (int c = 0; c < width; c++) sum[c] += k[t] * m.s[c];
                            else
                                std::copy(m.s, m.s + width, to + (t * out_rows + line * out_side + X) * channels + c0);
                        }
                        if (k) std::copy(sum, sum + width, to + (line * out_side + X) * channels + c0);
                    });
                };
                if (taps == 1) run(std::integral_constant<int, 1>());
                else if (taps == 2) run(std::integral_constant<int, 2>());
                else run(std::integral_constant<int, 4>());
            }
        }
    });
}

// The neurons' weighted sum over time r[rows][channels] of currents x[T][rows][channels].
Tensor lif_read(const Tensor &x, const Tensor &scale, const Tensor &shift, const Tensor &coef, double threshold, double decay) {
    const int64_t T = x.size(0), rows = x.size(1), channels = x.size(2), stride = rows * channels;
    const Neuron n{float(threshold), float(decay)};
    Tensor out = torch::empty({rows, channels}, x.options());
    const float *base = data(x), *a = data(scale), *b = data(shift), *k = data(coef);
    float *to = data(out);
    at::parallel_for(0, rows, std::max<int64_t>(1, 16384 / (T * channels)), [&](int64_t from, int64_t last) {
        for (int64_t r = from; r < last; r++)
            in_lanes(channels, [&](int64_t c0, auto width) {
                Membranes m;
                float sum[WIDEST] = {};
                for (int64_t t = 0; t < T; t++) {
                    m.step(n, width, base + t * stride + r * channels + c0, a + c0, b + c0);
                    for (int c = 0; c < width; c++) sum[c] += k[t] * m.s[c];
                }
                std::copy(sum, sum + width, to + r * channels + c0);
            });
    });
    return out;
}

// The last convolution's sums from its products y[B][side][side][3 * 3][channels] (stride 1, padding 1), as grey levels.
Tensor pixels(const Tensor &y, int64_t batch, int64_t side, const Tensor &bias) {
    const int64_t channels = bias.size(0);
    Tensor out = torch::empty({batch, side, side, channels}, y.options().dtype(torch::kUInt8));
    const float *in = data(y), *b = data(bias);
    uint8_t *to = out.data_ptr<uint8_t>();
    at::parallel_for(0, batch * side, 8, [&](int64_t first, int64_t last) {
        std::vector<float> sums(side * channels);
        for (int64_t line = first; line < last; line++) {
            const int64_t image = line / side, Y = line % side;
            for (int64_t i = 0; i < side * channels; i++) sums[i] = b[i % channels];
            for (int64_t ky = 0; ky < 3; ky++)
                for (int64_t kx = 0; kx < 3; kx++) {
                    const int64_t a = Y + 1 - ky;
                    if (a < 0 || a >= side) continue;
                    for (int64_t X = std::max<int64_t>(0, kx - 1); X < std::min(side, side + kx - 1); X++)
                        for (int64_t c = 0; c < channels; c++)
                            sums[X * channels + c] += in[(((image * side + a) * side + X + 1 - kx) * 9 + ky * 3 + kx) * channels + c];
                }
            for (int64_t i = 0; i < side * channels; i++)
                to[line * side * channels + i] = uint8_t(std::floor((std::tanh(sums[i]) + 1) * 127.5f + 0.5f));
        }
    });
    return out;
}

// The products of one row with four rows of as many values.
inline void four_products(const float *row, const float *with, int64_t length, float *sums) {
    float a = 0, b = 0, c = 0, d = 0;
    for (int64_t i = 0; i < length; i++) {
        a += row[i] * with[i];
        b += row[i] * with[length + i];
        c += row[i] * with[2 * length + i];
        d += row[i] * with[3 * length + i];
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

// The spikes at step t of the neurons that an image draws, from the inputs history[0..t][hidden] of their layer. The
// membrane of a neuron needs its inputs of all earlier steps, when it was not drawn: these are computed now.
void drawn_step(const float *history, int64_t t, int64_t hidden, const float *weight, const float *scale,
                const float *shift, const int64_t *draws, int64_t channels, int64_t k, Neuron n, float *spikes) {
    at::parallel_for(0, channels, 32, [&](int64_t from, int64_t to) {
        for (int64_t c = from; c < to; c++) {
            const int64_t neuron = c * k + draws[c];
            float x[36], u = 0, s = 0;
            for (int64_t i = 0; i <= t; i += 4)
                four_products(weight + neuron * hidden, history + i * hidden, hidden, x + i);
            for (int64_t i = 0; i <= t; i++) {
                float v = n.decay * u + (x[i] * scale[neuron] + shift[neuron]);
                s = v > n.threshold ? 1.f : 0.f;
                u = v > n.threshold ? 0.f : v;
            }
            spikes[c] = s;
        }
    });
}

// The prior: latent spikes [T][B][C] for draws [T][B][C]. The loop over time is here and not in Python for its many small
// operations. Weights are [inputs, outputs], but the last one's [outputs, inputs] with `drawn`: then only the neurons
// that are drawn are computed, for each image on its own.
Tensor sample(const Tensor &draws, int64_t k, const std::vector<Tensor> &weights, const std::vector<Tensor> &scales,
              const std::vector<Tensor> &shifts, bool drawn, double threshold, double decay) {
    const int64_t T = draws.size(0), B = draws.size(1), C = draws.size(2), hidden = scales[1].size(0);
    const Neuron n{float(threshold), float(decay)};
    auto options = weights[0].options();
    Tensor z = torch::empty({T, B, C}, options), input = torch::zeros({B, C}, options);
    Tensor history = torch::zeros({drawn ? B : 0, T + 3, hidden}, options);
    const int layers = drawn ? 2 : 3;
    std::vector<Tensor> us, xs;
    for (int i = 0; i < layers; i++) {
        us.push_back(torch::zeros({B, scales[i].size(0)}, options));
        xs.push_back(torch::empty({B, scales[i].size(0)}, options));
    }
    for (int64_t t = 0; t < T; t++) {
        for (int i = 0; i < layers; i++) {
            at::mm_out(xs[i], i ? xs[i - 1] : input, weights[i]);
            int64_t width = xs[i].size(1);
            at::parallel_for(0, B, std::max<int64_t>(1, 32768 / width), [&](int64_t from, int64_t to) {
                int64_t at = from * width;
                step_(data(xs[i]) + at, data(us[i]) + at, to - from, width, data(scales[i]), data(shifts[i]), n);
            });
        }
        input = z[t];
        const int64_t *j = draws.data_ptr<int64_t>() + t * B * C;
        float *to = data(input);
        if (drawn) {
            history.select(1, t).copy_(xs[1]);
            for (int64_t i = 0; i < B; i++)
                drawn_step(data(history) + i * (T + 3) * hidden, t, hidden, data(weights[2]), data(scales[2]),
                           data(shifts[2]), j + i * C, C, k, n, to + i * C);
        } else {
            const float *s = data(xs[2]);
            for (int64_t i = 0; i < B * C; i++) to[i] = s[i * k + j[i]];
        }
    }
    return z;
}

} // namespace

// Without the interpreter's lock, so that threads of Python run these at the same time.
#define UNLOCKED(NAME) m.def(#NAME, &NAME, pybind11::call_guard<pybind11::gil_scoped_release>())

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
    UNLOCKED(lif_);
    UNLOCKED(lif_read);
    UNLOCKED(spread_lif);
    UNLOCKED(pixels);
    UNLOCKED(sample);
}
