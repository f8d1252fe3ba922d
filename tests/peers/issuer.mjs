// A certified OpenID provider with a fresh key of each kind: `node issuer.mjs PORT` (0 takes a free one). It prints
// `ISSUER url`, a `TOKEN alg token` of each key, which it gets as a client would, and then `READY`. It takes orders on
// standard input: `ROTATE` makes a fresh key of each kind, publishes them in front of those that there are, and prints
// their tokens and `READY`; `COUNT` prints `ASKED n`, how often it was asked for its keys.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

const algorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];
const server = createServer();
await new Promise((listening) => server.listen(Number(process.argv[2]), '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

let keys = [];
let generation = 0;
let answer;
let asked = 0;
server.on('request', (request, response) => {
  if (request.url === '/jwks') asked += 1;
  answer(request, response);
});

async function rotate() {
  generation += 1;
  const fresh = await Promise.all(algorithms.map(async (alg) => {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    const kid = `${alg}-${process.pid}-${generation}`;
    return { ...await exportJWK(privateKey), alg, use: 'sig', kid };
  }));
  keys = [...fresh, ...keys];
  answer = new Provider(issuer, {
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
  }).callback();
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
}

console.log('ISSUER', issuer);
await rotate();
for await (const order of createInterface({ input: process.stdin })) {
  if (order === 'ROTATE') await rotate();
  if (order === 'COUNT') console.log('ASKED', asked);
}
