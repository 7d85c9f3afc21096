"""Count arithmetic, parameters and bytes of a network, layer by layer."""
