"""What a document leaves out, leaves empty or says with null."""
