"""From what a guest did to the constants of its kernel's profile. Pure."""
