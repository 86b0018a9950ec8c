// Real gateways for client tests: one process a datacenter, in a temporary folder, on free ports.
import { execFileSync, spawn } from 'node:child_process'
import { createPrivateKey, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// So many different free ports: each is held until all are chosen.
async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return ports
}

// How a client connects, where it works, and from where it is watched: at the schema leader (tokyo),
// and at a datacenter that sends schema changes on to it.
export const ways = ['http', 'ws'].flatMap((scheme) => [
  { scheme, home: 'tokyo', away: 'virginia' },
  { scheme, home: 'virginia', away: 'tokyo' },
])

// In the circle and the star, what one of the two writes reaches the other through Frankfurt.
const topologies = {
  'all-to-all': '{kind: all-to-all}',
  circle: '{kind: circle, order: [tokyo, frankfurt, virginia]}',
  star: '{kind: star, hub: frankfurt}',
}

// A JWT with these claims, whatever they are, signed with a key of `entente token init`.
function signed(claims, secret) {
  const part = (json) => Buffer.from(JSON.stringify(json)).toString('base64url')
  const text = `${part({ alg: 'EdDSA', typ: 'JWT' })}.${part(claims)}`
  return `${text}.${sign(null, Buffer.from(text), createPrivateKey(secret)).toString('base64url')}`
}

// Tokyo is the schema leader. Schemas are made by the clients, who need tokens if `tokens` says so.
export async function startGateways({
  dcs = ['tokyo', 'virginia', 'frankfurt'],
  topology = topologies[process.env.ENTENTE_TOPOLOGY],
  extra = '',
  tokens = false,
} = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'entente-clients-'))
  const ports = {}
  let yaml = `cluster: clients\ntopology: ${topology}\ndatacenters:\n`
  const free = await freePorts(2 * dcs.length)
  for (const dc of dcs) {
    ports[dc] = free.pop()
    yaml += `  ${dc}: {peers: "ws://127.0.0.1:${free.pop()}", clients: "127.0.0.1:${ports[dc]}"}\n`
  }
  const config = join(folder, 'cluster.yaml')
  const wanted = tokens ? ', tokens: {keys: [ca/token.pub], revoked: revoked}' : ''
  writeFileSync(config, `${yaml}security: {insecure: true${wanted}}\n${extra}`)
  const entente = (...args) => execFileSync(process.env.ENTENTE_BINARY, args, { encoding: 'utf8' })
  const key = join(folder, 'ca', 'token.key')
  if (tokens) {
    entente('token', 'init', config, '--folder', join(folder, 'ca'))
    writeFileSync(join(folder, 'revoked'), '')
  }

  const processes = dcs.map((dc) =>
    spawn(
      process.env.ENTENTE_BINARY,
      ['serve', '--config', config, '--dc', dc, '--data', join(folder, dc), '--first'],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    ),
  )
  const url = (dc, scheme = 'http') => `${scheme}://127.0.0.1:${ports[dc]}`
  const ready = (dc) => fetch(`${url(dc)}/readyz`, { signal: AbortSignal.timeout(2_000) })
  for (const dc of dcs) await until(async () => (await ready(dc)).ok, `${dc} is ready`)

  return {
    url,
    // What `entente token new` prints.
    token: (...args) => entente('token', 'new', config, '--key', key, '-o', 'json', ...args),
    signed: (claims) => signed(claims, readFileSync(key)),
    revoke: (jti) => writeFileSync(join(folder, 'revoked'), `${jti}\n`),
    stop() {
      for (const p of processes) p.kill('SIGTERM')
      return Promise.all(processes.map((p) => new Promise((done) => p.on('exit', done)))).then(() =>
        rmSync(folder, { recursive: true, force: true }),
      )
    },
  }
}

export async function until(holds, what) {
  const deadline = Date.now() + 20_000
  for (;;) {
    try {
      const value = await holds()
      if (value) return value
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
    if (Date.now() > deadline) throw new Error(`not in 20 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
