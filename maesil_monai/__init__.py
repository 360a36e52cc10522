"""MAESIL for MONAI: masked autoencoder pre-training on unlabelled 3D CT (arXiv 2604.00514)."""

__version__ = "0.1.0"
