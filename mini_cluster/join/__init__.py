"""Worker hosts on other machines: the invitation that the control plane prints, and what a machine does by it."""
