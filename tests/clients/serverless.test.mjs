// @tursodatabase/serverless (Hrana 3 over http: /v3/pipeline and /v3/cursor), unchanged, against one
// datacenter; checked at another. Then the same package's copy of the libSQL interface.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { connect, Statement } from '@tursodatabase/serverless'
import { createClient } from '@tursodatabase/serverless/compat'
import { startGateways, until } from './gateways.mjs'

describe('serverless', () => {
  let gateways, here, there

  before(async () => {
    gateways = await startGateways()
    here = connect({ url: gateways.url('tokyo') })
    there = connect({ url: gateways.url('virginia') })
    await here.exec(`
      CREATE TABLE things (id TEXT PRIMARY KEY, n INTEGER, x REAL, t TEXT, b BLOB);
      CREATE INDEX things_n ON things (n);
      CREATE TABLE numbered (id INTEGER PRIMARY KEY, t TEXT);
    `)
    await until(() => there.all('SELECT id FROM numbered'), 'the schema there')
  })

  after(async () => {
    await here.close()
    await there.close()
    await gateways.stop()
  })

  const rowThere = (id) => until(() => there.get('SELECT * FROM things WHERE id = ?', id), `${id} at virginia`)
  const countHere = async (like) => (await here.get('SELECT count(*) AS c FROM things WHERE id LIKE ?', like)).c
  const code = (doing) => doing.then(() => assert.fail('accepted'), (error) => error.code)

  test('every type of value arrives exactly', async () => {
    const bytes = Buffer.from([0, 1, 2, 255])
    const args = { id: 'exact', n: 9007199254740993n, x: 0.1, t: 'naïve — 日本\u0000', b: bytes }
    const { changes } = await here.run('INSERT INTO things VALUES (:id, @n, $x, :t, :b)', args)
    assert.equal(changes, 1)
    const exact = connect({ url: gateways.url('virginia') })
    exact.defaultSafeIntegers()
    const row = await until(() => exact.get("SELECT * FROM things WHERE id = 'exact'"), 'the row at virginia')
    assert.deepEqual(row, args)
    await exact.close()
    await here.run('INSERT INTO things VALUES (?, ?, ?, ?, ?)', 'plain', true, 1e300, null, new Uint8Array(0))
    assert.deepEqual(await rowThere('plain'), { id: 'plain', n: 1, x: 1e300, t: null, b: Buffer.alloc(0) })
  })

  test('a prepared statement knows its columns, and runs again and again', async () => {
    const insert = await here.prepare('INSERT INTO things (id, n) VALUES (?, ?)')
    assert.equal(insert.reader, false)
    for (const n of [1, 2, 3]) assert.equal((await insert.run([`p${n}`, n])).changes, 1)
    const select = await here.prepare("SELECT id, n, n + 1 AS next FROM things WHERE id LIKE 'p_' ORDER BY n")
    assert.equal(select.reader, true)
    const columns = select.columns().map((c) => `${c.name} ${c.type ?? ''}`)
    assert.deepEqual(columns, ['id TEXT', 'n INTEGER', 'next '])
    assert.deepEqual(await select.get(), { id: 'p1', n: 1, next: 2 })
    assert.equal((await select.all()).length, 3)
    assert.deepEqual(await select.pluck().all(), ['p1', 'p2', 'p3'])
    assert.deepEqual(await select.raw().safeIntegers().get(), ['p1', 1n, 2n])
    const seen = []
    for await (const row of select.raw(false).iterate()) seen.push(row.next)
    assert.deepEqual(seen, [2n, 3n, 4n])
    assert.equal(await (await here.prepare('SELECT 1 WHERE 0')).get(), undefined)
  })

  test('RETURNING: rows, and a reader when prepared', async () => {
    assert.deepEqual(await here.all("INSERT INTO things (id) VALUES ('r1'), ('r2') RETURNING id AS name, n"), [
      { name: 'r1', n: null },
      { name: 'r2', n: null },
    ])
    const update = await here.prepare("UPDATE things SET n = ? WHERE id = 'r1' RETURNING n")
    assert.equal(update.reader, true)
    assert.deepEqual(update.columns().map((c) => c.name), ['n'])
    assert.deepEqual(await update.all([5]), [{ n: 5 }])
  })

  test('an integer primary key numbers itself', async () => {
    const { lastInsertRowid } = await here.run("INSERT INTO numbered (t) VALUES ('a')")
    const { id } = await here.get("INSERT INTO numbered (t) VALUES ('b') RETURNING *")
    assert.ok(lastInsertRowid < id && Number.isSafeInteger(id))
    await until(() => there.get(`SELECT t FROM numbered WHERE id = ${id}`), 'it at virginia')
  })

  test('many rows stream, and a reader that stops early holds up nothing', async () => {
    const many = `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 30000)
      SELECT i, printf('%0100d', i) AS t FROM c`
    let rows = 0
    let sum = 0
    for await (const row of new Statement({ url: gateways.url('tokyo') }, many).iterate()) {
      rows += 1
      sum += Number(row.t)
    }
    assert.deepEqual([rows, sum], [30000, (30000 * 30001) / 2])
    const stops = new Statement({ url: gateways.url('tokyo') }, many)
    // The time limit also lets go of what the library does not read to its end.
    for await (const row of stops.iterate([], { queryTimeout: 3000 })) if (row.i === 2) break
    assert.equal((await stops.all()).length, 30000)
    await here.run("INSERT INTO things (id) VALUES ('after the break')")
  })

  test('a batch without a mode: each statement for itself', async () => {
    const results = await here.batch([
      "INSERT INTO things (id, n) VALUES ('s1', 1)",
      { sql: 'INSERT INTO things (id, n) VALUES (:id, :n)', args: { id: 's2', n: 2 } },
      { sql: "SELECT id, n FROM things WHERE id LIKE 's_' ORDER BY id", args: [] },
    ])
    assert.deepEqual(results.map((r) => r.rowsAffected), [1, 1, 0])
    assert.deepEqual(results[2].columns, ['id', 'n'])
    assert.deepEqual(results[2].columnTypes, ['TEXT', 'INTEGER'])
    assert.deepEqual(results[2].rows, [{ id: 's1', n: 1 }, { id: 's2', n: 2 }])
    const failing = here.batch(["INSERT INTO things (id) VALUES ('s3')", "INSERT INTO things (id) VALUES ('s1')"])
    assert.equal(await code(failing), 'SQLITE_CONSTRAINT')
    await rowThere('s3')
  })

  test('a batch with a mode: all of it or nothing', async () => {
    for (const mode of ['immediate', 'deferred', 'exclusive', 'read', 'write']) {
      const both = ['INSERT INTO things (id) VALUES (?)', 'SELECT id FROM things WHERE id = ?']
      const [, read] = await here.batch(both.map((sql) => ({ sql, args: [`a ${mode}`] })), mode)
      assert.deepEqual(read.rows, [{ id: `a ${mode}` }])
      const failing = here.batch(["INSERT INTO things (id) VALUES ('left')", 'SELECT nonsense'], mode)
      assert.equal(await code(failing), 'SQLITE_ERROR')
      assert.equal(here.inTransaction, false)
      await rowThere(`a ${mode}`)
    }
    assert.equal(await countHere('left'), 0)
  })

  test('a transaction on a stream of its own commits whole', async () => {
    const work = here.transactionAsync(async (tx, id) => {
      await tx.run('INSERT INTO things (id, n) VALUES (?, 1)', id)
      await tx.batch([{ sql: 'UPDATE things SET n = n + 41 WHERE id = ?', args: [id] }], 'immediate')
      await assert.rejects(tx.run('SELECT nonsense'))
      assert.equal(await countHere(id), 0)
      const select = await tx.prepare('SELECT n FROM things WHERE id = ?')
      return (await select.get([id])).n
    })
    for (const mode of ['default', 'deferred', 'immediate', 'exclusive']) {
      assert.equal(await work[mode](`tx ${mode}`), 42)
      assert.equal((await rowThere(`tx ${mode}`)).n, 42)
    }
  })

  test('a transaction that throws leaves nothing and lets others write at once', async () => {
    const failing = here.transactionAsync(async (tx) => {
      await tx.run("INSERT INTO things (id) VALUES ('gone')")
      throw new Error('changed my mind')
    })
    await assert.rejects(failing.immediate(), /changed my mind/)
    await here.run("INSERT INTO things (id) VALUES ('after')")
    assert.equal(await countHere('gone'), 0)
  })

  test('BEGIN and COMMIT by hand: inTransaction tells', async () => {
    const mine = connect({ url: gateways.url('tokyo') })
    await mine.exec('BEGIN')
    assert.equal(mine.inTransaction, true)
    await mine.run("INSERT INTO things (id) VALUES ('by hand')")
    assert.equal(mine.inTransaction, true)
    assert.equal(await code(mine.run("INSERT INTO things (id) VALUES ('by hand')")), 'SQLITE_CONSTRAINT')
    assert.equal(mine.inTransaction, true)
    await mine.run('COMMIT')
    assert.equal(mine.inTransaction, false)
    await rowThere('by hand')
    await mine.run('BEGIN IMMEDIATE')
    await mine.run("INSERT INTO things (id) VALUES ('closed')")
    await mine.close()
    await here.run("INSERT INTO things (id) VALUES ('after closing')")
    assert.equal(await countHere('closed'), 0)
  })

  test('savepoints', async () => {
    await here.transactionAsync(async (tx) => {
      await tx.run("INSERT INTO things (id) VALUES ('sp kept')")
      await tx.exec('SAVEPOINT inner')
      await tx.run("INSERT INTO things (id) VALUES ('sp undone')")
      await tx.exec('ROLLBACK TO inner; RELEASE inner')
    })()
    await rowThere('sp kept')
    assert.equal(await countHere('sp undone'), 0)
  })

  test('errors carry the codes that drivers compare', async () => {
    assert.equal(await code(here.run('SELEC 1')), 'SQLITE_ERROR')
    assert.equal(await code(here.prepare('SELECT * FROM nowhere')), 'SQLITE_ERROR')
    assert.equal(await code(here.exec('SELECT 1; SELEC 1')), 'SQLITE_ERROR')
    assert.equal(await code(here.run('SELECT 1; SELECT 2')), 'SQL_MANY_STATEMENTS')
    assert.equal(await code(here.run('SELECT ?, ?', 1)), 'ARGS_INVALID')
    assert.deepEqual(await here.get('SELECT 1 AS one'), { one: 1 })
  })

  test('a schema change at another datacenter than the leader', async () => {
    await there.exec("CREATE TABLE elsewhere (id TEXT PRIMARY KEY); INSERT INTO elsewhere VALUES ('e')")
    assert.deepEqual(await there.all('SELECT id FROM elsewhere'), [{ id: 'e' }])
    const fill = there.transaction(async () => {
      await there.exec('CREATE TABLE filled (id TEXT PRIMARY KEY)')
      await there.run("INSERT INTO filled VALUES ('f')")
    })
    await fill()
    assert.deepEqual(await there.all('SELECT id FROM filled'), [{ id: 'f' }])
    assert.deepEqual(await until(() => here.all('SELECT id FROM filled'), 'it at tokyo'), [{ id: 'f' }])
  })

  test('the copy of the libSQL interface', async () => {
    const client = createClient({ url: gateways.url('tokyo') })
    const insert = 'INSERT INTO things (id, n) VALUES (?, ?) RETURNING id, n'
    const result = await client.execute({ sql: insert, args: ['c1', 1] })
    assert.deepEqual([result.columns, result.columnTypes], [['id', 'n'], ['TEXT', 'INTEGER']])
    assert.deepEqual([result.rows[0].id, result.rows[0][1]], ['c1', 1])
    const [first] = await client.batch([{ sql: 'UPDATE things SET n = 2 WHERE id = ?', args: ['c1'] }], 'write')
    assert.equal(first.rowsAffected, 1)
    const tx = await client.transaction('write')
    assert.equal((await tx.execute("UPDATE things SET n = n + 40 WHERE id = 'c1'")).rowsAffected, 1)
    assert.equal(await code(tx.execute("INSERT INTO things (id) VALUES ('c1')")), 'SQLITE_CONSTRAINT')
    await tx.commit()
    await until(async () => (await rowThere('c1')).n === 42, 'the update at virginia')
    for (const mode of ['read', 'deferred', 'write']) {
      const undone = await client.transaction(mode)
      await undone.executeMultiple("INSERT INTO things (id) VALUES ('c2'); INSERT INTO things (id) VALUES ('c3');")
      await undone.rollback()
    }
    assert.equal(await countHere('c_'), 1)
    client.close()
  })

  test('writes at both sites meet, and both sites show the same', async () => {
    await here.run("INSERT INTO things (id, n, t) VALUES ('both', 0, 'start')")
    await rowThere('both')
    const write = (db, t) =>
      db.transactionAsync((tx) => tx.run('INSERT INTO things (id, t) VALUES (?, ?)', `both ${t}`, t))()
    await Promise.all([
      here.run("UPDATE things SET n = 1 WHERE id = 'both'"),
      there.run("UPDATE things SET t = 'there' WHERE id = 'both'"),
      ...[1, 2, 3, 4].flatMap((i) => [write(here, `here ${i}`), write(there, `there ${i}`)]),
    ])
    const show = (db) => db.all("SELECT * FROM things WHERE id LIKE 'both%' ORDER BY id")
    await until(async () => {
      const [a, b] = await Promise.all([show(here), show(there)])
      return [a, b].every((rows) => rows.length === 9 && rows[0].n === 1 && rows[0].t === 'there')
    }, 'all writes at both sites (column granularity)')
    assert.deepEqual(await show(here), await show(there))
  })

  test('a connection outlives its idle stream', async () => {
    const impatient = await startGateways({
      dcs: ['tokyo'],
      topology: '{kind: all-to-all}',
      extra: 'limits: {stream_timeout: 100ms}\n',
    })
    try {
      const connection = connect({ url: impatient.url('tokyo') })
      await connection.exec('CREATE TABLE seen (id TEXT PRIMARY KEY)')
      await connection.run("INSERT INTO seen VALUES ('before')")
      await until(async () => {
        const metrics = await fetch(`${impatient.url('tokyo')}/metrics`)
        return /^entente_sql_streams 0$/m.test(await metrics.text())
      }, 'the stream is closed')
      assert.deepEqual(await connection.all('SELECT id FROM seen'), [{ id: 'before' }])
    } finally {
      await impatient.stop()
    }
  })
})
