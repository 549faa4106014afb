"""A real OpenID provider for tests: npm's certified `oidc-provider`, behind a proxy that tampers with its answers."""

from tests.openid.provider import OpenIdProvider

__all__ = ["OpenIdProvider"]
