"""A real OpenID provider for tests: npm's certified `oidc-provider`, and somebody in the middle who spoils things."""

from tests.openid.provider import OpenIdProvider

__all__ = ["OpenIdProvider"]
