"""Brands: how the sign-up page looks and reads at each host."""
