"""Data and products for networks whose derivatives are checked."""

import warnings

import torch
from torch import nn
from torch.nn import functional

from eigensam.landscapes import KinkWarning, NetworkDerivatives

D = torch.float64


class Residual(nn.Module):
    def __init__(self, *inner):
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x):
        return x + self.inner(x)


class Last(nn.Module):
    """The last output of a recurrent network over rows of four."""

    def __init__(self, kind):
        super().__init__()
        self.recurrent, self.head = kind(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.recurrent(x.view(len(x), 4, 4))[0][:, -1])


class Transformer(nn.Module):
    def __init__(self, mask=False, norm_first=False, activation="gelu"):
        super().__init__()
        self.block = nn.TransformerEncoderLayer(
            4, 2, 6, 0.1, activation=activation, batch_first=True, norm_first=norm_first
        )
        self.head, self.mask = nn.Linear(4, 3), mask

    def forward(self, x):
        x = x.view(len(x), 4, 4)
        mask = torch.ones(4, 4, dtype=torch.bool).triu(1) if self.mask else None
        padding = torch.zeros(len(x), 4, dtype=torch.bool)
        padding[:, 3] = self.mask
        return self.head(self.block(x, src_mask=mask, src_key_padding_mask=padding if self.mask else None)[:, 0])


class FloatMask(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 3)
        self.mask = nn.Transformer.generate_square_subsequent_mask(4)  # in float32, and no buffer

    def forward(self, x):
        x = x.view(len(x), 4, 4)
        return self.head(self.attention(x, x, x, attn_mask=self.mask.to(x.dtype))[0][:, -1])


class SwiGLU(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(16, 6), nn.Linear(16, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class Fourier(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(torch.fft.fft(torch.tanh(self.first(x))).real)


class Words(nn.Module):
    def __init__(self, padding=None):
        super().__init__()
        self.table, self.head = nn.Embedding(7, 4, padding_idx=padding), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.table((3 * x).long().abs() % 7).mean(1)))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.decoder.weight = self.encoder.weight

    def forward(self, x):
        return self.head(self.decoder(torch.tanh(self.encoder(x))))


class RootMeanSquare(nn.Module):
    """As language models have it: computed in float32, with a constant that is no buffer."""

    def __init__(self):
        super().__init__()
        self.weight, self.shift = nn.Parameter(torch.ones(16)), torch.full((16,), 0.1)

    def forward(self, x):
        h = x.to(torch.float32)
        h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.weight * h.to(x.dtype) + self.shift


def image(*layers, channels=4, size=4):
    return nn.Sequential(nn.Unflatten(1, (1, 4, 4)), *layers, nn.Flatten(), nn.Linear(channels * size, 3))


def conv(out=4, **options):
    return nn.Conv2d(1, out, 3, padding=1, **options)


NETWORKS = {
    "relu": lambda: nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)),
    "leaky, prelu": lambda: nn.Sequential(
        nn.Linear(16, 8), nn.LeakyReLU(), nn.Linear(8, 8), nn.PReLU(), nn.Linear(8, 3)
    ),
    "hard activations": lambda: nn.Sequential(
        nn.Linear(16, 8), nn.Hardtanh(), nn.Linear(8, 8), nn.ReLU6(), nn.Linear(8, 3)
    ),
    "smooth activations": lambda: nn.Sequential(
        nn.Linear(16, 8), nn.ELU(), nn.Linear(8, 8), nn.SELU(), nn.Linear(8, 8), nn.Mish(), nn.Linear(8, 3)
    ),
    "glu": lambda: nn.Sequential(nn.Linear(16, 8), nn.GLU(), nn.Linear(4, 3)),
    "residual": lambda: nn.Sequential(Residual(nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 16)), nn.Linear(16, 3)),
    "rnn": lambda: Last(nn.RNN),
    "gru": lambda: Last(nn.GRU),
    "lstm": lambda: Last(nn.LSTM),
    "transformer": Transformer,
    "masked transformer": lambda: Transformer(mask=True),
    "attention with a mask": FloatMask,
    "relu transformer": lambda: Transformer(norm_first=True, activation="relu"),
    "batch norm": lambda: image(conv(), nn.BatchNorm2d(4), nn.ReLU(), size=16),
    "layer norm": lambda: nn.Sequential(nn.Linear(16, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3)),
    "group norm": lambda: image(conv(), nn.GroupNorm(2, 4), nn.Tanh(), size=16),
    "instance norm": lambda: image(conv(), nn.InstanceNorm2d(4, affine=True), nn.GELU(), size=16),
    "local response norm": lambda: image(conv(), nn.LocalResponseNorm(2), nn.Tanh(), size=16),
    "rms norm": lambda: nn.Sequential(nn.Linear(16, 16), RootMeanSquare(), nn.SiLU(), nn.Linear(16, 3)),
    "torch's rms norm": lambda: nn.Sequential(nn.Linear(16, 8), nn.RMSNorm(8), nn.Tanh(), nn.Linear(8, 3)),
    "weight norm": lambda: nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(16, 8)), nn.Tanh(), nn.Linear(8, 3)
    ),
    "spectral norm": lambda: nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(16, 8)), nn.Tanh(), nn.Linear(8, 3)
    ),
    "max pooling": lambda: image(conv(), nn.ReLU(), nn.MaxPool2d(2)),
    "average pooling": lambda: image(conv(), nn.Tanh(), nn.AvgPool2d(2)),
    "adaptive pooling": lambda: image(conv(), nn.Tanh(), nn.AdaptiveMaxPool2d(2)),
    "lp pooling": lambda: image(conv(), nn.Sigmoid(), nn.LPPool2d(2, 2)),
    "depthwise": lambda: image(conv(), nn.ReLU(), nn.Conv2d(4, 8, 3, groups=4), nn.GELU(), channels=8),
    "transposed": lambda: image(
        conv(2), nn.Tanh(), nn.ConvTranspose2d(2, 2, 3, 2, 1, output_padding=1), channels=8, size=16
    ),
    "dilated, strided": lambda: image(nn.Conv2d(1, 4, 2, dilation=2), nn.Tanh(), nn.Conv2d(4, 4, 2, 2), size=1),
    "pixel shuffle, upsampling": lambda: image(conv(), nn.PixelShuffle(2), nn.Upsample(scale_factor=0.5), nn.Tanh()),
    "embedding": Words,
    "embedding with padding": lambda: Words(padding=0),
    "tied": Tied,
    "swiglu": SwiGLU,
    "fourier": Fourier,
    "bilinear": lambda: nn.Sequential(nn.Linear(16, 6), Square(), nn.Linear(6, 3)),
    "dropout": lambda: nn.Sequential(nn.Linear(16, 8), nn.Dropout(0.5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)),
}  # fmt: skip


class Square(nn.Module):
    def __init__(self):
        super().__init__()
        self.form = nn.Bilinear(6, 6, 6)

    def forward(self, x):
        return self.form(x, x)


def data(dtype, count=12):
    x = torch.randn(count, 16, generator=torch.Generator().manual_seed(0), dtype=D)
    return x.to(dtype), torch.arange(count) % 3


def products(network, batch):
    """A Hessian product and a third derivative by the automatic route, and what is said of them."""
    derivatives, x = NetworkDerivatives(network), network.point()
    u = torch.randn(network.dim, generator=torch.Generator().manual_seed(1), dtype=D).to(x)
    u /= u.norm()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        return [derivatives.contracted_gradient(x, [(1.0, (u,) * k)], batch) for k in (1, 2)], derivatives
