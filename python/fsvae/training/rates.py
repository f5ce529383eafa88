"""The rates that an ESVAE's encoder makes of pictures, and how far others are from them."""

import torch

#: How many of the encoder's rates are looked at.
AMONG = 25_000


@torch.inference_mode()
def counts(net, images):
    """The encoder's spikes of each channel, summed over time: `[N, C]`, 0 to T."""
    device, encoded = next(net.parameters()).device, []
    for i in range(0, len(images), 250):
        x = torch.from_numpy(images[i : i + 250]).to(device).float() / 127.5 - 1
        encoded.append(net.encode(x).sum(0))
    return torch.cat(encoded)


class Nearest:
    """How far rates are from the nearest ones of the encoder's, `[N, C]`, beyond what is usual among these."""

    def __init__(self, rates):
        order = torch.randperm(len(rates), generator=torch.Generator().manual_seed(0))[:AMONG]
        self.rates = rates[order.to(rates.device)].clone()
        self.squares, self.columns = self.rates.square().sum(1), self.rates.T.contiguous()
        some = len(order) // 10
        apart = torch.cdist(self.rates[:some], self.rates[some:]).amin(1)
        self.usual = apart.median() if some else self.rates.new_zeros(())

    def beyond(self, rates):
        with torch.no_grad():
            nearest = (self.squares - 2 * rates @ self.columns).argmin(1)
        far = (rates - self.rates[nearest]).square().sum(1).add(1e-12).sqrt()
        return (far - self.usual).relu().mean()
