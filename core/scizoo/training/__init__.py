"""The LightningModule, trainer assembly, callbacks and adaptation."""
