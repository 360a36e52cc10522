"""The commands of ``maesil`` and ``python -m maesil_monai``: one file each, with a function of the file's name."""
