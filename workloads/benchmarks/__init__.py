"""How fast rpusim is on this machine, beside its peers: training steps, event engines, the coupling of both."""
