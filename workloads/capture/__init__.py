"""From a torch module of the user's own to the layers and operations that a chip can be planned for."""
