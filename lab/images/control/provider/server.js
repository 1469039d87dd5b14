// The lab's OpenID provider: oidc-provider with one client for each environment, TLS, and a page to log in.
// It only accepts synthetic addresses in the client's domain, all with the client's password.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider, interactionPolicy } from 'oidc-provider';

const [issuer, folder, address = '0.0.0.0'] = process.argv.slice(2);
const read = (name) => readFileSync(`${folder}/${name}`);
const clients = new Map(JSON.parse(read('clients.json')).map((client) => [client.client_id, client]));

const digest = (text) => createHash('sha256').update(text).digest();
const escape = (text) => String(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

// Every login asks for the password, even within a session: a tester is a different user each time, and each
// environment has its own password.
const policy = interactionPolicy.base();
policy.get('login').checks.add(new interactionPolicy.Check('every_time', 'each login asks', 'login_required', (ctx) =>
  ctx.oidc.result?.login ? interactionPolicy.Check.NO_NEED_TO_PROMPT : interactionPolicy.Check.REQUEST_PROMPT));

const { privateKey } = await generateKeyPair('RS256', { extractable: true });

const provider = new Provider(issuer, {
  clients: [...clients.values()].map(({ client_id, client_secret, redirect_uri }) => ({
    client_id, client_secret, redirect_uris: [redirect_uri], grant_types: ['authorization_code'], response_types: ['code'],
  })),
  // New with each start. Clients fetch the keys to check a signature; earlier tokens become invalid.
  jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig' }] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['given_name', 'family_name'] },
  conformIdTokenClaims: false, // all claims in the ID token, as with Google and others
  features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: false } },
  interactions: { policy, url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  pkce: { required: () => false },
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
  // Users need not consent to the portal's scopes.
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope([...oidc.requestParamOIDCScopes].join(' '));
    await grant.save();
    return grant;
  },
  findAccount: (_ctx, accountId) => ({
    accountId,
    claims: () => ({ sub: accountId, email: accountId, email_verified: true, given_name: 'Sam', family_name: 'Sign-In' }),
  }),
});

function page(response, status, client, message = '') {
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    'Cache-Control': 'no-store',
    // The form's response redirects to the portal.
    'Content-Security-Policy': `default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'self' ${new URL(client.redirect_uri).origin}`,
  });
  response.end(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Sign-in provider</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:22rem;margin:4rem auto;padding:0 1rem}label,input,button{display:block;width:100%;box-sizing:border-box}input,button{font:inherit;padding:.5rem;margin:.25rem 0 1rem}.error{color:#a11}</style></head>
<body><h1>Sign-in provider</h1>
<p>The lab's replacement for a company's or a public provider. It accepts every address in <b>${escape(client.domain)}</b> with the password of ${escape(client.client_id)}.</p>
<p class="error">${escape(message)}</p>
<form id="sign-in" method="post">
<label>E-mail <input type="email" name="login" required autofocus></label>
<label>Password <input type="password" name="password" required></label>
<button type="submit">Sign in</button>
</form></body></html>
`);
}

async function form(request) {
  let text = '';
  for await (const part of request) {
    text += part;
    if (text.length > 4096) throw new Error('the form is too long');
  }
  return new URLSearchParams(text);
}

async function interact(request, response) {
  const client = clients.get((await provider.interactionDetails(request, response)).params.client_id);
  if (request.method !== 'POST') return page(response, 200, client);
  const given = await form(request);
  const login = String(given.get('login')).toLowerCase();
  const right = timingSafeEqual(digest(String(given.get('password'))), digest(client.password));
  if (!right || !/^[^@\s]{1,64}@/.test(login) || login.split('@')[1] !== client.domain) {
    return page(response, 401, client, 'Wrong address or password.');
  }
  return provider.interactionFinished(request, response, { login: { accountId: login } }, { mergeWithLastSubmission: false });
}

const callback = provider.callback();
const server = createServer({ cert: read('server.crt'), key: read('server.key') }, (request, response) => {
  if (!request.url.startsWith('/interaction/')) {
    callback(request, response);
    return;
  }
  interact(request, response).catch((error) => {
    console.error(`${request.method} /interaction: ${error.message}`);
    response.writeHead(400, { 'Content-Type': 'text/plain' }).end('This login has expired. Start again at the portal.\n');
  });
});
server.listen(Number(new URL(issuer).port || 443), address, () => console.log(`serving ${issuer} for ${[...clients.keys()].join(', ')}`));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
