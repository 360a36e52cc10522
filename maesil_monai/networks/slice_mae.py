"""The masked autoencoder of images on the slices of a superpatch, each alone: MedMAE, as the field applies it to CT.

Shape suffixes: B batch, S slices of all superpatches of a batch, N tokens of a slice, K visible tokens of a slice (filled up to
the most), E encoder width, D decoder width, P pixels of a token.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from maesil_monai.geometry import unpatchify
from maesil_monai.networks.attention import SelfAttentionBlock, initialise_linear_layers
from maesil_monai.networks.decoders import Decoder
from maesil_monai.networks.encoder import VisionTransformerEncoder
from maesil_monai.networks.patches import LinearPatchEmbedding, gather_tokens
from maesil_monai.networks.positions import PositionEncoding
from maesil_monai.networks.superpatch_network import SuperpatchNetwork


class SliceDecoder(Decoder):
    """The decoder of MAE: self-attention over the class token and all tokens of a slice, visible ones and mask tokens.

    Args: see :class:`Decoder`.

    Source: MAE (arXiv 2111.06377) section 3.
    """

    block = SelfAttentionBlock

    def forward(self, encoded_SKE: torch.Tensor, visible_SK: torch.Tensor, present_SK: torch.Tensor | None) -> torch.Tensor:
        """Decodes all tokens of slices.

        Args:
            encoded_SKE: the encoded class token and after it the visible tokens, (S, 1 + K, E).
            visible_SK: int64, (S, K), places of the visible tokens and of their fillers, all different within a slice.
            present_SK: bool, (S, K), False for fillers; None: there are none.

        Returns:
            Pixels of all tokens, (S, N, P).
        """
        embedded_SKD = self.embed(encoded_SKE)
        visible_SKD = embedded_SKD[:, 1:]
        if present_SK is not None:
            visible_SKD = torch.where(present_SK[:, :, None], visible_SKD, self.mask_token.to(embedded_SKD.dtype))
        tokens_SND = self.full_sequence(visible_SKD, visible_SK)
        tokens_SND = torch.cat([embedded_SKD[:, :1].to(tokens_SND.dtype), tokens_SND], dim=1)
        for block in self.blocks:
            tokens_SND = block(tokens_SND)
        return self.head(self.norm(tokens_SND[:, 1:]))


class SliceMaskedAutoEncoder(SuperpatchNetwork):
    """Encodes and decodes every axial slice of a superpatch by itself, under the masks of the 3D network.

    Called like :class:`MaskedAutoEncoder3D`. A token is ``patch_size[0] x patch_size[1]`` pixels of one slice; it is hidden where
    the 3D patch that slice ``z`` crosses is: ``hidden[..., z // patch_size[2]]``. Slices may differ in how many tokens they show,
    and may show none: fillers that nobody attends to make up for it, and a class token is always there.

    The original works on images of 224 x 224 pixels with tokens of 16 x 16, 75 % of them hidden at random in each (here: mask
    rule ``plane``); ours takes the tokens' size from the masks, so that all networks of a comparison see the same voxels.

    Args:
        in_channels: channels of the image.
        img_size, patch_size: voxels of a superpatch and of a patch of the masks, which tiles it, one number or three.
        hidden_size, mlp_dim, num_layers, num_heads: the encoder (ViT-B: 768, 3072, 12, 12).
        decoder_hidden_size, decoder_mlp_dim, decoder_num_layers, decoder_num_heads: the decoder.
        position: ``sincos`` (fixed, 2D), ``sincos_mae`` or ``learned``, see :class:`PositionEncoding`.
        activation_checkpointing: recomputes blocks in the backward pass to save memory.

    Raises:
        ValueError: for sizes that do not fit one another.

    Source: MedMAE (arXiv 2407.14784), which is MAE (arXiv 2111.06377) on medical images.

    Example:
        >>> network = SliceMaskedAutoEncoder(1, 16, 8, 24, 48, 1, 4, 24, 48, 1, 4)
        >>> network(torch.rand(2, 1, 16, 16, 16)).shape
        torch.Size([2, 1, 16, 16, 16])
    """

    def __init__(
        self,
        in_channels: int = 1,
        img_size: int | Sequence[int] = 128,
        patch_size: int | Sequence[int] = 8,
        hidden_size: int = 768,
        mlp_dim: int = 3072,
        num_layers: int = 12,
        num_heads: int = 12,
        decoder_hidden_size: int = 512,
        decoder_mlp_dim: int = 2048,
        decoder_num_layers: int = 8,
        decoder_num_heads: int = 16,
        position: str = "sincos",
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__(locals())
        slice_grid = self.grid[:2]
        self.patch_embedding = LinearPatchEmbedding(in_channels, hidden_size, (self.patch_size[0], self.patch_size[1], 1))
        self.class_token = nn.Parameter(torch.randn(1, 1, hidden_size) * 0.02)
        self.positions = PositionEncoding(slice_grid, hidden_size, position)
        self.encoder = VisionTransformerEncoder(hidden_size, mlp_dim, num_layers, num_heads, activation_checkpointing)
        self.decoder = SliceDecoder(
            grid=slice_grid,
            encoder_hidden_size=hidden_size,
            hidden_size=decoder_hidden_size,
            mlp_dim=decoder_mlp_dim,
            num_layers=decoder_num_layers,
            num_heads=decoder_num_heads,
            patch_voxels=in_channels * self.patch_size[0] * self.patch_size[1],
            position=position,
            recomputed=activation_checkpointing,
        )
        initialise_linear_layers(self)

    def forward(
        self, image: torch.Tensor, hidden: torch.Tensor | None = None, target: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Reconstructs the wanted patches, each slice from its own visible tokens.

        Args:
            image: floating point in [0, 1], shape (B, in_channels, *img_size); the last axis runs along S-I.
            hidden: bool, shape (B, gi, gj, gk): what the encoder does not see; None: nothing.
            target: bool, same shape: what is decoded; slices without any are not decoded. None: everything.

        Returns:
            Shape of ``image``, zero outside ``target``; bfloat16 under autocast, else float32.

        Raises:
            ValueError: for an image or mask of another shape.
        """
        self._check_image(image)
        shape = [image.shape[0], self.grid[0], self.grid[1], self.grid[2]]
        if hidden is None:
            hidden = torch.zeros(shape, dtype=torch.bool, device=image.device)
        if target is None:
            target = torch.ones(shape, dtype=torch.bool, device=image.device)
        self._check_patches(hidden, "hidden", image.shape[0])
        self._check_patches(target, "target", image.shape[0])
        target_SN = self._slices_of(target)
        decoded = target_SN.any(dim=1).nonzero()[:, 0]
        if decoded.shape[0] == 0:
            decoded = decoded.new_zeros([1])
        folded = image.permute(0, 4, 1, 2, 3).flatten(0, 1)[decoded, :, :, :, None]
        encoded_SKE, visible_SK, present_SK = self._encode_slices(folded, self._slices_of(hidden)[decoded])
        pixels_SNP = self.decoder(encoded_SKE, visible_SK, present_SK).masked_fill(~target_SN[decoded][:, :, None], 0.0)
        blank_SNP = torch.zeros(
            [target_SN.shape[0], target_SN.shape[1], pixels_SNP.shape[2]], dtype=pixels_SNP.dtype, device=image.device
        )
        return self._volume_of(blank_SNP.index_copy(0, decoded, pixels_SNP))

    def _encode_slices(
        self, folded: torch.Tensor, hidden_SN: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Encodes the visible tokens of slices.

        Args:
            folded: slices, (S, C, D, H, 1).
            hidden_SN: bool, which of their tokens are hidden.

        Returns:
            The encoded class token and visible tokens, (S, 1 + K, E); the places of the visible tokens, int64 (S, K); which of
            those are no fillers, bool (S, K), None if all are.
        """
        num_visible_S = (~hidden_SN).sum(dim=1).cpu()
        fewest, most = int(num_visible_S.min()), int(num_visible_S.max())
        visible_SK = torch.argsort(hidden_SN.to(torch.uint8), dim=1, stable=True)[:, :most]
        positions_SNE = self.positions().expand(folded.shape[0], -1, -1)
        tokens_SKE = self.patch_embedding(folded, visible_SK, None) + gather_tokens(positions_SNE, visible_SK)
        class_S1E = self.class_token.expand(folded.shape[0], -1, -1).to(tokens_SKE.dtype)
        tokens_SKE = torch.cat([class_S1E, tokens_SKE], dim=1)
        if fewest == most:
            return self.encoder(tokens_SKE), visible_SK, None
        present_SK = ~hidden_SN.gather(1, visible_SK)
        attended_SK = torch.cat([torch.ones_like(present_SK[:, :1]), present_SK], dim=1)
        return self.encoder(tokens_SKE, attended_SK), visible_SK, present_SK

    def _slices_of(self, mask: torch.Tensor) -> torch.Tensor:
        """Gives a mask of patches, bool (B, gi, gj, gk), as one of the tokens of all slices, (S, N)."""
        by_plane = mask.permute(0, 3, 1, 2).flatten(2)
        return by_plane.repeat_interleave(self.patch_size[2], dim=1).flatten(0, 1)

    def _volume_of(self, pixels_SNP: torch.Tensor) -> torch.Tensor:
        """Puts the tokens of all slices back into volumes: (S, N, P) gives (B, C, D, H, W)."""
        num_slices, num_tokens, num_pixels = self.img_size[2], pixels_SNP.shape[1], pixels_SNP.shape[2]
        by_place = pixels_SNP.view(-1, num_slices, num_tokens, num_pixels).transpose(1, 2).flatten(1, 2)
        return unpatchify(by_place, (self.grid[0], self.grid[1], num_slices), (self.patch_size[0], self.patch_size[1], 1))
