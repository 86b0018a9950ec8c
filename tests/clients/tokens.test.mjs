// Tokens as real clients send them, and what their users see of a refusal.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createClient } from '@libsql/client'
import { connect } from '@tursodatabase/serverless'
import { startGateways, until, ways } from './gateways.mjs'

const soon = () => Math.floor(Date.now() / 1000) + 600

for (const { scheme, home, away } of ways) {
  describe(`tokens, ${scheme} at ${home}`, () => {
    let gateways, admin
    const clients = []
    const client = (authToken, dc = home) => {
      const one = createClient({ url: gateways.url(dc, scheme), authToken })
      clients.push(one)
      return one
    }
    const token = (...args) => JSON.parse(gateways.token(...args)).token

    before(async () => {
      gateways = await startGateways({ tokens: true })
      admin = client(token('--role', 'schema', '--sub', 'ada'))
      await admin.execute('CREATE TABLE carts (id INTEGER PRIMARY KEY, v TEXT)')
      await admin.execute('CREATE TABLE orders (id INTEGER PRIMARY KEY, v TEXT)')
      await admin.execute("INSERT INTO orders VALUES (1, 'hidden')")
      const there = client(token('--role', 'read'), away)
      await until(async () => (await there.execute('SELECT v FROM orders')).rows.length === 1, 'it is there')
    })

    after(() => {
      for (const one of clients) one.close()
      return gateways.stop()
    })

    const refused = (authToken, sql, code) =>
      assert.rejects(client(authToken).execute(sql), (error) => {
        assert.match(String(error.code ?? '') + error.message, new RegExp(code))
        return true
      })

    test('nobody comes in without one, and is told why', async () => {
      await refused(undefined, 'SELECT 1', 'AUTH_HTTP_HEADER_MISSING')
      await refused('nonsense', 'SELECT 1', 'AUTH_JWT_INVALID')
      await refused(gateways.signed({ aud: 'clients', exp: 1, a: 'rw' }), 'SELECT 1', 'AUTH_JWT_EXPIRED')
      await refused(
        gateways.signed({ aud: 'clients', exp: soon() + 900, nbf: soon(), a: 'rw' }),
        'SELECT 1',
        'AUTH_JWT_IMMATURE',
      )
      await refused(gateways.signed({ aud: 'another', exp: soon(), a: 'rw' }), 'SELECT 1', 'AUTH_JWT_INVALID')
    })

    test('a table, and no other', async () => {
      const mine = client(token('--role', 'write', '--tables', 'carts'))
      await mine.execute("INSERT INTO carts (v) VALUES ('lamp')")
      assert.equal((await mine.execute('SELECT v FROM carts')).rows[0].v, 'lamp')
      await assert.rejects(mine.execute('SELECT v FROM orders'), /SQLITE_AUTH|does not allow to read table orders/)
      await assert.rejects(mine.batch(['DELETE FROM orders'], 'write'), /does not allow to/)
      await assert.rejects(mine.execute('DROP TABLE carts'), /does not allow to change the schema/)
      const transaction = await mine.transaction('write')
      await assert.rejects(transaction.execute('SELECT v FROM orders'), /does not allow to read table orders/)
      await transaction.execute("UPDATE carts SET v = 'two lamps'")
      await transaction.commit()
      assert.equal((await mine.execute('SELECT v FROM carts')).rows[0].v, 'two lamps')
    })

    test("libSQL's own claim is a role", async () => {
      const reader = client(gateways.signed({ aud: 'clients', exp: soon(), a: 'ro' }))
      assert.equal((await reader.execute('SELECT v FROM orders')).rows[0].v, 'hidden')
      await assert.rejects(reader.execute('DELETE FROM orders'), /does not allow to write table orders/)
    })

    test('a revoked token is over within the time that the file is looked at', async () => {
      const { token: lost, jti } = JSON.parse(gateways.token('--role', 'read'))
      await client(lost).execute('SELECT 1')
      gateways.revoke(jti)
      await until(
        () => client(lost).execute('SELECT 1').then(() => false, (error) => /revoked/.test(error.message)),
        'it is refused',
      )
    })
  })
}

describe('tokens, @tursodatabase/serverless', () => {
  let gateways

  before(async () => {
    gateways = await startGateways({ tokens: true, dcs: ['tokyo'], topology: '{kind: all-to-all}' })
  })
  after(() => gateways.stop())

  test('it sends one, and shows why a query is refused', async () => {
    const { token } = JSON.parse(gateways.token('--role', 'schema'))
    const connection = connect({ url: gateways.url('tokyo'), authToken: token })
    await connection.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)')
    const stranger = connect({ url: gateways.url('tokyo'), authToken: 'nonsense' })
    await assert.rejects(async () => stranger.all('SELECT 1'), (error) => {
      assert.match(error.message, /is no JWT/)
      return true
    })
    await connection.close()
  })
})
