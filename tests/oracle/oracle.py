"""Independent oracle for the integer machine of FSVAE and ESVAE (NumPy, int64). See src/integer_machine.md.

    python oracle.py MODEL.safetensors --seed 7 --first 0 --count 4            # generate: one SHA-256 a line
    python oracle.py MODEL.safetensors --seed 7 --image in.png                 # reconstruct
"""
import argparse, hashlib, math, sys
import numpy as np
from safetensors.numpy import load_file

VTH, EPS = 0.2, 1e-5
LIMIT = (3 << 29) - (1 << 16)         # bound on |current|: a membrane stays under 4/3 of it, inside i32

def fold(sd, name, alpha, out_axis):
    """(W', b') in float64, output channel first."""
    w = sd[name + ".weight"].astype(np.float64)
    b = sd[name + ".bias"].astype(np.float64)
    if w.ndim == 5: w = w[..., 0]
    w = np.moveaxis(w, out_axis, 0)
    if name + ".bn.weight" in sd:
        f = lambda k: sd[f"{name}.bn.{k}"].astype(np.float64)
        g = (alpha * VTH) * f("weight") / np.sqrt(f("running_var") + EPS)
        w = w * g.reshape(-1, *[1] * (w.ndim - 1))
        b = (b - f("running_mean")) * g + f("bias")
    return w, b

def quantise(w, b, peak=1):
    """Per output channel exponent e (<= 28), integer weights and bias."""
    O = w.shape[0]; e = np.zeros(O, np.int64)
    W = np.zeros(w.shape, np.int64); B = np.zeros(O, np.int64)
    for o in range(O):
        for x in range(28, 7, -1):
            wi = np.rint(w[o] * 2.0 ** x); bi = np.rint(b[o] * 2.0 ** x)
            if np.abs(wi).sum() * peak + abs(bi) < LIMIT:
                e[o], W[o], B[o] = x, wi, bi; break
        else: raise ValueError("weights out of range")
    theta = np.floor(VTH * 2.0 ** e).astype(np.int64)
    return W, B, theta, e

def lif(x, theta):
    """x: (T, ..., O) currents -> spikes (T, ..., O)."""
    u = np.zeros_like(x[0]); o = np.zeros_like(x[0]); out = np.empty_like(x)
    for t in range(len(x)):
        u = np.where(o == 1, 0, u >> 2) + x[t]
        o = (u > theta).astype(np.int64); out[t] = o
    return out

def philox(key, ctr):
    M0, M1, W0, W1, m = 0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85, 0xFFFFFFFF
    k0, k1 = key; c = list(ctr)
    for _ in range(10):
        p0, p1 = M0 * c[0], M1 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & m, (p0 >> 32) ^ c[3] ^ k1, p0 & m]
        k0, k1 = (k0 + W0) & m, (k1 + W1) & m
    return c

def words(seed, index, call, stream):
    return philox((seed & 0xFFFFFFFF, seed >> 32), (index & 0xFFFFFFFF, index >> 32, call, stream))

def channel_words(seed, index, t, stream, C):
    Q = (C + 3) // 4
    return [w for q in range(Q) for w in words(seed, index, t * Q + q, stream)][:C]

def picks(seed, index, t, stream, C, k):
    return np.array([((r >> 8) * k) >> 24 for r in channel_words(seed, index, t, stream, C)])

def logits(e):
    i = np.arange(65536) + 0.5
    return np.floor(np.log(i / (65536 - i)) * 2.0 ** e).astype(np.int64)

def rate_layer(w, b, peak, scale):
    """A layer before the rates: one exponent for all outputs, inputs of up to `peak`, `scale` of them one."""
    w = w / scale
    for e in range(27, 7, -1):
        W, B = np.rint(w * 2.0 ** e), np.rint(b * 2.0 ** e)
        if (peak * np.abs(W).sum(1) + np.abs(B) < LIMIT).all(): return W.astype(np.int64), B.astype(np.int64), e
    raise ValueError("weights out of range")

