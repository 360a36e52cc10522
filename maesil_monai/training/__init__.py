"""Training on MONAI's engines: prepare a batch, step safely, save durably, resume exactly, record what was done."""
