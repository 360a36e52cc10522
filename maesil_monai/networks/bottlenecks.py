"""Bottlenecks: what lies between the encoder and the decoder of a convolutional autoencoder.

Every bottleneck is called as ``bottleneck(encoded)`` and returns the latents to decode and its loss, a scalar that is zero unless
it is training. ``in_channels`` says what the encoder must give for each latent position. In eval mode a bottleneck counts how
its latents are used; ``use()`` tells, ``reset_use()`` starts anew.

Shape suffixes: B batch, C latent channels, d h w latent positions per axis, N all latent positions of a batch, K codes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from maesil_monai.errors import BadSetting
from maesil_monai.networks.running_statistics import of_first_process, sum_over_processes

ACTIVE_VARIANCE = 0.01  # of a channel's posterior mean over the data, as in Burda et al. (arXiv 1509.00519)


class PlainBottleneck(nn.Module):
    """The bottleneck of a plain autoencoder: the latents are what the encoder gives; nothing is lost but their number.

    Args:
        channels: latent channels C.

    Source: Hinton and Salakhutdinov 2006.

    Example:
        >>> latents, loss = PlainBottleneck(8)(torch.ones(1, 8, 2, 2, 2))
        >>> float(latents.sum()), float(loss)
        (64.0, 0.0)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.in_channels = channels

    def forward(self, encoded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the encoded values, and zero."""
        return encoded, encoded.new_zeros([], dtype=torch.float32)

    def use(self) -> dict[str, float]:
        """Has nothing to tell."""
        return {}

    def reset_use(self) -> None:
        """Has nothing to forget."""


class GaussianBottleneck(nn.Module):
    """The bottleneck of a variational autoencoder: a normal distribution for each latent value.

    Training draws from it; evaluation takes its mean. The loss is ``kl_weight`` times the divergence from the standard normal
    distribution in nats per voxel, so that one weight means the same at every size of the bottleneck: together with the mean
    squared error it is the evidence lower bound of a decoder whose noise has the variance ``kl_weight / 2``. The default is a
    noise of 0.01, that is 20 HU in a window of 2,000 HU. (A sum over all latents beside a mean over all voxels, as is often
    written, would be a weight of one per voxel of the volume, under which nothing is encoded.)

    Args:
        channels: latent channels C.
        voxels_per_latent: voxels for each latent value.
        kl_weight: see above.
        warmup_steps: forward passes of the training over which the weight rises linearly; 1: it is full at once.

    Raises:
        ValueError: for a negative weight, or less than one step.

    Source: Kingma and Welling (arXiv 1312.6114); warm-up: Sonderby et al. (arXiv 1602.02282).

    Example:
        >>> bottleneck = GaussianBottleneck(8, voxels_per_latent=64).eval()
        >>> latents, _ = bottleneck(torch.ones(1, 16, 2, 2, 2))  # mean 1 and log variance 1 everywhere
        >>> float(latents.mean()), bottleneck.use()  # the divergence is (1 + e - 1 - 1) / 2
        (1.0, {'active': 0, 'size': 8, 'kl': 0.859...})
    """

    def __init__(self, channels: int, voxels_per_latent: int, kl_weight: float = 2e-4, warmup_steps: int = 200) -> None:
        super().__init__()
        if kl_weight < 0 or warmup_steps < 1:
            raise BadSetting(f"kl_weight={kl_weight}, warmup_steps={warmup_steps}: expected at least 0 and at least 1.")
        self.in_channels = 2 * channels
        self.voxels_per_latent = voxels_per_latent
        self.kl_weight = kl_weight
        self.warmup_steps = warmup_steps
        self.steps = nn.Buffer(torch.zeros((), dtype=torch.int64))
        # Of each channel: the posterior means, their squares, the divergences. What an evaluation counts is no weight.
        self.sums = nn.Buffer(torch.zeros(3, channels, dtype=torch.float64), persistent=False)
        self.num_counted = nn.Buffer(torch.zeros((), dtype=torch.int64), persistent=False)

    def forward(self, encoded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Draws the latents.

        Args:
            encoded: shape (B, 2 C, d, h, w): means, then logarithms of variances (held within -20 to 20).

        Returns:
            Latents, float32 (B, C, d, h, w), and the loss.
        """
        mean, log_variance = encoded.float().chunk(2, dim=1)
        log_variance = log_variance.clamp(-20.0, 20.0)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)
        if not self.training:
            if not torch.jit.is_scripting():
                self._count(mean, divergence)
            return mean, divergence.new_zeros([])
        latents = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        self.steps.add_(1)
        weight = self.kl_weight * (self.steps / self.warmup_steps).clamp(max=1.0)
        return latents, weight * divergence.mean() / self.voxels_per_latent

    @torch.jit.unused
    def _count(self, mean: torch.Tensor, divergence: torch.Tensor) -> None:
        with torch.no_grad():
            parts = torch.stack([mean, mean.square(), divergence]).double()
            self.sums.add_(parts.sum(dim=(1, 3, 4, 5)))
            self.num_counted.add_(mean.shape[0] * mean.shape[2] * mean.shape[3] * mean.shape[4])

    def use(self) -> dict[str, float]:
        """Tells of the data that went through in eval mode since :meth:`reset_use`.

        Returns:
            ``active``: channels whose mean varies over the data (variance above 0.01); ``size``: channels; ``kl``: divergence in
            nats per latent value. A collapsed autoencoder has 0 active channels and no divergence.
        """
        mean, square, divergence = self.sums / self.num_counted.clamp(min=1)
        active = int((square - mean.square() > ACTIVE_VARIANCE).sum())
        return {"active": active, "size": mean.numel(), "kl": float(divergence.mean())}

    def reset_use(self) -> None:
        """Forgets what was counted."""
        self.sums.zero_()
        self.num_counted.zero_()


