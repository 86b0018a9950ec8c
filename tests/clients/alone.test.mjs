// A cluster of one with small numbers, as the suites of @libsql/client, hrana-client-ts and drizzle-orm
// use a libSQL server: tables without keys, keys that are 1, 2, 3, and the connection's own answers.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { createClient } from '@libsql/client'
import { and, eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/libsql'
import { integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import { startGateways } from './gateways.mjs'

const users = sqliteTable('users', {
  id: integer('id').primaryKey(),
  name: text('name').notNull(),
  tags: text('tags', { mode: 'json' }).$type().default(sql`(json_array())`),
})
const groups = sqliteTable('groups', { id: integer('id').primaryKey({ autoIncrement: true }), name: text('name') })
// As drizzle's own tests have it: no key at all, a UNIQUE index.
const usersToGroups = sqliteTable(
  'users_to_groups',
  { user: integer('user_id').notNull(), group: integer('group_id').notNull() },
  (t) => [uniqueIndex('once').on(t.user, t.group)],
)

for (const scheme of ['http', 'ws']) {
  describe(`alone, by ${scheme}`, () => {
    let gateways, client

    before(async () => {
      gateways = await startGateways({
        dcs: ['tokyo'],
        topology: '{kind: all-to-all}',
        extra: 'keys: {numbering: interleaved}\n',
      })
      client = createClient({ url: gateways.url('tokyo', scheme) })
    })
    after(() => {
      client.close()
      return gateways.stop()
    })
    beforeEach(() =>
      client.executeMultiple(`
        DROP TABLE IF EXISTS t;
        CREATE TABLE t (a);
        DROP TABLE IF EXISTS n;
        CREATE TABLE n (id INTEGER PRIMARY KEY, a);
      `),
    )

    test('rowsAffected and lastInsertRowid', async () => {
      const inserted = await client.execute("INSERT INTO t VALUES ('one'), ('two')")
      assert.equal(inserted.rowsAffected, 2)
      assert.equal(inserted.lastInsertRowid, 2n)
      const third = await client.execute("INSERT INTO t VALUES ('three') RETURNING rowid, a")
      assert.deepEqual([third.rows[0].rowid, third.rows[0].a], [3, 'three'])
      assert.equal((await client.execute("UPDATE t SET a = a || '!' WHERE a <> 'one'")).rowsAffected, 2)
      assert.equal((await client.execute('DELETE FROM t')).rowsAffected, 3)
    })

    test('numbers are 1, 2, 3', async () => {
      for (const id of [1n, 2n, 3n]) {
        assert.equal((await client.execute('INSERT INTO n (a) VALUES (0)')).lastInsertRowid, id)
      }
      await client.execute('INSERT INTO n VALUES (10, 0)')
      assert.equal((await client.execute('INSERT INTO n (a) SELECT 1')).lastInsertRowid, 11n)
      await assert.rejects(client.execute('INSERT INTO n VALUES (10, 0)'), { code: 'SQLITE_CONSTRAINT' })
    })

    test('a batch, and a transaction that rolls back', async () => {
      await client.batch(
        ['INSERT INTO t VALUES (1)', { sql: 'INSERT INTO t VALUES (?)', args: [2] }, 'DELETE FROM t WHERE a = 1'],
        'write',
      )
      await assert.rejects(client.batch(['INSERT INTO t VALUES (9)', 'SELECT foobar'], 'write'))
      const transaction = await client.transaction('write')
      await transaction.execute('INSERT INTO t VALUES (8)')
      assert.equal((await transaction.execute('SELECT last_insert_rowid() AS id')).rows[0].id, 3)
      await transaction.rollback()
      assert.deepEqual((await client.execute('SELECT a FROM t')).rows.map((row) => row.a), [2])
    })

    test('what a connection says of itself', async () => {
      const transaction = await client.transaction('write')
      await transaction.execute('INSERT INTO n VALUES (42, 0), (43, 0)')
      await transaction.execute('CREATE TABLE between_them (a)')
      const own = (await transaction.execute('SELECT last_insert_rowid() AS id, changes() AS n')).rows[0]
      assert.deepEqual([own.id, own.n], [43, 2])
      await transaction.execute('DROP TABLE between_them')
      await transaction.commit()
      await client.execute('PRAGMA user_version = 7')
      assert.equal((await client.execute('PRAGMA user_version')).rows[0].user_version, 7)
      assert.equal((await client.execute('PRAGMA foreign_keys')).rows[0].foreign_keys, 1)
    })

    test('drizzle: keys, a join table without one, JSON', async () => {
      const db = drizzle(client)
      for (const table of ['users', 'groups', 'users_to_groups']) await db.run(`DROP TABLE IF EXISTS ${table}`)
      await db.run(
        'CREATE TABLE users (id integer PRIMARY KEY NOT NULL, name text NOT NULL, tags text DEFAULT (json_array()) CHECK (json_valid(tags)))',
      )
      await db.run('CREATE TABLE groups (id integer PRIMARY KEY AUTOINCREMENT NOT NULL, name text)')
      await db.run('CREATE TABLE users_to_groups (user_id integer NOT NULL, group_id integer NOT NULL)')
      await db.run('CREATE UNIQUE INDEX once ON users_to_groups (user_id, group_id)')
      assert.deepEqual(await db.insert(users).values([{ name: 'Ann' }, { name: 'Bob' }]).returning(), [
        { id: 1, name: 'Ann', tags: [] },
        { id: 2, name: 'Bob', tags: [] },
      ])
      assert.deepEqual(await db.insert(groups).values({ name: 'g' }).returning({ id: groups.id }), [{ id: 1 }])
      for (let i = 0; i < 2; ++i) {
        await db
          .insert(usersToGroups)
          .values({ user: 1, group: 1 })
          .onConflictDoNothing({ target: [usersToGroups.user, usersToGroups.group] })
      }
      const joined = await db
        .select({ name: users.name, group: groups.name })
        .from(users)
        .innerJoin(usersToGroups, eq(usersToGroups.user, users.id))
        .innerJoin(groups, eq(groups.id, usersToGroups.group))
      assert.deepEqual(joined, [{ name: 'Ann', group: 'g' }])
      await db.delete(usersToGroups).where(and(eq(usersToGroups.user, 1), eq(usersToGroups.group, 1)))
      assert.equal(await db.$count(usersToGroups), 0)
    })
  })
}
