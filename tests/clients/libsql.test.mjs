// @libsql/client over http and over WebSocket, unchanged, against one datacenter; checked at another.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createClient } from '@libsql/client'
import { startGateways, until, ways } from './gateways.mjs'

for (const { scheme, home, away } of ways) {
  describe(`${scheme} at ${home}`, () => {
    let gateways, here, there

    before(async () => {
      gateways = await startGateways()
      here = createClient({ url: gateways.url(home, scheme) })
      there = createClient({ url: gateways.url(away, scheme) })
      await here.execute(
        'CREATE TABLE things (id TEXT PRIMARY KEY, n INTEGER, x REAL, t TEXT, b BLOB)',
      )
      await here.execute('CREATE INDEX things_n ON things (n)')
      await until(() => there.execute('SELECT id FROM things').then(() => true), 'the schema there')
    })

    after(() => {
      here.close()
      there.close()
      return gateways.stop()
    })

    const rowThere = (id) =>
      until(
        async () => (await there.execute({ sql: 'SELECT * FROM things WHERE id = ?', args: [id] })).rows[0],
        `${id} there`,
      )

    test('every type of value arrives exactly', async () => {
      const bytes = new Uint8Array([0, 1, 2, 255])
      const result = await here.execute({
        sql: 'INSERT INTO things VALUES (:id, :n, :x, :t, :b)',
        args: { id: 'exact', n: 9007199254740993n, x: 0.1, t: 'naïve — 日本\u0000', b: bytes },
      })
      assert.equal(result.rowsAffected, 1)
      const exact = createClient({ url: gateways.url(away, scheme), intMode: 'bigint' })
      const row = await until(
        async () => (await exact.execute("SELECT * FROM things WHERE id = 'exact'")).rows[0],
        'the row there',
      )
      assert.equal(row.n, 9007199254740993n)
      assert.equal(row.x, 0.1)
      assert.equal(row.t, 'naïve — 日本\u0000')
      assert.deepEqual(new Uint8Array(row.b), bytes)
      exact.close()
    })

    test('RETURNING, column names and null', async () => {
      const result = await here.execute("INSERT INTO things (id) VALUES ('r') RETURNING id AS name, n")
      assert.deepEqual(result.columns, ['name', 'n'])
      assert.equal(result.rows[0].name, 'r')
      assert.equal(result.rows[0].n, null)
    })

    test('a batch is one transaction: all of it or nothing', async () => {
      await here.batch(
        [
          "INSERT INTO things (id, n) VALUES ('b1', 1)",
          { sql: 'INSERT INTO things (id, n) VALUES (?, ?)', args: ['b2', 2] },
        ],
        'write',
      )
      await rowThere('b2')
      await rowThere('b1')
      await assert.rejects(
        here.batch(
          ["INSERT INTO things (id) VALUES ('b3')", "INSERT INTO things (id) VALUES ('b1')"],
          'write',
        ),
        (error) => error.code === 'SQLITE_CONSTRAINT',
      )
      const left = await here.execute("SELECT id FROM things WHERE id = 'b3'")
      assert.equal(left.rows.length, 0)
    })

    test('an interactive transaction reads its own writes and commits whole', async () => {
      const tx = await here.transaction('write')
      await tx.execute("INSERT INTO things (id, n) VALUES ('tx', 1)")
      await tx.execute("UPDATE things SET n = n + 41 WHERE id = 'tx'")
      assert.equal((await tx.execute("SELECT n FROM things WHERE id = 'tx'")).rows[0].n, 42)
      const outside = await here.execute("SELECT n FROM things WHERE id = 'tx'")
      assert.equal(outside.rows.length, 0)
      await tx.commit()
      assert.equal((await rowThere('tx')).n, 42)
    })

    test('an error inside a transaction does not end it, and a rollback undoes it', async () => {
      const tx = await here.transaction('write')
      await tx.execute("INSERT INTO things (id) VALUES ('gone')")
      await assert.rejects(tx.execute('SELECT nonsense FROM things'))
      await tx.execute("INSERT INTO things (id) VALUES ('gone too')")
      await tx.rollback()
      const left = await here.execute("SELECT count(*) AS c FROM things WHERE id LIKE 'gone%'")
      assert.equal(left.rows[0].c, 0)
    })

    test('a closed transaction is rolled back and lets others write at once', async () => {
      const tx = await here.transaction('write')
      await tx.execute("INSERT INTO things (id) VALUES ('closed')")
      tx.close()
      await here.execute("INSERT INTO things (id) VALUES ('after')")
      const left = await here.execute("SELECT id FROM things WHERE id = 'closed'")
      assert.equal(left.rows.length, 0)
    })

    test('errors carry the codes that drivers compare', async () => {
      const code = (sql, args = []) =>
        here.execute({ sql, args }).then(
          () => assert.fail('accepted: ' + sql),
          (error) => error.code,
        )
      assert.equal(await code('SELEC 1'), 'SQLITE_ERROR')
      assert.equal(await code("INSERT INTO things (id) VALUES ('r')"), 'SQLITE_CONSTRAINT')
      assert.equal(await code('SELECT 1; SELECT 2'), 'SQL_MANY_STATEMENTS')
      assert.equal(await code(''), 'SQL_NO_STATEMENT')
      assert.equal(await code('SELECT ?', []), 'ARGS_INVALID')
      await code("ATTACH DATABASE 'other.db' AS other")
      await code("SELECT load_extension('x')")
      await code("DELETE FROM _entente_log")
    })

    test('writes at both sites meet, and both sites show the same', async () => {
      await here.execute("INSERT INTO things (id, n, t) VALUES ('both', 0, 'start')")
      await rowThere('both')
      await Promise.all([
        here.execute("UPDATE things SET n = 1 WHERE id = 'both'"),
        there.execute("UPDATE things SET t = 'there' WHERE id = 'both'"),
      ])
      await until(async () => {
        const a = (await here.execute("SELECT n, t FROM things WHERE id = 'both'")).rows[0]
        const b = (await there.execute("SELECT n, t FROM things WHERE id = 'both'")).rows[0]
        return a.n === 1 && b.n === 1 && a.t === 'there' && b.t === 'there'
      }, 'both updates at both sites (column granularity)')
    })

    test('executeMultiple runs a script', async () => {
      await here.executeMultiple(
        "INSERT INTO things (id) VALUES ('m1'); INSERT INTO things (id) VALUES ('m2');",
      )
      await rowThere('m2')
    })

    test('a migration is one transaction, and what it made is there at once', async () => {
      await here.migrate([
        'CREATE TABLE made (id TEXT PRIMARY KEY, thing TEXT REFERENCES things (id))',
        { sql: 'INSERT INTO made VALUES (?, ?)', args: ['m', 'exact'] },
        'CREATE INDEX made_thing ON made (thing)',
      ])
      assert.equal((await here.execute('SELECT thing FROM made')).rows[0].thing, 'exact')
      await assert.rejects(
        here.migrate(['CREATE TABLE half (id TEXT PRIMARY KEY)', 'CREATE TABLE made (id TEXT PRIMARY KEY)']),
        /already exists/,
      )
      await assert.rejects(here.execute('SELECT * FROM half'), /no such table/)
      await until(() => there.execute('SELECT * FROM made').then((r) => r.rows.length === 1), 'it there')
    })

    test('an interactive transaction creates a table and fills it', async () => {
      const tx = await here.transaction('write')
      await tx.execute("INSERT INTO things (id) VALUES ('before the table')")
      await tx.execute('CREATE TABLE filled (id TEXT PRIMARY KEY)')
      await tx.batch(["INSERT INTO filled VALUES ('a')", "INSERT INTO filled VALUES ('b')"])
      assert.equal((await tx.execute('SELECT count(*) AS c FROM filled')).rows[0].c, 2)
      await tx.commit()
      assert.equal((await here.execute('SELECT count(*) AS c FROM filled')).rows[0].c, 2)
      await rowThere('before the table')
    })

    test('a script creates, writes and creates', async () => {
      await here.executeMultiple(
        "CREATE TABLE scripted (id TEXT PRIMARY KEY); INSERT INTO scripted VALUES ('s'); CREATE INDEX s ON scripted (id);",
      )
      assert.equal((await here.execute('SELECT id FROM scripted')).rows[0].id, 's')
    })
  })
}
