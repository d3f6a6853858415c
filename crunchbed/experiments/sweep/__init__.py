"""Many runs of one scenario: what they vary, on which workers they run, what they found."""
