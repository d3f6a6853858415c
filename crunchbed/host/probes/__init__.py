"""Small looks at a machine: each says whether one thing is there, and leaves nothing behind."""