def nearest(a, b):
    """a / b to the nearest, halves up."""
    return (a + b // 2) // b

def mean(rates): return nearest(np.sum(rates, 0), len(rates))
def mixture(a, b, step, steps): return nearest(a * (steps - 1 - step) + b * step, steps - 1)

class Machine:
    def __init__(s, sd):
        q = lambda n, a=1.0, ax=0, p=1: quantise(*fold(sd, n, a, ax), p)
        s.C = sd["before_latent_layer.weight"].shape[0]
        s.rates = "sample_layer.0.weight" in sd            # ESVAE: section 8
        coef = sd["membrane_output_layer.coef"].reshape(-1).astype(np.float64); s.T = len(coef)
        n = 0
        while f"encoder.{n}.weight" in sd: n += 1
        w, b = fold(sd, "encoder.0", 1.0, 0)
        _, B, th, e = quantise(w / 255.0, b, 255)          # image layer: 8 guard bits on the weights
        s.enc = [(np.rint(w / 255.0 * 2.0 ** (e + 8)[:, None, None, None]).astype(np.int64), B, th, e)] + [q(f"encoder.{i}") for i in range(1, n)]
        s.latent = q("before_latent_layer")
        if s.rates:
            names = [f"sample_layer.{i}" for i in (0, 2, 4) if f"sample_layer.{i}.weight" in sd]
            s.rate = [rate_layer(*fold(sd, n, 1.0, 0), *((64, math.sqrt(32.0)) if i == 0 else (255, 64.0))) for i, n in enumerate(names)]
            s.logit = logits(s.rate[-1][2])
        else:
            s.k = sd["prior.layers.2.weight"].shape[0] // s.C
            s.prior = [q(f"prior.layers.{i}", 2.0) for i in range(3)]
            s.post = [q(f"posterior.layers.{i}", 2.0) for i in range(3)]
        s.dec_in = q("decoder_input"); s.h = s.dec_in[0].shape[0] // 4
        s.dec = [q(f"decoder.{i}", 1.0, 1) for i in range(n - 1)] + [q("final_layer.0", 1.0, 1)]
        s.K = np.rint(coef * 2.0 ** 14).astype(np.int64)
        w, b = fold(sd, "final_layer.1", 1.0, 1)
        W = np.rint(w * 2.0 ** 20); B = np.rint(b * coef.sum() * 2.0 ** 34)
        if not (np.abs(W).sum((1, 2, 3)) * np.abs(s.K).sum() + np.abs(B) < 2.0 ** 45 - 2.0 ** 40).all() or np.abs(s.K).sum() >= 2 ** 17: raise ValueError("weights out of range")
        s.fin = W.astype(np.int64), B.astype(np.int64)
        s.pix = np.array([math.ceil(math.atanh((2 * j - 1) / 255 - 1) * 2.0 ** 16) for j in range(1, 256)])
    def sample(s, layers, index, seed, stream, lat=None):
        u = [np.zeros(len(l[1]), np.int64) for l in layers]; o = [x.copy() for x in u]
        z = np.zeros(s.C, np.int64); zs = []
        for t in range(s.T):
            x = z if lat is None else np.concatenate([lat[t], z])
            for i, (W, B, th, _) in enumerate(layers):
                u[i] = np.where(o[i] == 1, 0, u[i] >> 2) + W @ x + B
                o[i] = x = (u[i] > th).astype(np.int64)
            z = x.reshape(s.C, s.k)[np.arange(s.C), picks(seed, index, t, stream, s.C, s.k)]
            zs.append(z)
        return np.stack(zs)
    def sample_rates(s, index, seed):
        """ESVAE's prior: a rate for each channel from counted random bits, then a spike where a draw is below it."""
        m = np.array([sum(bin(w).count("1") for w in words(seed, index, j, 4)) - 64 for j in range(s.C)])
        for W, B, e in s.rate[:-1]: m = np.clip((W @ m + B) >> (e - 6), 0, 255)     # 8b: hidden layers
        W, B, _ = s.rate[-1]
        return s.draw_rates(np.searchsorted(s.logit, W @ m + B, side="left"), seed, index)     # of 65,536
    def draw_rates(s, rate, seed, index):
        return np.stack([(np.array(channel_words(seed, index, t, 2, s.C)) >> 16 < rate).astype(np.int64) for t in range(s.T)])
    def rates_of(s, z): return np.minimum(nearest(65536 * z.sum(0), s.T), 65535)
    def encoded_rates(s, img, seed, index):
        encoded = s.encode(img)
        return s.rates_of(encoded if s.rates else s.draw_posterior(encoded, seed, index))
    def along(s, z, direction, amount, seed, index):
        """Spike trains with their rates moved by amount x direction."""
        shift = (int(np.rint(256 * amount)) * direction + 128) >> 8
        z, n = z.copy(), z.sum(0)
        for t in range(s.T):
            for c, word in enumerate(channel_words(seed, index, t, 5, s.C)):
                of = s.T - n[c] if shift[c] >= 0 else n[c]
                if z[t, c] == (shift[c] < 0) and word >> 16 < abs(shift[c]) * s.T // of: z[t, c] = 1 - z[t, c]
        return z
    def resample(s, index, seed, lat):
        """ESVAE's posterior: as many spikes as the encoder's channel had, on average, at random steps."""
        n = lat.sum(0)
        return np.stack([((np.array(channel_words(seed, index, t, 3, s.C)) * s.T >> 32) < n).astype(np.int64) for t in range(s.T)])
    def decode(s, z, trace=None):
        W, B, th, _ = s.dec_in; y = lif(z @ W.T + B, th)
        if trace is not None: trace.append(y)
        y = y.reshape(s.T, s.h, 2, 2)
        for W, B, th, _ in s.dec:
            T, Ci, H, _ = y.shape; p = np.zeros((T, len(B), 2 * H + 2, 2 * H + 2), np.int64)
            for ky in range(3):
                for kx in range(3):
                    p[:, :, ky:ky + 2 * H:2, kx:kx + 2 * H:2] += np.einsum("oi,tihw->tohw", W[:, :, ky, kx], y, optimize=True)
            x = p[:, :, 1:2 * H + 1, 1:2 * H + 1] + B[:, None, None]
            y = lif(np.moveaxis(x, 1, -1), th); y = np.moveaxis(y, -1, 1)
            if trace is not None: trace.append(y)
        r = np.einsum("t,tihw->ihw", s.K, y); W, B = s.fin; H = r.shape[1]
        p = np.zeros((len(B), H + 2, H + 2), np.int64)
        for ky in range(3):
            for kx in range(3): p[:, ky:ky + H, kx:kx + H] += np.einsum("oi,ihw->ohw", W[:, :, ky, kx], r)
        m = (p[:, 1:H + 1, 1:H + 1] + B[:, None, None]) >> 18
        return np.moveaxis(np.searchsorted(s.pix, m, side="right").astype(np.uint8), 0, -1)   # (H, W, channels)
    def draw_prior(s, seed, index): return s.sample_rates(index, seed) if s.rates else s.sample(s.prior, index, seed, 0)
    def draw_posterior(s, lat, seed, index): return s.resample(index, seed, lat) if s.rates else s.sample(s.post, index, seed, 1, lat)
    def generate(s, seed, index): return s.decode(s.draw_prior(seed, index))
    def encode(s, img, trace=None):
        """img: (H, W, channels) uint8 -> latent input spikes (T, C). trace takes the spikes (T, O, H, W) of each layer."""
        v = 2 * np.moveaxis(img.astype(np.int64), -1, 0) - 255
        def conv(y, W):
            H = y.shape[-1]; p = np.pad(y, [(0, 0)] * (y.ndim - 2) + [(1, 1), (1, 1)]); acc = 0
            for ky in range(3):
                for kx in range(3): acc = acc + np.einsum("oi,...ihw->...ohw", W[:, :, ky, kx], p[..., ky:ky + H:2, kx:kx + H:2], optimize=True)
            return acc
        W, B, th, _ = s.enc[0]; x = (conv(v, W) >> 8) + B[:, None, None]
        y = lif(np.broadcast_to(np.moveaxis(x, 0, -1), (s.T, *np.moveaxis(x, 0, -1).shape)), th); y = np.moveaxis(y, -1, 1)
        if trace is not None: trace.append(y)
        for W, B, th, _ in s.enc[1:]:
            y = np.moveaxis(lif(np.moveaxis(conv(y, W) + B[:, None, None], 1, -1), th), -1, 1)
            if trace is not None: trace.append(y)
        W, B, th, _ = s.latent
        return lif(y.reshape(s.T, -1) @ W.T + B, th)
    def reconstruct(s, img, seed, index=0): return s.decode(s.draw_posterior(s.encode(img), seed, index))

if __name__ == "__main__":
    a = argparse.ArgumentParser(); a.add_argument("model"); a.add_argument("--seed", type=int, default=0)
    a.add_argument("--first", type=int, default=0); a.add_argument("--count", type=int, default=1); a.add_argument("--image"); a.add_argument("--out")
    a = a.parse_args(); m = Machine(load_file(a.model))
    for i in range(a.first, a.first + a.count):
        if a.image:
            from PIL import Image
            im = np.array(Image.open(a.image)); im = im[..., None] if im.ndim == 2 else im
            x = m.reconstruct(im, a.seed, i)
        else: x = m.generate(a.seed, i)
        print(i, hashlib.sha256(x.tobytes()).hexdigest())
        if a.out:
            from PIL import Image
            Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x).save(f"{a.out}{i}.png")
