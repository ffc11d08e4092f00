"""Where accuracy is lost between floating point and programmed cells: cause by cause, and layer by layer."""
