"""The 3D masked autoencoder of MAESIL.

Shape suffixes: B batch, N all tokens, K visible tokens, T wanted tokens, D encoder width, P voxels of a patch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from maesil_monai.networks.attention import initialise_linear_layers
from maesil_monai.networks.conv_head import ConvHead
from maesil_monai.networks.decoders import CrossAttentionDecoder, Decoder, SelfAttentionDecoder
from maesil_monai.networks.encoder import VisionTransformerEncoder
from maesil_monai.networks.hierarchical_decoder import HierarchicalDecoder
from maesil_monai.networks.patches import ConvStemEmbedding, LinearPatchEmbedding, assemble_volume, gather_tokens
from maesil_monai.networks.positions import PositionEncoding
from maesil_monai.networks.superpatch_network import SuperpatchNetwork
from maesil_monai.option_values import expect

PATCH_EMBEDDINGS: dict[str, type[LinearPatchEmbedding] | type[ConvStemEmbedding]] = {
    "linear": LinearPatchEmbedding,
    "conv_stem": ConvStemEmbedding,
}
DECODERS: dict[str, type[Decoder]] = {
    "self_attention": SelfAttentionDecoder,
    "cross_attention": CrossAttentionDecoder,
    "hierarchical": HierarchicalDecoder,
}
HEADS = ("linear", "conv")


class MaskedAutoEncoder3D(SuperpatchNetwork):
    """Encodes the visible patches of a superpatch and predicts the voxels of the wanted ones.

    Called as ``network(image, hidden=None, target=None)``; it returns one volume of the image's shape, zero outside
    ``target``. With neither mask, all is seen and all is decoded, which serves interface checks and embedding: a network
    trained on hidden patches has never seen such input.

    Args:
        in_channels: channels of the image.
        img_size, patch_size: voxels of a superpatch and of a patch, which tiles it, one number or three.
        hidden_size, mlp_dim, num_layers, num_heads: the encoder (the paper: 768, 3072, 12, 12).
        decoder: ``self_attention`` (the paper), ``cross_attention`` or ``hierarchical`` (Hi-End-MAE).
        decoder_hidden_size, decoder_mlp_dim, decoder_num_layers, decoder_num_heads: the decoder; the hierarchical one always
            has five blocks.
        patch_embedding: ``linear`` (the paper) or ``conv_stem``.
        head: ``linear`` (the paper) or ``conv``, which smooths the predictions of hidden patches across their borders.
        position: ``sincos`` (fixed), ``sincos_mae`` or ``learned``, see :class:`PositionEncoding`.
        activation_checkpointing: recomputes blocks in the backward pass to save memory.

    Raises:
        ValueError: for sizes that do not fit one another and for unknown names.

    Source: MAESIL (arXiv 2604.00514) section III.

    Example:
        >>> network = MaskedAutoEncoder3D(1, 16, 8, 24, 48, 1, 4, decoder_hidden_size=24, decoder_mlp_dim=48,
        ...                               decoder_num_layers=1, decoder_num_heads=4)
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
        decoder: str = "self_attention",
        decoder_hidden_size: int = 512,
        decoder_mlp_dim: int = 2048,
        decoder_num_layers: int = 8,
        decoder_num_heads: int = 16,
        patch_embedding: str = "linear",
        head: str = "linear",
        position: str = "sincos",
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__(locals())
        expect(decoder in DECODERS, "decoder", decoder, f"one of {', '.join(DECODERS)}")
        expect(patch_embedding in PATCH_EMBEDDINGS, "patch_embedding", patch_embedding, f"one of {', '.join(PATCH_EMBEDDINGS)}")
        expect(head in HEADS, "head", head, f"one of {', '.join(HEADS)}")
        self.patch_embedding = PATCH_EMBEDDINGS[patch_embedding](in_channels, hidden_size, self.patch_size)
        self.positions = PositionEncoding(self.grid, hidden_size, position)
        self.num_layers = num_layers
        self.encoder = VisionTransformerEncoder(hidden_size, mlp_dim, num_layers, num_heads, activation_checkpointing)
        self.decoder = DECODERS[decoder](
            grid=self.grid,
            encoder_hidden_size=hidden_size,
            hidden_size=decoder_hidden_size,
            mlp_dim=decoder_mlp_dim,
            num_layers=decoder_num_layers,
            num_heads=decoder_num_heads,
            patch_voxels=in_channels * self.patch_size[0] * self.patch_size[1] * self.patch_size[2],
            position=position,
            recomputed=activation_checkpointing,
        )
        initialise_linear_layers(self)
        self.conv_head = ConvHead(in_channels, self.patch_size) if head == "conv" else None

    def forward(
        self, image: torch.Tensor, hidden: torch.Tensor | None = None, target: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Reconstructs the wanted patches from the visible ones.

        Args:
            image: floating point in [0, 1], shape (B, in_channels, *img_size).
            hidden: bool, shape (B, gi, gj, gk): what the encoder does not see, equally many in each sample.
            target: bool, same shape: what is decoded.

        Returns:
            Shape of ``image``, zero outside ``target``; bfloat16 under autocast, else float32.

        Raises:
            ValueError: for an image or mask of another shape, or samples with unequal numbers of hidden patches.
        """
        self._check_image(image)
        if target is None:
            target = torch.ones([image.shape[0], *self.grid], dtype=torch.bool, device=image.device)
        self._check_patches(target, "target", image.shape[0])
        encoded_BKD, visible_BK, states = self._encode_with_states(image, hidden)
        num_wanted = int(target.flatten(1).sum(dim=1).max())
        wanted_BT = torch.argsort((~target).flatten(1).to(torch.uint8), dim=1, stable=True)[:, :num_wanted]
        patches_BTP = self.decoder(encoded_BKD, visible_BK, wanted_BT, states)
        volume = assemble_volume(patches_BTP, wanted_BT, target, self.patch_size)
        if self.conv_head is not None and hidden is not None:
            volume = self.conv_head(volume, image, hidden, target)
        return volume

    @torch.jit.export
    def encode(self, image: torch.Tensor, hidden: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeds and encodes the visible patches.

        Args:
            image: as in :meth:`forward`.
            hidden: as in :meth:`forward`; None: all patches are seen.

        Returns:
            The encoded tokens, (B, K, hidden_size), and their int64 places in the token grid, (B, K), ascending.

        Raises:
            ValueError: for a mask of another shape, unequal numbers of hidden patches, or nothing visible.
        """
        encoded_BKD, visible_BK, _ = self._encode_with_states(image, hidden)
        return encoded_BKD, visible_BK

    def _encode_with_states(
        self, image: torch.Tensor, hidden: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """Encodes as :meth:`encode` does, and gives the hidden states that the decoder takes."""
        batch = image.shape[0]
        positions_BND = self.positions().expand(batch, -1, -1)
        if hidden is None:
            visible_BK = torch.arange(positions_BND.shape[1], device=image.device).expand(batch, -1)
        else:
            self._check_patches(hidden, "hidden", batch)
            num_visible_B = (~hidden).flatten(1).sum(dim=1).cpu()
            fewest, most = int(num_visible_B.min()), int(num_visible_B.max())
            if fewest != most or fewest == 0:
                raise ValueError(
                    f"hidden leaves {fewest} to {most} patches visible in the samples of this batch: every sample must "
                    "leave the same number, at least 1."
                )
            visible_BK = torch.argsort(hidden.flatten(1).to(torch.uint8), dim=1, stable=True)[:, :fewest]
        tokens_BKD = self.patch_embedding(image, visible_BK, hidden) + gather_tokens(positions_BND, visible_BK)
        encoded_BKD, states = self.encoder.encode_with_states(tokens_BKD, self.decoder.state_layers(self.num_layers))
        return encoded_BKD, visible_BK, states
