"""A run of training: the network, its optimizer, where it stands."""

import copy
import math
from contextlib import nullcontext

import numpy as np
import torch

from . import adversary, clocks, critics, losses, network
from .activity import Activity
from .checkpoint import load_weights, rounded
from .errors import InputError
from .precision import faster, trial
from .views import Views


class Trainer:
    """The network, its optimizer and where the run stands. `state` and `restore` are all of it."""

    def __init__(self, a, images):
        self.a, self.device = a, torch.device(a.device)
        self.images = torch.from_numpy(images)
        self.precision = None if a.precision == "auto" else a.precision
        torch.manual_seed(a.seed)
        try:
            sizes = images.shape[2], images.shape[1], a.time_steps, a.latent
            self.net = (
                network.ESVAE(*sizes, a.width, a.hidden) if a.family == "esvae" else network.FSVAE(*sizes, a.k, a.width)
            )
        except ValueError as error:
            raise InputError(str(error)) from None
        with torch.no_grad():
            for parameter in self.net.final_layer[1].parameters():
                parameter.mul_(a.readout_scale)
        if a.warm_start:
            load_weights(self.net, a.warm_start)
        self.net.to(self.device).train()
        if a.only_prior:
            self.net.only_prior_learns()
        groups = [dict(params=[p for p in ps if p.requires_grad], factor=factor) for ps, factor in self.net.trained()]
        groups = [group for group in groups if group["params"]]
        # What a critic tells changes with the critic: an average over many steps would be of the past.
        betas = (0.5, 0.99) if a.critic_weight else (0.9, 0.999)
        self.optimizer = torch.optim.AdamW(groups, a.lr, betas=betas, weight_decay=a.weight_decay, fused=True)
        self.batch = min(a.batch, len(images))
        if a.critic_weight and self.batch < adversary.GROUP:
            raise InputError(f"--critic-weight: expected batches of at least {adversary.GROUP}, found {self.batch}")
        self.critics = critics.Critics(self.net, self.device) if a.critic_weight else None
        self.a_epoch = len(images) // self.batch
        budget = a.images / self.batch if a.images else a.epochs * self.a_epoch
        self.total = None if a.minutes else max(1, round(budget))
        self.step, self.seconds = 0, 0.0
        self.average = copy.deepcopy(self.net.state_dict()) if a.ema else None
        self.views = None

    def learn_to_see(self):
        """Trains what the loss of samples sees with, where that is asked for and was not restored."""
        if self.a.samples_weight and not self.views:
            if len(self.images) < 2:
                raise InputError(f"--samples-weight: expected at least 2 pictures, found {len(self.images)}")
            random = torch.get_rng_state()
            a = self.a
            self.views = Views.trained(self.images.numpy(), a.views_images, a.seed, a.flip, self.device)
            torch.set_rng_state(random)

    def generator(self, device, *numbers):
        """Randomness is a function of the seed and the step, so that a resumed run draws the same."""
        seed = int(np.random.SeedSequence([self.a.seed, *numbers]).generate_state(1, np.uint64)[0] >> 1)
        return torch.Generator(device).manual_seed(seed)

    @property
    def dtype(self):
        return getattr(torch, self.precision)

    def settle_precision(self):
        """Takes the faster precision if none was asked for and none kept; returns the seconds of its trial, or None.

        The trial leaves no trace: it has a network and random numbers of its own. On a CPU the time goes with the number
        of images, so that a few will do.
        """
        if self.precision:
            return None
        if self.device.type == "cuda" and not torch.cuda.is_bf16_supported():
            self.precision = "float32"
            return None
        net = copy.deepcopy(self.net)
        x = self.shown_to_net(self.images[: min(self.batch, 32) if self.device.type == "cpu" else self.batch])

        def step(precision):
            net.zero_grad(set_to_none=True)
            generator, activity = self.generator(self.device, 6), Activity(net)
            made = self.made(net, x, generator, getattr(torch, precision), activity)
            self.losses(x, made, generator, activity)[0].backward()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)

        times = trial(step)
        self.precision = faster(times)
        return times

    def shown_to_net(self, images):
        """Bytes as values in [-1, 1], where the network is."""
        return images.to(self.device).float() / 127.5 - 1

    def next_batch(self):
        epoch, at = divmod(self.step, self.a_epoch)
        if at == 0 or not hasattr(self, "order"):
            self.order = torch.randperm(len(self.images), generator=self.generator("cpu", 0, epoch))
        x = self.shown_to_net(self.images[self.order[at * self.batch : (at + 1) * self.batch]])
        if self.a.flip:
            flipped = torch.rand(len(x), generator=self.generator("cpu", 1, self.step)) < 0.5
            x = torch.where(flipped.to(self.device).view(-1, 1, 1, 1), x.flip(3), x)
        return x

    def progress(self):
        return min(1.0, self.step / self.total if self.total else self.seconds / (self.a.minutes * 60))

    def time_steps(self):
        now = [int(steps) for steps, until in sorted(self.a.short, key=lambda stage: stage[1]) if self.progress() < until]
        return now[0] if now else self.net.steps

    def decay(self):
        return 0.5 + 0.5 * math.cos(math.pi * self.progress()) if self.a.schedule == "cosine" else 1

    def rate(self):
        rate = self.a.lr * self.decay() * (critics.listening(self.progress()) if self.critics else 1)
        return rate * min(1.0, (self.step + 1) * self.batch / self.a.warmup) if self.a.warmup else rate

    def made(self, net, x, generator, dtype, activity):
        """Reconstructions, what ties the latents together (the candidates or the rates of posterior and prior), and
        samples where a loss looks at them, or None."""
        a, more = self.a, bool(self.a.samples_weight or self.a.critic_weight)
        with net.shortened(self.time_steps()), activity.watched() if a.spikes_weight else nullcontext():
            if a.family == "esvae":
                again, q, p, *samples = net(x, generator, dtype=dtype, samples=more)
            else:
                scheduled = a.scheduled[0] + (a.scheduled[1] - a.scheduled[0]) * self.progress()
                again, q, p, *samples = net(x, generator, scheduled, dtype=dtype, samples=more)
        return again, q, p, *(samples or [None])

    def losses(self, x, made, generator, activity):
        """What is minimized, and its parts by name: the error of the reconstructions, and the loss that ties the latents
        to the prior; where that is asked for, how far samples and reconstructions are from pictures, how well critics
        tell them from pictures, and what spikes cost."""
        a, (again, q, p, sampled) = self.a, made
        if a.family == "esvae":
            tie, usual = losses.gaussian_mmd(q, p), 1e-3
        else:
            tie, usual = (losses.mmd(q, p), 1.0) if a.loss == "mmd" else (losses.kld(q, p), 1e-4)
        parts = {"mse": (again - x).square().mean(), "prior_loss": tie}
        total = parts["mse"] + (usual if a.prior_weight is None else a.prior_weight) * tie
        if a.samples_weight:
            with torch.no_grad():
                seen = self.views(x)
            far = sum(self.views.distance(seen, images.float(), generator) for images in (sampled, again))
            parts["samples_loss"], total = far, total + a.samples_weight * far
        if self.critics:
            told = self.critics.fooled(again, p, sampled, generator)
            parts["critic_loss"], total = told, total + a.critic_weight * told
        if a.spikes_weight:
            share = activity.share()
            parts["spikes_share"], total = share, total + a.spikes_weight * share
        return total, {name: part.detach() for name, part in parts.items()}

    def train_step(self):
        """One batch; returns the parts of the loss as tensors, so that a GPU is not waited for."""
        a, x = self.a, self.next_batch()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate() * group["factor"]
        generator, activity = self.generator(self.device, 2, self.step), Activity(self.net)
        made = self.made(self.net, x, generator, self.dtype, activity)
        if self.critics:
            self.critics.learn(x, *made, generator, self.decay())
        total, parts = self.losses(x, made, generator, activity)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()
        self.step += 1
        if self.average:
            keep = min(a.ema, (1 + self.step) / (10 + self.step))
            for name, value in self.net.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - keep)
                else:
                    self.average[name].copy_(value)
        return parts

    def finished(self):
        return self.step >= self.total if self.total else self.seconds >= self.a.minutes * 60

    def weights(self):
        """What is written: the trained or averaged weights, sharpened, with clocks.py's neurons set apart."""
        weights = dict(self.average or self.net.state_dict())
        for name in ("final_layer.1.weight", "final_layer.1.bias"):
            weights[name] = weights[name] * self.a.sharpen
        return clocks.set_apart(self.net, weights)[0]

    def state(self):
        return dict(
            net=self.net.state_dict(),
            optimizer=self.optimizer.state_dict(),
            average=self.average,
            step=self.step,
            seconds=self.seconds,
            precision=self.precision,
            views=self.views and self.views.state(),
            critics=self.critics and self.critics.state(),
        )

    def restore(self, path):
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.net.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average:
                self.average = state["average"] or copy.deepcopy(self.net.state_dict())
            self.step, self.seconds = state["step"], state["seconds"]
            # States of before have none.
            self.precision = self.precision or state.get("precision")
            if self.critics and state.get("critics"):
                self.critics.restore(state["critics"])
            if self.a.samples_weight and state.get("views"):
                self.views = Views.restored(state["views"], self.images.numpy(), self.device)
        except Exception as error:  # a pickle fails in any way it likes
            raise InputError(f"{path}: cannot resume from it: {str(error).splitlines()[0]}") from None

    def shown(self, half=False):
        """The network as it would be written, for inference in single precision."""
        net = copy.deepcopy(self.net).eval()
        net.load_state_dict(
            {n: v.float() if v.is_floating_point() else v for n, v in rounded(self.weights(), half).items()}
        )
        return net
