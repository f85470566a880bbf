"""The kubelet's own certificates: how it asks for them, keeps them, and renews them before they expire."""