class CodebookBottleneck(nn.Module):
    """The bottleneck of a VQ-VAE: each latent position takes the nearest of K learned codes.

    The codes are running means of the encoded vectors that chose them. A code that is hardly chosen starts again at an encoded
    vector of the batch, drawn in proportion to its squared distance from its code; so do all codes in the first pass. The
    gradient passes straight through to the encoder, which the commitment loss holds near its codes.

    MONAI's ``EMAQuantizer`` is not used: its codes start apart from the data, unused ones never come back, and under
    autocast on a CPU it compares distances in bfloat16.

    Args:
        channels: width C of a code.
        num_codes: K.
        commitment_weight: of the mean squared distance between an encoded vector and its code.
        decay: share of the running means kept in each pass of the training.
        restart_below: a code starts again when its running count falls below this share of the mean count.

    Raises:
        ValueError: for numbers out of range.

    Source: van den Oord et al. (arXiv 1711.00937) section 3 and appendix A.1; restarts: Dhariwal et al. (arXiv 2005.00341).

    Example:
        >>> bottleneck = CodebookBottleneck(2, num_codes=4).eval()
        >>> _ = bottleneck.codes.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]))
        >>> latents, _ = bottleneck(torch.tensor([[0.9, 0.2], [0.1, 0.8]])[None, :, :, None, None])
        >>> latents[0, :, :, 0, 0]
        tensor([[1., 0.],
                [0., 1.]])
        >>> bottleneck.use()
        {'used': 2, 'size': 4, 'perplexity': 2.0...}
    """

    def __init__(
        self,
        channels: int,
        num_codes: int = 512,
        commitment_weight: float = 0.25,
        decay: float = 0.99,
        restart_below: float = 0.1,
    ) -> None:
        super().__init__()
        if num_codes < 2 or commitment_weight < 0 or not 0.0 <= decay < 1.0 or not 0.0 < restart_below < 1.0:
            raise BadSetting(
                f"num_codes={num_codes}, commitment_weight={commitment_weight}, decay={decay}, restart_below={restart_below}: "
                "expected at least 2 codes, a weight of 0 or more, a decay from 0 to below 1, and a share between 0 and 1."
            )
        self.in_channels = channels
        self.num_codes = num_codes
        self.commitment_weight = commitment_weight
        self.decay = decay
        self.restart_below = restart_below
        self.codes = nn.Buffer(torch.randn(num_codes, channels))
        self.counts = nn.Buffer(torch.zeros(num_codes))
        self.totals = nn.Buffer(torch.zeros(num_codes, channels))
        self.times_chosen = nn.Buffer(torch.zeros(num_codes, dtype=torch.int64), persistent=False)

    def forward(self, encoded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Replaces encoded vectors by their codes.

        Args:
            encoded: shape (B, C, d, h, w).

        Returns:
            Latents, float32 (B, C, d, h, w), and the loss.
        """
        batch, channels, depth, height, width = encoded.shape
        vectors_NC = encoded.float().movedim(1, 4).reshape(-1, channels)
        chosen_N = self._nearest(vectors_NC)
        nearest_NC = F.embedding(chosen_N, self.codes)
        loss = vectors_NC.new_zeros([])
        if self.training:
            loss = self.commitment_weight * F.mse_loss(vectors_NC, nearest_NC)
        if not torch.jit.is_scripting():
            if self.training:
                self._learn(vectors_NC, chosen_N, nearest_NC)
            else:
                self._count(chosen_N)
        latents_NC = nearest_NC + (vectors_NC - vectors_NC.detach())  # the codes to the bit, and the vectors' gradient
        return latents_NC.view(batch, depth, height, width, channels).movedim(4, 1), loss

    def _nearest(self, vectors_NC: torch.Tensor) -> torch.Tensor:
        """Gives the number of the nearest code, int64 (N,)."""
        with torch.no_grad():
            return torch.cdist(vectors_NC, self.codes).argmin(dim=1)

    @torch.jit.unused
    def _learn(self, vectors_NC: torch.Tensor, chosen_N: torch.Tensor, nearest_NC: torch.Tensor) -> None:
        """Moves the codes to the vectors that chose them and starts the unused ones again."""
        with torch.no_grad():
            vectors_NC = vectors_NC.nan_to_num(0.0, 0.0, 0.0)  # a step that diverges is skipped later; the codes must survive it
            distances_N = (vectors_NC - nearest_NC).square().sum(dim=1)
            counts_K = torch.zeros_like(self.counts).index_add_(0, chosen_N, torch.ones_like(distances_N))
            totals_KC = torch.zeros_like(self.totals).index_add_(0, chosen_N, vectors_NC)
            self.counts.lerp_(sum_over_processes(counts_K), 1.0 - self.decay)
            self.totals.lerp_(sum_over_processes(totals_KC), 1.0 - self.decay)
            drawn_K = torch.multinomial(distances_N + 1e-12, self.num_codes, replacement=True)
            restarts_KC = of_first_process(vectors_NC[drawn_K])
            usual = self.counts.mean()
            unused_K = self.counts < self.restart_below * usual
            self.counts.copy_(torch.where(unused_K, usual, self.counts))
            self.totals.copy_(torch.where(unused_K[:, None], usual * restarts_KC, self.totals))
            self.codes.copy_(self.totals / self.counts[:, None])

    @torch.jit.unused
    def _count(self, chosen_N: torch.Tensor) -> None:
        self.times_chosen.add_(torch.bincount(chosen_N, minlength=self.num_codes))

    def use(self) -> dict[str, float]:
        """Tells of the data that went through in eval mode since :meth:`reset_use`.

        Returns:
            ``used``: codes chosen at least once; ``size``: codes there are; ``perplexity``: how many equally frequent codes would
            be as varied (the exponential of the entropy), 0 before any data.
        """
        share_K = self.times_chosen.double() / self.times_chosen.sum().clamp(min=1)
        entropy = -torch.special.xlogy(share_K, share_K).sum()
        used = int((self.times_chosen > 0).sum())
        return {"used": used, "size": self.num_codes, "perplexity": float(entropy.exp()) if used else 0.0}

    def reset_use(self) -> None:
        """Forgets what was counted."""
        self.times_chosen.zero_()
