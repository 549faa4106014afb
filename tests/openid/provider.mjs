// A certified OpenID provider for tests. `node provider.mjs ISSUER` prints the ports of two providers: one that calls
// itself ISSUER, and one that calls itself something else. It accepts every username with any password.

import { createServer } from "node:http";
import Provider from "oidc-provider";

const PEOPLE = {
  anna: { given_name: "Anna", family_name: "Jones", organization: "Anna's Bakery" },
  viewer: { given_name: "Vera", groups: ["Viewer", "Everybody"] },
  operator: { given_name: "Olga", family_name: "Ozols", groups: ["Operator"] },
  administrator: { given_name: "Ada", groups: "Administrator" },
};

/** Find a person. "anna-7" is another person with the same values as "anna". */
function findAccount(context, id) {
  const like = PEOPLE[id.split("-")[0]] ?? {};
  return { accountId: id, claims: () => ({ sub: id, email: `${id}@nullmailer.com`, number: `no-${id}`, ...like }) };
}

const client = (id) => ({ client_id: id, client_secret: `canary-secret-of-${id}`, redirect_uris: ["http://127.0.0.1/"] });

const configuration = {
  clients: [client("page"), client("other")],
  claims: { openid: ["sub", "number"], profile: ["given_name", "family_name", "organization"], email: ["email"], groups: ["groups"] },
  cookies: { keys: ["for tests only"] },
  pkce: { required: () => true },
  // The page may be on any free port.
  ttl: {
    AccessToken: 60,
    AuthorizationCode: (context) => (context.get("x-hurry") ? 1 : 60),
    Grant: 600,
    IdToken: 60,
    Interaction: 600,
    Session: 600,
  },
  findAccount,
};

const ports = [process.argv[2], "https://other.example.com"].map(async (issuer) => {
  const provider = new Provider(issuer, configuration);
  provider.Client.prototype.redirectUriAllowed = (uri) => new URL(uri).hostname === "127.0.0.1" || new URL(uri).hostname === "testserver";
  const server = createServer(provider.callback());
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return server.address().port;
});
console.log(`ports ${(await Promise.all(ports)).join(" ")}`);
