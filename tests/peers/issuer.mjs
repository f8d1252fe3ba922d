// A certified OpenID provider with a fresh key of each kind: `node issuer.mjs PORT` (0 takes a free one). It prints
// `ISSUER url`, a `TOKEN alg token` of each key, which it gets as a client would, and then `READY`.
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

const algorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];
const keys = await Promise.all(algorithms.map(async (alg) => {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...await exportJWK(privateKey), alg, use: 'sig', kid: `${alg}-${process.pid}` };
}));

const server = createServer();
await new Promise((listening) => server.listen(Number(process.argv[2]), '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  jwks: { keys },
  clients: [{
    client_id: 'client',
    client_secret: 'secret',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_post',
  }],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: 'read',
        audience: 'photos',
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: new URL(resource).searchParams.get('alg') } },
      }),
    },
  },
});
server.on('request', provider.callback());

console.log('ISSUER', issuer);
for (const alg of algorithms) {
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: 'client',
    client_secret: 'secret',
    scope: 'read',
    resource: `http://photos.test/?alg=${alg}`,
  });
  const response = await fetch(`${issuer}/token`, { method: 'POST', body });
  console.log('TOKEN', alg, (await response.json()).access_token);
}
console.log('READY');
