"""Many runs of one scenario: which, where, and what they say together."""
